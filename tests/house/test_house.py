"""The rules of the house that no other tool checks; the floors are checked by import-linter in `make check`."""

import ast
import re
import subprocess
import tokenize
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_TEST_FILE_LINES = 400, 60, 600
BANNED_WORDS = {"utils", "util", "helper", "helpers", "manager", "common", "misc", "base"}
ROOMS = (
    "factory",
    "curate",
    "train",
    "sim",
    "export",
    "drive",
    "metrics",
    "policy",
    "clips",
    "tokens",
    "models",
    "bodies",
    "engine",
    "datatypes",
    "geometry",
)
# A path that exists only on the machine where it was typed.
MACHINE_PATH = re.compile(
    r"(?<![\w.}/-])/(?:" + "|".join(("work", "root", "home/[a-z]+", "Users/[A-Za-z]+", "opt/wheels", "tmp/[a-z]+")) + r")(?=[/\s\"'])"
)


@cache
def project_files() -> tuple[Path, ...]:
    """Tracked files and new ones that git does not ignore; without git, everything but caches."""
    try:
        listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return tuple(path for line in listed.splitlines() if (path := ROOT / line).is_file())


def sources(*folders: str) -> list[Path]:
    return [path for path in project_files() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in folders]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_files_stay_small():
    def lines(path):
        with tokenize.open(path) as file:
            return sum(1 for _ in file)

    limits = {path: MAX_FILE_LINES for path in sources("motorworks", "recipes", "bench")} | {path: MAX_TEST_FILE_LINES for path in sources("tests")}
    long = {name_of(path): lines(path) for path, limit in limits.items() if lines(path) > limit}
    assert not long, f"a file this long holds more than one noun: {long}"


def test_functions_stay_small():
    long = {}
    for path in sources("motorworks", "recipes", "bench"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                num_lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if num_lines > MAX_FUNCTION_LINES:
                    long[f"{name_of(path)}:{node.name}"] = num_lines
    assert not long, f"a function this long is a missing noun: {long}"


def test_files_are_called_by_what_they_are():
    bad = [name_of(path) for path in sources("motorworks", "recipes", "bench") if BANNED_WORDS & set(path.stem.split("_"))]
    bad += [name_of(path) for path in sources("motorworks") if BANNED_WORDS & {part for parent in path.parts for part in parent.split("_")}]
    assert not bad, f"name the noun or verb instead: {sorted(set(bad))}"


def test_configs_and_nouns_are_frozen_and_keyword_only():
    loose = []
    for path in sources("motorworks", "recipes"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            for decorator in node.decorator_list if isinstance(node, ast.ClassDef) else ():
                if "dataclass" in ast.unparse(decorator) and not (
                    {"frozen=True", "kw_only=True"} <= set(re.findall(r"\w+=True", ast.unparse(decorator)))
                ):
                    loose.append(f"{name_of(path)}:{node.name}")
    assert not loose, f"declare @dataclass(frozen=True, kw_only=True): {loose}"


def test_no_path_of_one_machine_is_written_down():
    found = []
    for path in project_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue  # not a text
        found += [f"{name_of(path)}:{number}" for number, line in enumerate(text.splitlines(), start=1) if MACHINE_PATH.search(line)]
    assert not found, f"these hold only on one machine: {found}"


def test_every_room_says_what_it_is():
    silent = [room for room in ROOMS if not ast.get_docstring(ast.parse((ROOT / "motorworks" / room / "__init__.py").read_bytes()))]
    assert not silent, f"the first line of __init__.py is the caption of the room: {silent}"


def test_no_room_has_appeared_unseen():
    rooms = {path.relative_to(ROOT / "motorworks").parts[0] for path in sources("motorworks") if len(path.relative_to(ROOT).parts) > 2}
    assert rooms == set(ROOMS), "a new room needs a place among the floors in pyproject.toml"


def test_stages_stay_thin():
    long = {
        name_of(path): num for path in sources("motorworks") if path.parent.name == "stages" and (num := len(path.read_text().splitlines())) > 150
    }
    assert not long, f"a stage reads artifacts, calls one to three rooms and writes one artifact: {long}"


def test_only_an_evaluation_opens_held_out_towns():
    may = {
        "motorworks/sim/seeds.py",
        "motorworks/factory/stages/evaluate.py",
        "motorworks/factory/drive_command.py",  # a look that no stage reads
        "motorworks/factory/expert_exam.py",  # nobody learns from the expert's drives
    }
    does = {name_of(path) for path in sources("motorworks", "recipes", "bench") if "held_out_open" in path.read_text()}
    assert does <= may, f"held-out towns are opened by {sorted(does - may)}: train and mine on other towns"

"""The code a stage runs, as one digest: the sources that its module imports, directly or not.

Only this project's modules (and the stage's own package, if it comes from outside) are followed, also where a
function imports them late. The modules that merely move artifacts about do not count, so a new report or a
nicer progress bar does not make the models again. Data files beside the code are not seen: keep what decides
a result in Python or in a config.
"""

import ast
import hashlib
import importlib.util
from functools import cache
from pathlib import Path

MACHINERY = frozenset(
    f"motorworks.factory.{name}"
    for name in (
        "artifact",
        "cli",
        "code",
        "content",
        "errors",
        "fingerprint",
        "launch",
        "process_group",
        "machine",
        "progress",
        "recipe",
        "run",
        "show",
        "step",
        "store",
    )
)


def code_revision(module: str) -> str:
    """sha256 over the sources of a module and of all project modules it imports."""
    roots = frozenset({"motorworks", "recipes", module.partition(".")[0]})
    waiting, seen = [module], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen or (name in MACHINERY and name != module):
            continue
        seen.add(name)
        source = _source(name, roots)
        if source is not None:
            waiting.extend(source[1])
    hasher = hashlib.sha256()
    for name in sorted(seen):
        source = _source(name, roots)
        if source is not None:
            hasher.update(f"{name}\0{source[0]}\n".encode())
    return hasher.hexdigest()


@cache
def _source(name: str, roots: frozenset[str]) -> tuple[str, tuple[str, ...]] | None:
    """(sha256 of the source, names it imports) of one module; None if it is not ours or not a module."""
    path = _path(name, roots)
    if path is None:
        return None
    source = path.read_bytes()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    imported = _imported(ast.parse(source, filename=str(path)), package)
    parents = {name.rpartition(".")[0]} - {""}
    return hashlib.sha256(source).hexdigest(), tuple(sorted(imported | parents))


def _imported(tree: ast.AST, package: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)  # a submodule, or a name that has no file
    return names


def _path(name: str, roots: frozenset[str]) -> Path | None:
    top, _, rest = name.partition(".")
    if top not in roots:
        return None
    origin = _origin(top)
    if origin is None:
        return None
    if not rest:
        return origin
    base = origin.parent.joinpath(*rest.split("."))
    for path in (base / "__init__.py", base.with_name(f"{base.name}.py")):
        if path.is_file():
            return path
    return None


@cache
def _origin(top: str) -> Path | None:
    spec = importlib.util.find_spec(top)
    return Path(spec.origin) if spec is not None and spec.origin is not None else None

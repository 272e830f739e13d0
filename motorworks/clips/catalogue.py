"""Tables over a store's packs: what is asked about clips and what changes about them. No video is in them, and no pack is touched.

`clips` holds the rows of the packs; every other fact is a table of its own beside it, keyed by clip_id (Lance copies whole rows when one is
changed, so a label never shares a table with anything large). All of it can be lost and made again from the packs. A pin names a version of
every table and the packs of that moment: whoever opens it later reads the same.
"""

import importlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from motorworks.clips.pack import read_rows
from motorworks.clips.place import whole_file, whole_folder
from motorworks.clips.record import ClipRow
from motorworks.clips.store import PACKS, ClipStore

TABLES, PINS, CLIPS = "tables", "pins", "clips"
_FLAT = ("recording_id", "source", "body", "licence", "start_us", "num_steps", "motion_kind", "instruction_kind", "num_thoughts")
_NUMBERS = ("mean_speed_mps", "max_speed_mps", "min_accel_mps2", "max_lateral_accel_mps2", "distance_m", "turn_rad")
_BATCH = 65_536


class CatalogueBroken(ValueError):
    """A table or pin that cannot be read; the message names it and the fix."""


class Catalogue:
    """The tables of one local store. Several processes may write at once: they take turns by a lock, which the system lets go of if one dies.

    Lance's own commits would not do: of two first writes the later replaces the earlier, and of two merges both put in what is new to both."""

    def __init__(self, root: Path, *, versions: Mapping[str, int] | None = None):
        self._lance = _library("lance")  # now, not after packs were read
        self.root, self._versions = root, versions
        self._lock = _library("filelock").FileLock(root / TABLES / ".lock")

    @staticmethod
    def at(root: Path, pin: str) -> "Catalogue":
        """As it was when it was pinned; for reading only."""
        facts = read_pin(root, pin)
        missing = set(facts["packs"]) - set(ClipStore(root).packs)
        if missing:
            raise CatalogueBroken(
                f"{root / PINS / pin}.json: pack {min(missing)} is gone, of {len(missing)} that are: bring it back into {root / PACKS}"
            )
        return Catalogue(root, versions=facts["tables"])

    @property
    def tables(self) -> tuple[str, ...]:
        """Names."""
        if self._versions is not None:
            return tuple(sorted(self._versions))
        return tuple(sorted(path.stem for path in (self.root / TABLES).glob("*.lance")))

    def table(self, name: str) -> Any:
        """The Lance dataset, which is a pyarrow dataset too."""
        path = self._path(name)
        if name not in self.tables:
            raise CatalogueBroken(f"{self.root} has no table {name!r}: there is {', '.join(self.tables) or 'none; sync() first'}")
        try:
            return self._lance.dataset(str(path), version=self._versions[name] if self._versions is not None else None)
        except (OSError, ValueError) as error:
            raise CatalogueBroken(
                f"{path} cannot be read ({error}): remove it; sync() makes `clips` again, and whoever put the others can"
            ) from error

    def sync(self) -> int:
        """Takes in the packs that are not known yet, in one commit; returns how many clips are new. Safe to run twice at once."""
        import pyarrow

        with self._writing():
            known = set() if CLIPS not in self.tables else set(self.table(CLIPS).to_table(columns=["pack"])["pack"].unique().to_pylist())
            store = ClipStore(self.root)
            new = [pack for pack in store.packs if pack not in known]
            if not new:
                return 0
            schema = clip_schema()
            rows = _once({**_flat(row), "pack": pack} for pack in new for row in read_rows(store.place, f"{PACKS}/{pack}"))
            batches = (pyarrow.RecordBatch.from_pylist(part, schema) for part in iter(lambda: list(islice(rows, _BATCH)), []))
            return self.insert(pyarrow.RecordBatchReader.from_batches(schema, batches))

    def insert(self, rows: Any) -> int:
        """Rows of `clips` (a reader of `clip_schema`) whose clip_id is not there yet; returns how many."""
        with self._writing():
            if CLIPS in self.tables:
                done = self.table(CLIPS).merge_insert("clip_id").when_not_matched_insert_all().execute(rows)
                return int(done["num_inserted_rows"])
            with whole_folder(self._path(CLIPS)) as folder:
                dataset = self._lance.write_dataset(rows, str(folder))
                dataset.create_scalar_index("clip_id", "BTREE")
                return int(dataset.count_rows())

    def put(self, name: str, table: Any) -> int:
        """Makes or replaces a table of facts about clips (a pyarrow table or reader with a column clip_id); returns its version.
        Earlier versions stay for whoever pinned them."""
        if name == CLIPS or not name.isidentifier():
            raise ValueError(f"table {name!r}: a name of letters, digits and underscores, other than {CLIPS}")
        if "clip_id" not in table.schema.names:
            raise ValueError(f"table {name!r} has no column clip_id, but {', '.join(table.schema.names)}")
        if "binary" not in str(kind := table.schema.field("clip_id").type):  # a join with `clips` would find nothing
            raise ValueError(f"table {name!r}: clip_id is {kind}, not the 16 bytes that `clips` has (bytes.fromhex of an id)")
        write = self._lance.write_dataset
        with self._writing():
            if name in self.tables:
                return int(write(table, str(self._path(name)), mode="overwrite").version)
            with whole_folder(self._path(name)) as folder:
                return int(write(table, str(folder)).version)

    def query(self, sql: str) -> Any:
        """Any SQL over the tables by their names (DuckDB); a pyarrow table."""
        import duckdb

        connection = duckdb.connect(config={"memory_limit": "2GB", "temp_directory": str(self.root / TABLES / ".duckdb")})
        try:
            for name in self.tables:
                connection.register(name, self.table(name))
            return connection.sql(sql).to_arrow_table()
        finally:
            connection.close()

    def compact(self, *, keep: timedelta = timedelta(days=7)) -> None:
        """Joins small fragments and lets go of versions that are older than `keep` and not pinned. Packs are not touched."""
        with self._writing():
            for name in self.tables:
                self.table(name).optimize.compact_files()
                self.table(name).cleanup_old_versions(older_than=keep, error_if_tagged_old_versions=False)

    def pin(self, name: str, *, manifest: str | None = None) -> Path:
        """Names this moment: packs, versions of all tables, the digest of a manifest. A pin is never changed."""
        path = self.root / PINS / f"{name}.json"
        with self._writing():
            if path.exists():
                raise FileExistsError(f"{path} is there already: a pin is never changed, take another name")
            versions = {}
            for table in self.tables:
                dataset = self.table(table)
                tag = dataset.tags.update if name in dataset.tags.list() else dataset.tags.create  # there is one if a pin was cut short
                tag(name, dataset.version)  # keeps it from being cleaned up
                versions[table] = int(dataset.version)
            with whole_file(path) as temporary:
                temporary.write_text(json.dumps({"packs": ClipStore(self.root).packs, "tables": versions, "manifest": manifest}, indent=1))
        return path

    def _path(self, name: str) -> Path:
        return self.root / TABLES / f"{name}.lance"

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Alone, as long as it takes."""
        if self._versions is not None:
            raise CatalogueBroken(f"{self.root} was opened at a pin, which is for reading: open it without")
        with self._lock:
            yield


def read_pin(root: Path, name: str) -> dict[str, Any]:
    """What a pin says: packs, tables, manifest."""
    path = root / PINS / f"{name}.json"
    try:
        facts = json.loads(path.read_text())
        return {"packs": list(facts["packs"]), "tables": dict(facts["tables"]), "manifest": facts["manifest"]}
    except FileNotFoundError as error:
        known = sorted(one.stem for one in (root / PINS).glob("*.json"))
        raise CatalogueBroken(f"{root} has no pin {name!r}: there is {', '.join(known) or 'none'}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CatalogueBroken(f"{path} is no pin ({type(error).__name__}: {error}): restore it, or pin anew under another name") from error


def clip_schema() -> Any:
    """The columns of `clips`."""
    import pyarrow as arrow

    kinds = {"start_us": arrow.int64(), "num_steps": arrow.int32(), "num_thoughts": arrow.int32()}
    fields = [("clip_id", arrow.binary(16)), ("content_id", arrow.binary(16))]
    fields += [(name, kinds.get(name, arrow.string())) for name in _FLAT] + [(name, arrow.float32()) for name in _NUMBERS]
    fields += [
        ("tags", arrow.list_(arrow.string())),
        ("cameras", arrow.list_(arrow.string())),
        ("nbytes", arrow.int64()),
        ("start_byte", arrow.int64()),
    ]
    return arrow.schema([*fields, ("pack", arrow.string())])


def _flat(row: ClipRow) -> dict[str, Any]:
    ids = {"clip_id": bytes.fromhex(row.clip_id), "content_id": bytes.fromhex(row.content_id)}
    lists = {"tags": list(row.tags), "cameras": [view.camera for view in row.views]}
    return ids | {name: getattr(row, name) for name in (*_FLAT, *_NUMBERS, "nbytes")} | {"start_byte": row.offset} | lists


def _once(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A clip that lies in two packs is taken from the first."""
    seen: set[bytes] = set()
    for row in rows:
        if row["clip_id"] not in seen:
            seen.add(row["clip_id"])
            yield row


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"tables over clips need {name}: pip install 'motorworks[data]'", name=name) from error

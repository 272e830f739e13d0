"""Bags as topics and messages: ROS 1 (.bag), ROS 2 (db3 or MCAP), and MCAP files whose messages are CDR, ROS 1, JSON or protobuf.

Bags of ROS 1 and db3 are opened by `rosbags`. MCAP is read record by record from front to end, because a recorder that lost power leaves no
index: what stands before the tear is taken, and a chunk whose checksum is wrong costs only itself.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from motorworks.clips.readers.ros_decode import Decoder
from motorworks.clips.recording import Quarantined

FILES = (".mcap", ".bag", ".db3")
METADATA = "metadata.yaml"
_INFORMATION = "rosbag2_bagfile_information"
_VIDEO_TYPE = "foxglove_msgs/msg/CompressedVideo"  # not among the types that rosbags knows for bags without definitions
_VIDEO_TEXT = "builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format"


class BagBroken(ValueError):
    """The bag cannot be opened; the message names the fix."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A message as it lies in the bag; `decode` raises whatever foreign bytes make it raise."""

    topic: str
    log_ns: int  # when it was written down
    decode: Callable[[], Any]  # to an object with the message's fields


class Bag(Protocol):
    """An open bag."""

    topics: Mapping[str, str]  # the type of each, as sensor_msgs/Image or foxglove/CompressedVideo

    def entries(self, topics: Collection[str]) -> Iterator[Entry]:
        """Messages of these topics, once through the bag."""
        ...


def is_bag(path: Path) -> bool:
    """A file by its suffix, or a folder that a ROS 2 recorder left."""
    if path.is_file():
        return path.suffix.lower() in FILES
    try:
        return _INFORMATION in (path / METADATA).read_text(errors="replace")[:4096]
    except OSError:
        return False


@contextmanager
def open_bag(path: Path, quarantine: list[Quarantined]) -> Iterator[Bag]:
    """Raises BagBroken where nothing of it can be read; what is broken inside is added to `quarantine` as it is met."""
    try:
        import mcap  # noqa: F401
        from rosbags.highlevel import AnyReader, AnyReaderError
        from rosbags.typesys import Stores, get_types_from_msg, get_typestore
    except ImportError as error:
        raise BagBroken(f"needs {str(error.name).partition('.')[0]}: pip install 'motorworks[data]'") from error
    if path.is_file() and path.stat().st_size == 0:
        raise BagBroken("0 bytes")
    if inside := _mcap_files(path):
        yield _McapBag(inside, quarantine)
        return
    known = get_typestore(Stores.LATEST)
    known.register(get_types_from_msg(_VIDEO_TEXT, _VIDEO_TYPE))
    try:
        reader = AnyReader([path], default_typestore=known)
        reader.open()
    except (AnyReaderError, OSError) as error:
        fix = (
            "; rosbag reindex FILE mends a bag that was not closed"
            if path.suffix == ".bag"
            else "; ros2 bag reindex FOLDER writes metadata.yaml anew"
        )
        raise BagBroken(f"not readable as a bag ({error}){fix}") from error
    except Exception as error:  # the boundary: sqlite, yaml and struct raise their own on torn files
        raise BagBroken(f"not readable as a bag ({type(error).__name__}: {error})") from error
    try:
        yield _RosBag(reader, path, quarantine)
    finally:
        reader.close()


def _mcap_files(path: Path) -> list[Path]:
    """Of a file or a folder, in order; none where each message is compressed by itself, which rosbags undoes."""
    if path.is_file():
        return [path] * (path.suffix.lower() == ".mcap")
    if "compression_mode: message" in (path / METADATA).read_text(errors="replace").lower():
        return []
    return sorted(path.glob("*.mcap"), key=lambda file: (len(file.name), file.name))  # drive_10 comes after drive_9


def plain_type(name: str) -> str:
    """sensor_msgs/msg/Image and sensor_msgs/Image are one type; so are foxglove.CompressedVideo and foxglove_msgs/msg/CompressedVideo."""
    package, _, rest = name.replace(".", "/").partition("/")
    return f"{package.removesuffix('_msgs') if package == 'foxglove_msgs' else package}/{rest.removeprefix('msg/')}"


class _RosBag:
    def __init__(self, reader: Any, path: Path, quarantine: list[Quarantined]) -> None:
        self.topics = {connection.topic: plain_type(connection.msgtype) for connection in reader.connections}
        self._reader, self._path, self._quarantine = reader, path, quarantine

    def entries(self, topics: Collection[str]) -> Iterator[Entry]:
        chosen = [connection for connection in self._reader.connections if connection.topic in topics]
        messages = self._reader.messages(connections=chosen) if chosen else iter(())  # rosbags takes an empty list for all
        while True:
            try:
                connection, log_ns, raw = next(messages)
            except StopIteration:
                return
            except Exception as error:  # the boundary: a torn chunk or page
                self._quarantine.append(Quarantined(path=self._path, reason=f"torn ({type(error).__name__}: {error}); what stands before is taken"))
                return
            yield Entry(topic=connection.topic, log_ns=log_ns, decode=lambda raw=raw, name=connection.msgtype: self._reader.deserialize(raw, name))


class _McapBag:
    """One MCAP file, or those of a bag one after the other."""

    def __init__(self, files: list[Path], quarantine: list[Quarantined]) -> None:
        self._quarantine = quarantine
        self._files, self.topics = [], dict[str, str]()
        for file in files:
            torn: list[Quarantined] = []
            channels = _channels(file, torn)
            quarantine += [] if channels else torn  # with topics, reading them will meet it again
            if channels is None:
                quarantine.append(Quarantined(path=file, reason="not an MCAP file: it does not begin with the magic bytes \\x89MCAP0"))
                continue
            self._files.append(file)
            self.topics.update(channels)

    def entries(self, topics: Collection[str]) -> Iterator[Entry]:
        for file in self._files:
            yield from self._entries(file, topics)

    def _entries(self, file: Path, topics: Collection[str]) -> Iterator[Entry]:
        from mcap.records import Channel, Message, Schema

        schemas: dict[int, Any] = {}
        channels: dict[int, tuple[str, Decoder]] = {}
        for record in _records(file, self._quarantine):
            if isinstance(record, Schema):
                schemas[record.id] = record
            elif isinstance(record, Channel) and record.id not in channels:
                channels[record.id] = record.topic, Decoder(record.message_encoding, schemas.get(record.schema_id))
            elif isinstance(record, Message) and record.channel_id in channels:
                topic, decoder = channels[record.channel_id]
                if topic in topics:
                    yield Entry(topic=topic, log_ns=record.log_time, decode=lambda data=record.data, decoder=decoder: decoder(data))


def _channels(file: Path, quarantine: list[Quarantined]) -> dict[str, str] | None:
    """Topics and types, from the summary at the end or, where that is missing, from the whole; None for what is no MCAP file."""
    from mcap.exceptions import InvalidMagic
    from mcap.reader import make_reader
    from mcap.records import Channel, Schema

    schemas: dict[int, Any] = {}
    channels: list[Any] = []
    with file.open("rb") as stream:
        try:
            summary = make_reader(stream).get_summary()
        except InvalidMagic:
            stream.seek(0)
            if stream.read(8) != b"\x89MCAP0\r\n":
                return None
            summary = None
        except Exception:  # the boundary: a torn end says nothing of what stands before it
            summary = None
    if summary is not None and summary.channels:
        schemas, channels = summary.schemas, list(summary.channels.values())
    else:
        for record in _records(file, quarantine):
            if isinstance(record, Schema):
                schemas[record.id] = record
            elif isinstance(record, Channel):
                channels.append(record)
    return {one.topic: plain_type(schemas[one.schema_id].name) if one.schema_id in schemas else "no type" for one in channels}


def _records(file: Path, quarantine: list[Quarantined]) -> Iterator[Any]:
    """Every record in the order of the file, those in chunks too; ends at a tear."""
    from mcap.records import Chunk
    from mcap.stream_reader import StreamReader, breakup_chunk

    with file.open("rb") as stream:
        records = StreamReader(stream, emit_chunks=True).records
        while True:
            place = stream.tell()
            try:
                record = next(records)
            except StopIteration:
                return
            except Exception as error:  # the boundary: struct, lz4, zstandard and mcap raise their own on torn files
                what = str(error) or type(error).__name__
                quarantine.append(
                    Quarantined(path=file, reason=f"torn at byte {place} ({what}); what stands before is taken: mcap recover FILE mends it")
                )
                return
            if not isinstance(record, Chunk):
                yield record
                continue
            try:
                inner = breakup_chunk(record, validate_crc=True)
            except Exception as error:
                quarantine.append(Quarantined(path=file, reason=f"the chunk at byte {place} is broken ({error}); it is left out"))
                continue
            yield from inner

"""The drive log: append-only lines, each with its own checksum, so that a cut tail is seen, said and left out."""

import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import msgspec


class Header(msgspec.Struct, frozen=True, kw_only=True, tag="header", tag_field="type"):
    """What is being driven, by what."""

    policy: str
    body: str
    release: int = 0
    manifest_sha256: str = ""
    drive_id: str = ""
    facts: Mapping[str, str] = msgspec.field(default_factory=dict)


class StepLog(msgspec.Struct, frozen=True, kw_only=True, tag="step", tag_field="type"):
    """One tick at 10 Hz: what was measured, planned, executed, and how healthy the loop was."""

    drive: int = 0  # counts the drives of one process; `step` starts anew with each
    step: int
    time_us: int  # the vehicle's monotonic clock
    health: str  # ok, late, fallback
    reason: str = ""  # why not ok
    latency_s: float | None  # of the plan made in this tick; None where none was made
    plan_age_steps: int | None  # of the plan driven; None in fallback
    speed_mps: float | None  # None: the sensor gave no number
    yaw_rate_radps: float | None
    instruction: str
    accel_mps2: tuple[float, ...]  # the trajectory handed to the body; its first entry is executed
    curvature_per_m: tuple[float, ...]
    thought: str = ""
    shadow_distance_m: float | None = None  # between the two plans 2 s ahead; None where the shadow did not run
    shadow_latency_s: float | None = None
    triggers: tuple[str, ...] = ()


Record = Header | StepLog
TORN = "torn tail"


@dataclass(frozen=True, kw_only=True)
class DriveLog:
    """What could be read, and what could not."""

    headers: tuple[Header, ...]
    steps: tuple[StepLog, ...]
    message: str = ""  # says what was left out; empty when nothing was


class LogWriter:
    """Appends records; a torn tail of an earlier run is cut off first. Durable every `sync_every` records and on close."""

    def __init__(self, file: Path, *, sync_every: int = 10) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._sync_every, self._num = sync_every, 0
        self._stream = open(file, "ab")  # noqa: SIM115 - closed by close()
        _, message, good = _scan(file)
        if good < self._stream.tell():
            if TORN not in message:
                self._stream.close()
                raise ValueError(f"{message}; records follow it: move the file away before logging there again")
            self._stream.truncate(good)

    def write(self, record: Record) -> None:
        """One line, handed to the system at once."""
        self._stream.write(_line(record))
        self._stream.flush()
        self._num += 1
        if self._num % self._sync_every == 0:
            os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Makes everything durable."""
        if not self._stream.closed:
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()

    def __enter__(self) -> "LogWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def read_log(file: Path) -> DriveLog:
    """Every whole record up to the first damaged one; the message says where that is. A missing file raises."""
    records, message, _ = _scan(file)
    headers = tuple(record for record in records if isinstance(record, Header))
    return DriveLog(headers=headers, steps=tuple(record for record in records if isinstance(record, StepLog)), message=message)


def _line(record: Record) -> bytes:
    body = msgspec.json.encode(record)
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _scan(file: Path) -> tuple[list[Record], str, int]:
    """Records, message, and the offset up to which the file is good."""
    records: list[Record] = []
    data, offset = file.read_bytes(), 0
    decoder = msgspec.json.Decoder(Record)
    while offset < len(data):
        end = data.find(b"\n", offset)
        line = data[offset:end] if end >= 0 else data[offset:]
        try:
            if end < 0 or line[8:9] != b" " or int(line[:8], 16) != zlib.crc32(line[9:]):
                raise ValueError("checksum does not hold")
            records.append(decoder.decode(line[9:]))
        except (ValueError, msgspec.MsgspecError) as error:
            what = TORN if end < 0 or end == len(data) - 1 else "damaged record"
            return records, f"{file}: {what} at byte {offset} ({error}); {len(records)} records read, {len(data) - offset} bytes ignored", offset
        offset = end + 1
    return records, "", offset

"""What a Tesla writes about itself into the video of its front camera: a protobuf message in an SEI unit before the pictures of H.264.

By teslamotors/dashcam (dashcam.proto, dashcam-mp4.js): SEI of type 5 whose payload is some 0x42, one 0x69 and the message `SeiMetadata`; what is
zero is not written. Firmware 2025.44.25 on, from HW3 on, and not while parked.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from jaxtyping import Float, Int64

from motorworks.clips.readers.wire import Message
from motorworks.geometry.array import Array

# field number of SeiMetadata -> our name, bytes of its floating point number (0: a whole number)
FIELDS: Mapping[int, tuple[str, int]] = {
    2: ("gear", 0),  # 0 park, 1 drive, 2 reverse, 3 neutral
    4: ("speed_mps", 4),
    6: ("wheel_deg", 4),  # of the steering wheel; positive to the right: their viewer turns its picture clockwise by it
    10: ("autopilot", 0),  # 0 none, 1 self-driving, 2 autosteer, 3 cruise control
    11: ("lat_deg", 8),
    12: ("lon_deg", 8),
    13: ("heading_deg", 8),  # clockwise from north
}
_SEI, _USER_DATA = 6, 5


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Times of a video's frames in its own clock, in order, and what was said beside them."""

    time_us: Int64[Array, " frame"]
    said_us: Int64[Array, " message"]
    said: Mapping[str, Float[Array, " message"]]  # by name in FIELDS
    num_torn: int = 0  # messages
    ended: str | None = None  # why the file could not be read to its end


def read_seen(path: Path) -> Seen:
    """Without decoding a picture; raises ValueError, OSError or av.FFmpegError where there is nothing to be had."""
    frames, rows, num_torn, ended = list[int](), list[tuple[int, dict[str, float]]](), 0, None
    with av.open(str(path)) as container:
        if not container.streams.video:
            raise ValueError("no video stream")
        stream = container.streams.video[0]
        says, extra = stream.codec_context.name == "h264", stream.codec_context.extradata or b""
        prefix = (extra[4] & 3) + 1 if len(extra) > 4 and extra[0] == 1 else None  # avcC, or else start codes
        try:
            for packet in container.demux(stream):
                if packet.pts is None or packet.time_base is None or not packet.size:
                    continue
                frames.append(round(packet.pts * packet.time_base * 1_000_000))
                for unit in units(bytes(packet), prefix) if says else ():
                    try:
                        if (payload := _payload(unit)) is not None:
                            rows.append((frames[-1], message(payload)))
                    except ValueError:
                        num_torn += 1
        except (av.FFmpegError, OSError) as error:
            ended = str(error)
    if not frames:
        raise ValueError(ended or "no frame with a time")
    rows.sort(key=lambda row: row[0])
    return Seen(
        time_us=np.unique(np.array(frames, np.int64)),
        said_us=np.array([time for time, _ in rows], np.int64),
        said={name: np.array([values.get(name, 0.0) for _, values in rows], np.float64) for name, _ in FIELDS.values()},
        num_torn=num_torn,
        ended=ended,
    )


def units(packet: bytes, prefix: int | None) -> Iterator[bytes]:
    """The units of a packet, each behind its length of so many bytes; None: between start codes."""
    if prefix is None:
        yield from (unit.rstrip(b"\0") for unit in packet.split(b"\0\0\1")[1:] if unit)
        return
    start = 0
    while start + prefix < len(packet):
        length = int.from_bytes(packet[start : start + prefix], "big")
        yield packet[start + prefix : start + prefix + length]
        start += prefix + length


def message(payload: bytes) -> dict[str, float]:
    """The FIELDS of a protobuf message that are there; raises ValueError for one that is torn or has a field of another type."""
    found = Message.of(memoryview(payload))
    there = {number: kind for number, kind in FIELDS.items() if number in found.values}
    return {name: float(found.floats(number, size)[-1] if size else found.integer(number)) for number, (name, size) in there.items()}


def _payload(unit: bytes) -> bytes | None:
    """The message in a unit; None where it holds none of Tesla's."""
    if len(unit) < 5 or unit[0] & 0x1F != _SEI or unit[1] != _USER_DATA:
        return None
    plain = unit.replace(b"\0\0\3", b"\0\0")[3:]  # H.264 puts a 3 where two zeros would look like a start; then type and size
    rest = plain.lstrip(b"\x42")
    return rest[1:-1] if len(rest) < len(plain) and rest[:1] == b"\x69" else None  # the last byte ends the unit

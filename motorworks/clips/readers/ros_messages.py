"""What one message says, for ROS 1, ROS 2 and Foxglove schemas alike, and pictures of every encoding as compressed bytes.

Foxglove writes a stamp as seconds and nanos (protobuf) or sec and nsec (JSON, where bytes are base64 text); ROS as sec and nanosec.
"""

import base64
import io
from collections.abc import Callable
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation
from jaxtyping import Float, UInt8
from PIL import Image

from motorworks.clips.frames import kept_size
from motorworks.clips.readers.rig_log import pose_matrix
from motorworks.geometry.array import Array

_CHANNELS = {"rgb8": (0, 1, 2), "bgr8": (2, 1, 0), "rgba8": (0, 1, 2), "bgra8": (2, 1, 0), "8UC3": (2, 1, 0), "mono8": (0, 0, 0), "8UC1": (0, 0, 0)}
_WIDTHS = {"rgba8": 4, "bgra8": 4, "mono8": 1, "8UC1": 1}
_CODECS = {"h264": "h264", "h265": "hevc", "vp9": "vp9", "av1": "libdav1d"}


def stamp_ns(message: Any) -> int:
    """When it happened by the sender's clock; 0 where it does not say."""
    header = getattr(message, "header", None)
    stamp = getattr(message, "timestamp", None) if header is None else getattr(header, "stamp", None)
    if stamp is None:
        return 0
    return int(_first(stamp, "sec", "secs", "seconds")) * 1_000_000_000 + int(_first(stamp, "nanosec", "nsec", "nsecs", "nanos"))


def frame_of(message: Any) -> str:
    """The frame it speaks of, without ROS 1's leading slash."""
    return str(getattr(getattr(message, "header", message), "frame_id", "")).strip("/")


def bytes_of(message: Any) -> bytes:
    """Its data; JSON has base64."""
    return base64.b64decode(message.data, validate=True) if isinstance(message.data, str) else bytes(message.data)


def odometry(message: Any) -> tuple[float, ...]:
    """x, y, z, qw, qx, qy, qz of the child frame in the world, and its own forward and left speed and yaw rate (NaN: not said)."""
    pose = message.pose.pose if hasattr(message.pose, "pose") else message.pose
    place, turn = pose.position, pose.orientation
    said = twist(message) if hasattr(message, "twist") else (np.nan,) * 3
    row = (*_xyz(place), *(float(getattr(turn, axis)) for axis in "wxyz"), *said)
    pose_matrix(row[3:7], row[:3])  # raises for what is no pose
    return row


def twist(message: Any) -> tuple[float, ...]:
    """Forward and left speed, yaw rate."""
    said = getattr(message, "twist", message)
    said = getattr(said, "twist", said)
    return _finite("twist", float(said.linear.x), float(said.linear.y), float(said.angular.z))


def imu(message: Any) -> tuple[float, ...]:
    """Turn rates about the sensor's own axes."""
    return _finite("angular_velocity", *_xyz(message.angular_velocity))


def fix(message: Any) -> tuple[float, ...]:
    """Latitude and longitude in degrees."""
    if getattr(getattr(message, "status", None), "status", 0) < 0:
        raise ValueError("the receiver has no fix (status -1)")
    return _finite("latitude or longitude", float(message.latitude), float(message.longitude))


def transforms(message: Any) -> list[tuple[str, str, Float[Array, "4 4"]]]:
    """(parent, child, parent_from_child) each."""
    found = []
    for one in getattr(message, "transforms", None) or [message]:
        if hasattr(one, "transform"):
            parent, child, place, turn = frame_of(one), one.child_frame_id, one.transform.translation, one.transform.rotation
        else:
            parent, child, place, turn = one.parent_frame_id, one.child_frame_id, one.translation, one.rotation
        found.append((parent.strip("/"), child.strip("/"), pose_matrix([getattr(turn, axis) for axis in "wxyz"], _xyz(place))))
    return found


def calibration(message: Any) -> tuple[tuple[int, int], Float[Array, "3 3"], bool]:
    """Size, intrinsics, and whether the lens is said to bend; ROS 2 writes k and d, ROS 1 and Foxglove K and D."""
    matrix = np.asarray(_first(message, "k", "K"), np.float64).reshape(3, 3)
    bends = bool((np.abs(np.asarray(_first(message, "d", "D"), np.float64)) > 1e-6).any())
    if not np.isfinite(matrix).all() or min(matrix[0, 0], matrix[1, 1], message.width, message.height) <= 0:
        raise ValueError("K, width or height is not set: the camera is not calibrated")
    return (int(message.width), int(message.height)), matrix, bends


def raw_picture(message: Any) -> bytes:
    """sensor_msgs/Image or foxglove/RawImage, shrunk to the kept size, as PNG. Bayer: the mean of each 2 x 2 cell, at half the size."""
    encoding, width, height, step = message.encoding, int(message.width), int(message.height), int(message.step)
    bayer = encoding.startswith("bayer_") and encoding.endswith("8")
    if not bayer and encoding not in _CHANNELS:
        known = ", ".join([*_CHANNELS, "bayer_rggb8 and its like"])
        raise ValueError(f"encoding {encoding!r} is not read ({known} are): record it as CompressedImage")
    used = width * (1 if bayer else _WIDTHS.get(encoding, 3))
    data = bytes_of(message)
    if len(data) < step * height or step < used or used == 0:
        raise ValueError(f"{len(data)} bytes are no {width} x {height} picture of {encoding} with rows of {step}")
    rows = np.frombuffer(data, np.uint8, step * height).reshape(height, step)[:, :used]
    if bayer:
        return png(_cells(rows, encoding[6:10]))
    return png(rows.reshape(height, width, -1)[..., list(_CHANNELS[encoding])])


def png(picture: UInt8[Array, "height width 3"]) -> bytes:
    """At the kept size."""
    image, file = Image.fromarray(np.ascontiguousarray(picture)), io.BytesIO()
    image.resize(kept_size(*image.size), Image.Resampling.BOX).save(file, format="PNG", compress_level=1)
    return file.getvalue()


def _cells(rows: UInt8[Array, "height width"], pattern: str) -> UInt8[Array, "half_height half_width 3"]:
    rows = rows[: len(rows) // 2 * 2, : rows.shape[1] // 2 * 2]
    parts = [rows[::2, ::2], rows[::2, 1::2], rows[1::2, ::2], rows[1::2, 1::2]]
    return np.stack([np.mean([part for part, its in zip(parts, pattern, strict=True) if its == colour], axis=0) for colour in "rgb"], axis=-1).astype(
        np.uint8
    )


class VideoTopic:
    """foxglove/CompressedVideo: each message is one frame's packet; a picture comes out as soon as the codec has it."""

    def __init__(self) -> None:
        self._codec: Any = None
        self._times: dict[int, tuple[int, int]] = {}

    def feed(self, message: Any, log_ns: int) -> list[tuple[int, int, Callable[[], bytes]]]:
        """(log time, stamp, PNG when called) of the pictures that came out; raises av.FFmpegError for a torn packet."""
        if self._codec is None:
            if message.format not in _CODECS:
                raise ValueError(f"format {message.format!r} is not read: {', '.join(_CODECS)} are")
            self._codec = av.CodecContext.create(_CODECS[message.format], "r")
            self._codec.thread_type, self._codec.thread_count = "NONE", 1
        packet = av.Packet(bytes_of(message))
        packet.pts = packet.dts = len(self._times)
        self._times[packet.pts] = log_ns, stamp_ns(message)
        return self._out(packet)

    def end(self) -> list[tuple[int, int, Callable[[], bytes]]]:
        """What the codec still held."""
        return [] if self._codec is None else self._out(None)

    def _out(self, packet: Any) -> list[tuple[int, int, Callable[[], bytes]]]:
        whole = [frame for frame in self._codec.decode(packet) if frame.pts in self._times and not frame.is_corrupt]
        return [(*self._times[frame.pts], lambda frame=frame: _frame_png(frame)) for frame in whole]


def _frame_png(frame: Any) -> bytes:
    width, height = kept_size(frame.width, frame.height)
    return png(frame.reformat(width=width, height=height, format="rgb24", interpolation=Interpolation.AREA).to_ndarray())


def _finite(field: str, *values: float) -> tuple[float, ...]:
    if not np.isfinite(values).all():
        raise ValueError(f"{field} is not finite")
    return values


def _xyz(vector: Any) -> tuple[float, float, float]:
    return float(vector.x), float(vector.y), float(vector.z)


def _first(message: Any, *names: str) -> Any:
    for name in names:
        if hasattr(message, name):
            return getattr(message, name)
    raise ValueError(f"no field {' or '.join(names)}")

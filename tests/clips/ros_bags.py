"""Bags of one drive, written by other people's writers: a left circle at 8 m/s, a front and a left camera, all that a topic can say of it."""

import io
import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from scipy.spatial.transform import Rotation

from motorworks.datatypes.rig import SURROUND7

SPEED_MPS, YAW_RATE, SECONDS = 8.0, 0.1, 6
SIZE = (320, 180)
FOCAL_PX, CENTRE_PX = 175.0, (160.0, 75.0)
START_NS, LATE_NS = 1_700_000_000_000_000_000, 30_000_000
LAT, LON = 48.0, 11.0
VIDEO_TYPE = "foxglove_msgs/msg/CompressedVideo"
VIDEO_TEXT = "builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format"
FRONT, LEFT, ODOMETRY = "/camera/front/image_raw/compressed", "/camera/left/image_raw", "/localization/odometry"
INFO = "/camera/{}/camera_info"

ROS2 = get_typestore(Stores.ROS2_HUMBLE)
ROS2.register(get_types_from_msg(VIDEO_TEXT, VIDEO_TYPE))
ROS1 = get_typestore(Stores.ROS1_NOETIC)
ROS1.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", "tf2_msgs/msg/TFMessage"))


class Message(SimpleNamespace):
    """What is to be written: topic, type, log_ns, and `fields` as nested dicts."""


def _ns(time_s: float) -> int:
    return START_NS + round(time_s * 1e9)


def header(time_s: float, frame: str) -> dict[str, Any]:
    return {"stamp": {"sec": _ns(time_s) // 10**9, "nanosec": _ns(time_s) % 10**9}, "frame_id": frame}


def _turn(quaternion_xyzw: Any) -> dict[str, float]:
    return dict(zip("xyzw", map(float, quaternion_xyzw), strict=True))


def _vector(x: float, y: float = 0.0, z: float = 0.0) -> dict[str, float]:
    return {"x": float(x), "y": float(y), "z": float(z)}


def pose(time_s: float) -> tuple[float, float, float]:
    yaw, radius = 0.4 + YAW_RATE * time_s, SPEED_MPS / YAW_RATE
    return 400 + radius * np.sin(yaw), -200 - radius * np.cos(yaw), yaw


def level(time_s: float, camera: int) -> int:
    """The grey of a camera's picture: so that pictures of one moment can be told."""
    return round(20 * time_s) + 90 * camera


def jpeg(grey: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((SIZE[1], SIZE[0], 3), grey, np.uint8)).save(file, format="JPEG")
    return file.getvalue()


def _times(hz: float) -> Iterator[float]:
    return (step / hz for step in range(round(SECONDS * hz)))


def message(topic: str, kind: str, time_s: float, fields: dict[str, Any], late_ns: int = LATE_NS) -> Message:
    return Message(topic=topic, type=kind, log_ns=_ns(time_s) + late_ns, fields=fields)


def front(hz: float = 20.0, topic: str = FRONT) -> list[Message]:
    return [
        message(
            topic,
            "sensor_msgs/msg/CompressedImage",
            time,
            {"header": header(time, "front_optical"), "format": "jpeg", "data": jpeg(level(time, 0))},
        )
        for time in _times(hz)
    ]


def left(encoding: str = "bgr8", topic: str = LEFT) -> list[Message]:
    """Raw, reddish by 30, with four bytes of padding a row."""
    found = []
    for time in _times(10.0):
        grey = level(time, 1)
        colour = (grey + 30, grey, grey)
        picture = np.full((SIZE[1], SIZE[0], 3), colour[::-1] if encoding == "bgr8" else colour, np.uint8)
        if encoding.startswith("bayer"):
            picture = np.array([[[colour["rgb".index(letter)]] for letter in row] for row in (encoding[6:8], encoding[8:10])], np.uint8)
            picture = np.tile(picture, (SIZE[1] // 2, SIZE[0] // 2, 1))
        rows = np.pad(picture.reshape(SIZE[1], -1), ((0, 0), (0, 4)))
        fields = {"header": header(time, "left_optical"), "height": SIZE[1], "width": SIZE[0], "encoding": encoding, "is_bigendian": 0}
        found.append(message(topic, "sensor_msgs/msg/Image", time, fields | {"step": rows.shape[1], "data": rows.tobytes()}))
    return found


def info(camera: str, frame: str) -> list[Message]:
    matrix = [FOCAL_PX, 0.0, CENTRE_PX[0], 0.0, FOCAL_PX, CENTRE_PX[1], 0.0, 0.0, 1.0]
    fields = {"height": SIZE[1], "width": SIZE[0], "distortion_model": "plumb_bob", "d": [0.0] * 5, "k": matrix, "r": np.eye(3).ravel().tolist()}
    roi = {"x_offset": 0, "y_offset": 0, "height": 0, "width": 0, "do_rectify": False}
    more = {"p": np.eye(3, 4).ravel().tolist(), "binning_x": 0, "binning_y": 0, "roi": roi}
    return [message(INFO.format(camera), "sensor_msgs/msg/CameraInfo", 0.0, {"header": header(0.0, frame)} | fields | more)]


def transforms() -> list[Message]:
    """base_link to each camera's optical frame; the left one over a link of its own."""
    rows = []
    for name, camera in (("front", SURROUND7.cameras[0]), ("left", SURROUND7.cameras[1])):
        parent = "base_link"
        place, turn = np.array(camera.position_rig_m), camera.rig_from_camera
        if name == "left":
            rows.append(("base_link", "left_link", np.array([0.5, 0.2, 0.0]), np.eye(3)))
            parent, place = "left_link", place - [0.5, 0.2, 0.0]
        rows.append((parent, f"{name}_optical", place, turn))
    found = [
        {
            "header": header(0.0, parent),
            "child_frame_id": child,
            "transform": {"translation": _vector(*place), "rotation": _turn(Rotation.from_matrix(turn).as_quat())},
        }
        for parent, child, place, turn in rows
    ]
    return [message("/tf_static", "tf2_msgs/msg/TFMessage", 0.0, {"transforms": found})]


def odometry(
    hz: float = 50.0, topic: str = ODOMETRY, place_rig: tuple[float, float, float] = (0.0, 0.0, 0.0), child: str = "base_link"
) -> list[Message]:
    """Of a frame there in the rig: ahead, to the left, turned to the left."""
    ahead, aside, turned = place_rig
    speed_x, speed_y = SPEED_MPS - YAW_RATE * aside, YAW_RATE * ahead
    own = np.cos(turned) * speed_x + np.sin(turned) * speed_y, np.cos(turned) * speed_y - np.sin(turned) * speed_x
    found = []
    for time in _times(hz):
        x, y, yaw = pose(time)
        place = _vector(x + ahead * np.cos(yaw) - aside * np.sin(yaw), y + ahead * np.sin(yaw) + aside * np.cos(yaw), 12.0)
        half = (yaw + turned) / 2
        pose_ = {"position": place, "orientation": _turn((0.0, 0.0, np.sin(half), np.cos(half)))}
        twist_ = {"linear": _vector(*own), "angular": _vector(0.0, 0.0, YAW_RATE)}
        fields = {"header": header(time, "map"), "child_frame_id": child}
        fields |= {"pose": {"pose": pose_, "covariance": [0.0] * 36}, "twist": {"twist": twist_, "covariance": [0.0] * 36}}
        found.append(message(topic, "nav_msgs/msg/Odometry", time, fields))
    return found


def twist(*, rate: float = YAW_RATE, topic: str = "/vehicle/twist") -> list[Message]:
    return [
        message(
            topic,
            "geometry_msgs/msg/TwistStamped",
            time,
            {"header": header(time, "base_link"), "twist": {"linear": _vector(SPEED_MPS), "angular": _vector(0.0, 0.0, rate)}},
        )
        for time in _times(25.0)
    ]


def imu() -> list[Message]:
    still = {"orientation": _turn((0, 0, 0, 1)), "orientation_covariance": [0.0] * 9, "angular_velocity_covariance": [0.0] * 9}
    still |= {"linear_acceleration": _vector(0.0), "linear_acceleration_covariance": [0.0] * 9}
    return [
        message("/imu", "sensor_msgs/msg/Imu", time, {"header": header(time, "imu"), "angular_velocity": _vector(0.0, 0.0, YAW_RATE)} | still)
        for time in _times(100.0)
    ]


def fix() -> list[Message]:
    found = []
    for time in _times(10.0):
        x, y, _ = pose(time)
        fields = {"header": header(time, "antenna"), "status": {"status": 0, "service": 1}, "altitude": 500.0}
        fields |= {"latitude": LAT + (y + 200) / 111_177.0, "longitude": LON + (x - 400) / (111_412.84 * 0.66913 + 93.5 * -0.01)}
        found.append(
            message("/gnss/fix", "sensor_msgs/msg/NavSatFix", time, fields | {"position_covariance": [0.0] * 9, "position_covariance_type": 0})
        )
    return found


def instruction() -> list[Message]:
    """Heard by no clock of its own: the log's, 30 ms late."""
    texts = {0.0: "go straight on", 2.98: "turn left"}
    return [message("/instruction", "std_msgs/msg/String", time, {"data": text}) for time, text in texts.items()]


def video(camera: str = "front") -> list[Message]:
    """H.264 at 20 Hz, a packet a message, without B-frames; twice as bright, so that one frame off can be told."""
    import av

    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt, codec.framerate = *SIZE, "yuv420p", 20
    codec.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "12", "g": "20", "x264-params": "repeat-headers=1:annexb=1"}
    found = []
    for time in _times(20.0):
        frame = av.VideoFrame.from_ndarray(np.full((SIZE[1], SIZE[0], 3), 2 * level(time, 0), np.uint8), format="rgb24")
        frame.pts = round(time * 20)
        data = b"".join(bytes(packet) for packet in codec.encode(frame))
        fields = {"timestamp": header(time, "")["stamp"], "frame_id": f"{camera}_optical", "data": data, "format": "h264"}
        found.append(message(f"/camera/{camera}/video", VIDEO_TYPE, time, fields))
    return found


def drive() -> list[Message]:
    """All that a well kept bag of two cameras holds."""
    return [*front(), *left(), *info("front", "front_optical"), *info("left", "left_optical"), *transforms(), *odometry(), *instruction()]


def _object(store: Any, kind: str, fields: Any) -> Any:
    """Of nested dicts, by the fields that the type has; ROS 1 has its own names for some."""
    values = {}
    for name, (node, what) in ((name, desc) for name, desc in store.fielddefs[kind][1]):
        value = fields.get(name, fields.get(name.lower(), 0))
        if int(node) == 2:
            value = _object(store, what, value)
        elif int(node) in (3, 4):
            (inner, its), _ = what
            if int(inner) == 2:
                value = [_object(store, its, one) for one in value]
            else:
                value = np.frombuffer(value, np.uint8) if isinstance(value, bytes) else np.array(value, np.dtype(its[0]))
        values[name] = value
    return store.types[kind](**values)


def write_bag1(path: Path, messages: list[Message]) -> Path:
    with Writer1(path) as writer:
        _write(writer, ROS1, ROS1.serialize_ros1, messages)
    return path


def write_bag2(path: Path, messages: list[Message], storage: StoragePlugin = StoragePlugin.SQLITE3) -> Path:
    with Writer2(path, version=9, storage_plugin=storage) as writer:
        _write(writer, ROS2, ROS2.serialize_cdr, messages)
    return path


def write_bag2_mcap(path: Path, messages: list[Message]) -> Path:
    return write_bag2(path, messages, StoragePlugin.MCAP)


def _write(writer: Any, store: Any, serialize: Callable[[Any, str], Any], messages: list[Message]) -> None:
    connections: dict[str, Any] = {}
    for one in sorted(messages, key=lambda one: one.log_ns):
        if one.topic not in connections:
            connections[one.topic] = writer.add_connection(one.topic, one.type, typestore=store)
        writer.write(connections[one.topic], one.log_ns, serialize(_object(store, one.type, one.fields), one.type))


def write_mcap(path: Path, messages: list[Message], compression: str = "ZSTD") -> Path:
    """By mcap-ros2-support, which rosbags had no hand in."""
    from mcap.writer import CompressionType
    from mcap_ros2.writer import Writer

    with path.open("wb") as stream:
        writer, schemas = Writer(stream, chunk_size=1 << 18, compression=CompressionType[compression]), dict[str, Any]()
        for one in sorted(messages, key=lambda one: one.log_ns):
            if one.type not in schemas:
                schemas[one.type] = writer.register_msgdef(one.type, ROS2.generate_msgdef(one.type, ros_version=2)[0])
            writer.write_message(one.topic, schemas[one.type], one.fields, log_time=one.log_ns, publish_time=one.log_ns)
        writer.finish()
    return path


def foxglove(messages: list[Message]) -> list[Message]:
    """The same drive in Foxglove's own schemas; odometry becomes poses without speed."""
    found = []
    for one in messages:
        stamp = one.fields.get("header", {}).get("stamp", {"sec": 0, "nanosec": 0})
        head = {"timestamp": stamp, "frame_id": one.fields.get("header", {}).get("frame_id", "")}
        if one.type.endswith("CompressedImage"):
            found.append(Message(**vars(one) | {"type": "foxglove.CompressedImage", "fields": head | {"data": one.fields["data"], "format": "jpeg"}}))
        elif one.type.endswith("Odometry"):
            found.append(Message(**vars(one) | {"type": "foxglove.PoseInFrame", "fields": head | {"pose": one.fields["pose"]["pose"]}}))
        elif one.type.endswith("NavSatFix"):
            place = {name: one.fields[name] for name in ("latitude", "longitude", "altitude")}
            found.append(Message(**vars(one) | {"type": "foxglove.LocationFix", "fields": head | place}))
        elif one.type.endswith("CameraInfo"):
            names = {"K": "k", "D": "d", "R": "r", "P": "p", "width": "width", "height": "height"}
            fields = head | {name: one.fields[its] for name, its in names.items()}
            found.append(Message(**vars(one) | {"type": "foxglove.CameraCalibration", "fields": fields}))
        elif one.type.endswith("TFMessage"):
            for row in one.fields["transforms"]:
                fields = {"timestamp": row["header"]["stamp"], "parent_frame_id": row["header"]["frame_id"], "child_frame_id": row["child_frame_id"]}
                found.append(Message(topic="/tf", type="foxglove.FrameTransform", log_ns=one.log_ns, fields=fields | row["transform"]))
    return found


def _write_foxglove(
    path: Path, messages: list[Message], encoding: str, schema: Callable[[str], tuple[str, bytes]], encode: Callable[..., bytes]
) -> Path:
    from mcap.writer import Writer

    with path.open("wb") as stream:
        writer, channels = Writer(stream, chunk_size=1 << 18), dict[str, int]()
        writer.start()
        for one in sorted(foxglove(messages), key=lambda one: one.log_ns):
            if one.topic not in channels:
                kind, data = schema(one.type)
                schema_id = writer.register_schema(one.type, kind, data)
                channels[one.topic] = writer.register_channel(one.topic, encoding, schema_id)
            writer.add_message(channels[one.topic], one.log_ns, encode(one), one.log_ns)
        writer.finish()
    return path


def write_json(path: Path, messages: list[Message]) -> Path:
    def encode(one: Message) -> bytes:
        fields = one.fields | {"timestamp": {"sec": one.fields["timestamp"]["sec"], "nsec": one.fields["timestamp"]["nanosec"]}}
        return json.dumps(fields, default=lambda data: b64encode(data).decode()).encode()

    return _write_foxglove(path, messages, "json", lambda _: ("jsonschema", b"{}"), encode)


def write_protobuf(path: Path, messages: list[Message]) -> Path:
    """With descriptors as foxglove's .proto files give them, the imported one last in the set."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

    f = descriptor_pb2.FieldDescriptorProto
    text, real, whole, raw, inner = f.TYPE_STRING, f.TYPE_DOUBLE, f.TYPE_FIXED32, f.TYPE_BYTES, f.TYPE_MESSAGE
    xyz, head = [(axis, real) for axis in "xyz"], [("timestamp", ".google.protobuf.Timestamp"), ("frame_id", text)]
    shapes: dict[str, list[tuple[str, Any]]] = {
        "Vector3": xyz,
        "Quaternion": [*xyz, ("w", real)],
        "Pose": [("position", ".foxglove.Vector3"), ("orientation", ".foxglove.Quaternion")],
        "CompressedImage": [*head, ("data", raw), ("format", text)],
        "PoseInFrame": [*head, ("pose", ".foxglove.Pose")],
        "LocationFix": [*head, ("latitude", real), ("longitude", real), ("altitude", real)],
        "CameraCalibration": [*head, ("width", whole), ("height", whole), *((name, [real]) for name in "DKRP")],
        "FrameTransform": [head[0], ("parent_frame_id", text), ("child_frame_id", text)],
    }
    shapes["FrameTransform"] += [("translation", ".foxglove.Vector3"), ("rotation", ".foxglove.Quaternion")]
    file = descriptor_pb2.FileDescriptorProto(name="foxglove.proto", package="foxglove", syntax="proto3")
    file.dependency.append("google/protobuf/timestamp.proto")
    for name, fields in shapes.items():
        shape = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields, start=1):
            label = f.LABEL_REPEATED if isinstance(kind, list) else f.LABEL_OPTIONAL
            own = kind[0] if isinstance(kind, list) else inner if isinstance(kind, str) else kind
            shape.field.add(name=field, number=number, type=own, label=label, type_name=kind if isinstance(kind, str) else None)
    time_file = descriptor_pb2.FileDescriptorProto()
    timestamp_pb2.DESCRIPTOR.CopyToProto(time_file)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(time_file)
    pool.Add(file)
    everything = descriptor_pb2.FileDescriptorSet(file=[file, time_file]).SerializeToString()

    def encode(one: Message) -> bytes:
        stamp = one.fields["timestamp"]
        fields = one.fields | {"timestamp": {"seconds": stamp["sec"], "nanos": stamp["nanosec"]}}
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(one.type))(**fields).SerializeToString()

    return _write_foxglove(path, messages, "protobuf", lambda _: ("protobuf", everything), encode)


WRITERS = {
    "ros 1": ("drive.bag", write_bag1),
    "ros 2 db3": ("drive", write_bag2),
    "ros 2 mcap": ("drive", write_bag2_mcap),
    "mcap cdr": ("drive.mcap", write_mcap),
    "mcap cdr, not compressed": ("drive.mcap", partial(write_mcap, compression="NONE")),
    "mcap json": ("drive.mcap", write_json),
    "mcap protobuf": ("drive.mcap", write_protobuf),
}

"""Which topics of a bag are taken: those that ingest.toml names, else by their types.

A name that is not in the bag, and a choice that cannot be made, raise TopicsBroken with the lines to write into ingest.toml.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from motorworks.clips.readers.settings import Topics
from motorworks.datatypes.clip import FRONT_CAMERA

IMAGES = ("sensor_msgs/CompressedImage", "sensor_msgs/Image", "foxglove/CompressedImage", "foxglove/CompressedVideo", "foxglove/RawImage")
POSES = ("nav_msgs/Odometry", "foxglove/PoseInFrame", "geometry_msgs/PoseStamped", "geometry_msgs/PoseWithCovarianceStamped")
TWISTS = ("geometry_msgs/TwistStamped", "geometry_msgs/TwistWithCovarianceStamped", "geometry_msgs/Twist", "nav_msgs/Odometry")
IMUS = ("sensor_msgs/Imu",)
FIXES = ("sensor_msgs/NavSatFix", "foxglove/LocationFix")
TEXTS = ("std_msgs/String",)
INFOS = ("sensor_msgs/CameraInfo", "foxglove/CameraCalibration")
TRANSFORMS = ("tf2_msgs/TFMessage", "tf/tfMessage", "foxglove/FrameTransform", "foxglove/FrameTransforms")
_ROLES = {"odometry": POSES, "twist": TWISTS, "imu": IMUS, "fix": FIXES, "instruction": TEXTS}
# a PoseStamped may be a goal and a TwistStamped a command: these are taken where ingest.toml names them
_GUESSED = {"odometry": POSES[:2], "twist": TWISTS[:2], "imu": IMUS, "fix": FIXES, "instruction": TEXTS}
_NO_NAME = {"camera", "cameras", "image", "raw", "rect", "color", "compressed", "video", "sensing", "sensor", "sensors"}
_LEVELS = 3  # from an image's topic up to its camera_info


class TopicsBroken(ValueError):
    """No choice can be made; the message says what to write into ingest.toml."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The topics that are read, and how that came about."""

    cameras: Mapping[str, str]  # topic by camera; the first looks ahead
    roles: Mapping[str, str]  # topic of odometry, twist, imu, fix, instruction
    infos: Mapping[str, str]  # topic of the calibration by camera
    transforms: tuple[str, ...]
    guessed: tuple[str, ...]  # roles and cameras that ingest.toml does not name

    @property
    def all(self) -> set[str]:
        """Every topic that is read."""
        return {*self.cameras.values(), *self.roles.values(), *self.infos.values(), *self.transforms}

    def say(self, types: Mapping[str, str]) -> str:
        """One line for a person."""
        taken = [f"{name} {topic} ({types[topic]})" for name, topic in {**self.cameras, **self.roles}.items()]
        more = f"; {', '.join(self.guessed)} guessed by type: [topics] in ingest.toml chooses others" if self.guessed else ""
        return f"taken are {', '.join(taken)}{more}"


def choose(types: Mapping[str, str], named: Topics) -> Chosen:
    """Of the bag's topics and their types."""
    cameras, guessed = _cameras(types, named)
    roles = {}
    motion_named = any((named.odometry, named.twist, named.fix))
    for role, fitting in _ROLES.items():
        topic = getattr(named, role)
        if topic is None and not (motion_named and role not in ("imu", "instruction")) and _wanted(role, roles, named):
            topic = _guess(role, types)
            guessed += [role] * (topic is not None)
        if topic:
            _check(role, topic, fitting, types)
            roles[role] = topic
    return Chosen(
        cameras=cameras,
        roles=roles,
        infos={name: info for name, topic in cameras.items() if (info := _info(topic, types)) is not None},
        transforms=tuple(sorted(topic for topic, kind in types.items() if kind in TRANSFORMS)),
        guessed=tuple(guessed),
    )


def _wanted(role: str, roles: Mapping[str, str], named: Topics) -> bool:
    """Motion is guessed from the best source alone, so that two of another are no reason to ask."""
    if role == "imu":
        return "odometry" not in roles and "twist" in roles
    if role == "fix":
        return "odometry" not in roles and not ("twist" in roles and "imu" in roles)
    return role != "twist" or "odometry" not in roles


def _guess(role: str, types: Mapping[str, str]) -> str | None:
    for kind in _GUESSED[role]:
        found = sorted(topic for topic, its in types.items() if its == kind)
        if role == "twist":
            found = [topic for topic in found if not re.search("cmd|command|target|desired", topic)]
        if role == "instruction":
            found = [topic for topic in found if "instruction" in topic]
        if len(found) > 1:
            raise TopicsBroken(
                f"{len(found)} topics may be {role}: {', '.join(found)}. Write into ingest.toml the line [topics] and, below it, the line "
                f'{role} = "{found[0]}" (or "" for none)'
            )
        if found:
            return found[0]
    return None


def _cameras(types: Mapping[str, str], named: Topics) -> tuple[dict[str, str], list[str]]:
    """By name, the one that looks ahead first; and which of them were guessed."""
    for name, topic in {FRONT_CAMERA: named.front, **named.cameras}.items():
        if topic:
            _check(name, topic, IMAGES, types)
    found = [topic for topic, kind in types.items() if kind in IMAGES and not re.search("depth|theora|mask", topic, re.IGNORECASE)]
    found = _one_each(sorted(topic for topic in found if f"{topic}/compressed" not in found), types)
    front = named.front or min(
        found, key=lambda topic: ("front" not in topic.lower(), len(topic) if "front" in topic.lower() else 0, topic), default=None
    )
    if front is None:
        raise TopicsBroken(f"no topic of pictures ({', '.join(IMAGES)}); there is {_list(types, types)}")
    if named.front or named.cameras:
        return {FRONT_CAMERA: front, **{name: topic for name, topic in named.cameras.items() if topic}}, [] if named.front else [FRONT_CAMERA]
    others = {topic: _camera_name(topic) for topic in found if topic != front}
    names = list(others.values())
    unique = {
        topic: name if names.count(name) == 1 and name not in ("", FRONT_CAMERA) else topic.strip("/").replace("/", "_")
        for topic, name in others.items()
    }
    return {FRONT_CAMERA: front, **{name: topic for topic, name in unique.items()}}, [FRONT_CAMERA, *unique.values()]


def _one_each(found: Sequence[str], types: Mapping[str, str]) -> list[str]:
    """Of several topics of one camera (raw, rectified, compressed) the first, a compressed one if there is any."""
    by_name: dict[str, list[str]] = {}
    for topic in found:
        by_name.setdefault(_camera_name(topic) or topic, []).append(topic)
    return sorted(min(topics, key=lambda topic: ("Compressed" not in types[topic], topic)) for topics in by_name.values())


def _camera_name(topic: str) -> str:
    """/camera/front_left/image_raw/compressed is front_left."""
    words = [word for word in re.split("[/_]", topic.lower()) if word and word not in _NO_NAME]
    return "_".join(words)


def _info(topic: str, types: Mapping[str, str]) -> str | None:
    """As image_transport has it: camera_info stands beside the image's topic or above it."""
    parts = topic.strip("/").split("/")
    for keep in range(len(parts), max(0, len(parts) - _LEVELS - 1), -1):
        for name in ("camera_info", "calibration"):
            place = "/".join(["", *parts[:keep], name])
            if types.get(place, types.get(place[1:])) in INFOS:
                return place if place in types else place[1:]
    return None


def _check(role: str, topic: str, fitting: Collection[str], types: Mapping[str, str]) -> None:
    if topic not in types:
        raise TopicsBroken(f"ingest.toml [topics] {role}: there is no topic {topic}; of its types there is {_list(types, fitting)}")
    if types[topic] not in fitting:
        raise TopicsBroken(f"ingest.toml [topics] {role}: {topic} is {types[topic]}, not one of {', '.join(fitting)}")


def _list(types: Mapping[str, str], fitting: Collection[str]) -> str:
    kinds = set(fitting if not isinstance(fitting, Mapping) else fitting.values())
    return ", ".join(f"{topic} ({kind})" for topic, kind in sorted(types.items()) if kind in kinds) or "none"

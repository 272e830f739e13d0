"""Bytes of one MCAP channel to objects with the message's fields: CDR and ROS 1 by rosbags, JSON, and protobuf by the descriptors in the file."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


class Decoder:
    """Of one channel, made when its first message is wanted."""

    def __init__(self, encoding: str, schema: Any) -> None:
        self._encoding, self._schema = encoding, schema
        self._decode: Callable[[bytes], Any] | None = None

    def __call__(self, data: bytes) -> Any:
        self._decode = self._decode or self._make()
        return self._decode(data)

    def _make(self) -> Callable[[bytes], Any]:
        if self._encoding == "json":
            return lambda data: json.loads(data, object_hook=lambda fields: SimpleNamespace(**fields))
        if self._schema is None:
            raise ValueError(f"encoding {self._encoding!r} without a schema: record it with one")
        if self._encoding in ("cdr", "ros1"):
            return _ros_decoder(self._encoding, self._schema.name, self._schema.encoding, self._schema.data.decode())
        if self._encoding == "protobuf":
            return _protobuf_decoder(self._schema)
        raise ValueError(f"encoding {self._encoding!r} is not read: cdr, ros1, json and protobuf are")


def _ros_decoder(encoding: str, name: str, schema_encoding: str, text: str) -> Callable[[bytes], Any]:
    from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

    full = name if "/msg/" in name else name.replace("/", "/msg/")
    store = get_typestore(Stores.EMPTY)
    if schema_encoding in ("ros2msg", "ros1msg"):
        store.register(get_types_from_msg(text, full))
    elif schema_encoding in ("ros2idl", "omgidl"):
        parts = text.split("=" * 80 + "\n")
        for part in parts:
            if part.strip():
                store.register(get_types_from_idl(part.partition("\n")[2] if part.startswith("IDL: ") else part))
    else:
        raise ValueError(f"schema encoding {schema_encoding!r} of {name} is not read: ros2msg, ros1msg, ros2idl and omgidl are")
    decode = store.deserialize_ros1 if encoding == "ros1" else store.deserialize_cdr
    return lambda data: decode(data, full)


def _protobuf_decoder(schema: Any) -> Callable[[bytes], Any]:
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError as error:
        raise ValueError("encoding protobuf needs protobuf: pip install 'motorworks[data]'") from error
    pool = descriptor_pool.DescriptorPool()
    files = {file.name: file for file in descriptor_pb2.FileDescriptorSet.FromString(schema.data).file}

    def add(name: str) -> None:
        """After those it imports: not every writer keeps that order."""
        if (file := files.pop(name, None)) is not None:
            for other in file.dependency:
                add(other)
            pool.Add(file)

    for name in tuple(files):
        add(name)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(schema.name)).FromString

"""Other descriptors for OTLP's bytes: each message says only what one step needs to know.

A protobuf field may be read by any descriptor of the same wire type, and a singular message that
occurs several times is merged. So upb does the work that a loop in Python would do:

- `Request` leaves spans, resources and scopes as bytes.
- `Heads` merges all spans of a message into one, which leaves two flat lists: every trace id and
  every tracestate, in order.
- `Head` is that for one span, where the flat lists do not decide.
- `LightSpan` leaves events and links out, and reads the attributes as a map, which the wire
  does not tell from a list of keys and values: only those that are wanted are looked at.
- `Counts` counts what a hostile span repeats, before anything is made of it.
"""

from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.common.v1 import common_pb2

_PACKAGE = "assay.envelope"
_ANY_VALUE = ".opentelemetry.proto.common.v1.AnyValue"
_TYPES = {
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "string": FieldDescriptorProto.TYPE_STRING,
    "fixed64": FieldDescriptorProto.TYPE_FIXED64,
    "int32": FieldDescriptorProto.TYPE_INT32,
}

_MESSAGES = {
    "Request": "repeated ResourceSpans resource_spans 1",
    "ResourceSpans": "repeated bytes resource 1, repeated ScopeSpans scope_spans 2",
    # Repeated, because a message may come in parts: joined they are the merged message.
    "ScopeSpans": "repeated bytes scope 1, repeated bytes spans 2",
    "Heads": "optional MergedResourceSpans resource_spans 1",
    "MergedResourceSpans": "optional MergedScopeSpans scope_spans 2",
    "MergedScopeSpans": "optional MergedSpans spans 2",
    "MergedSpans": "repeated bytes trace_id 1, repeated bytes trace_state 3",
    "Head": "optional bytes trace_id 1, optional bytes trace_state 3",
    "Counts": "repeated bytes attributes 9, repeated bytes events 11, repeated bytes links 13",
    "LightSpan": (
        "optional bytes trace_id 1, optional bytes span_id 2, optional string trace_state 3,"
        "optional bytes parent_span_id 4, optional string name 5,"
        "optional fixed64 start_time_unix_nano 7, optional fixed64 end_time_unix_nano 8,"
        "map AnyValue attributes 9, optional LightStatus status 15"
    ),
    "LightStatus": "optional int32 code 3",
}


def _build() -> dict[str, Any]:
    file = FileDescriptorProto(
        name="assay/envelope.proto",
        package=_PACKAGE,
        syntax="proto3",
        dependency=[common_pb2.DESCRIPTOR.name],
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for declaration in fields.split(","):
            _add_field(message, *declaration.split())
    # A pool of our own: nothing is registered beside the application's generated modules.
    pool = DescriptorPool()
    pool.AddSerializedFile(common_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return {
        name: GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


def _add_field(message: DescriptorProto, label: str, kind: str, name: str, number: str) -> None:
    field = message.field.add(name=name, number=int(number))
    if label == "map":
        entry = message.nested_type.add(name=f"{name.title()}Entry")
        entry.options.map_entry = True
        _add_field(entry, "optional", "string", "key", "1")
        _add_field(entry, "optional", _ANY_VALUE, "value", "2")
        label, kind = "repeated", f"{message.name}.{entry.name}"
    field.label = (
        FieldDescriptorProto.LABEL_REPEATED
        if label == "repeated"
        else FieldDescriptorProto.LABEL_OPTIONAL
    )
    if kind in _TYPES:
        field.type = _TYPES[kind]
    else:
        field.type = FieldDescriptorProto.TYPE_MESSAGE
        field.type_name = kind if kind.startswith(".") else f".{_PACKAGE}.{kind}"


_CLASSES = _build()
Request: Any = _CLASSES["Request"]
Heads: Any = _CLASSES["Heads"]
Head: Any = _CLASSES["Head"]
Counts: Any = _CLASSES["Counts"]
LightSpan: Any = _CLASSES["LightSpan"]

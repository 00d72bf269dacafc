"""The protobuf messages of a trace, with just the fields tfopt reads, in a descriptor pool of their own.

Reading a trace must not import TensorFlow, and must not clash with a TensorFlow that the same process imports later;
so the messages are declared here instead of being taken from TensorFlow's private modules. Field numbers and types
are those of `tsl/profiler/protobuf/xplane.proto`, `xla/service/hlo.proto` and `xla/xla_data.proto`; fields that are
not listed are skipped by the parser. `XPlane.lines` and `XEvent.stats` are declared as bytes (the same encoding as a
message) so that a reader can decode one line at a time, and stats only where they matter: that keeps the memory
needed near the size of the file.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

__all__ = ["message", "text"]

# message → field → (number, type); a leading "*" marks a repeated field.
_XPLANE: dict[str, dict[str, tuple[int, str]]] = {
    "XSpace": {
        "planes": (1, "*XPlane"),
        "errors": (2, "*string"),
        "warnings": (3, "*string"),
        "hostnames": (4, "*string"),
    },
    "XPlane": {
        "id": (1, "int64"),
        "name": (2, "string"),
        "lines": (3, "*bytes"),
        "event_metadata": (4, "*EventMetadataEntry"),
        "stat_metadata": (5, "*StatMetadataEntry"),
        "stats": (6, "*XStat"),
    },
    "EventMetadataEntry": {"key": (1, "int64"), "value": (2, "XEventMetadata")},
    "StatMetadataEntry": {"key": (1, "int64"), "value": (2, "XStatMetadata")},
    "XLine": {
        "id": (1, "int64"),
        "name": (2, "string"),
        "timestamp_ns": (3, "int64"),
        "events": (4, "*XEvent"),
        "display_name": (11, "string"),
    },
    # The same line again, for its beginning alone.
    "XLineBeginning": {"timestamp_ns": (3, "int64")},
    "XEvent": {
        "metadata_id": (1, "int64"),
        "offset_ps": (2, "int64"),
        "duration_ps": (3, "int64"),
        "stats": (4, "*bytes"),
    },
    "XStat": {
        "metadata_id": (1, "int64"),
        "double_value": (2, "double?"),
        "uint64_value": (3, "uint64?"),
        "int64_value": (4, "int64?"),
        "str_value": (5, "string?"),
        "bytes_value": (6, "bytes?"),
        "ref_value": (7, "uint64?"),
    },
    "XEventMetadata": {
        "id": (1, "int64"),
        "name": (2, "string"),
        "display_name": (4, "string"),
        "stats": (5, "*XStat"),
    },
    "XStatMetadata": {"id": (1, "int64"), "name": (2, "string")},
}

_HLO: dict[str, dict[str, tuple[int, str]]] = {
    "HloProto": {"hlo_module": (1, "HloModuleProto"), "buffer_assignment": (3, "BufferAssignmentProto")},
    "BufferAssignmentProto": {"buffer_allocations": (3, "*BufferAllocationProto")},
    "BufferAllocationProto": {
        "size": (2, "int64"),
        "is_thread_local": (3, "int64"),
        "is_entry_computation_parameter": (5, "int64"),
        "maybe_live_out": (7, "int64"),
        "is_constant": (12, "int64"),
    },
    "HloModuleProto": {
        "name": (1, "string"),
        "computations": (3, "*HloComputationProto"),
        "id": (5, "int64"),
        "entry_computation_id": (6, "int64"),
    },
    "HloComputationProto": {
        "name": (1, "string"),
        "instructions": (2, "*HloInstructionProto"),
        "id": (5, "int64"),
        "root_id": (6, "int64"),
    },
    "HloInstructionProto": {
        "name": (1, "string"),
        "opcode": (2, "string"),
        "shape": (3, "ShapeProto"),
        "metadata": (7, "OpMetadata"),
        "window": (15, "Window"),
        "convolution_dimension_numbers": (16, "ConvolutionDimensionNumbers"),
        "dot_dimension_numbers": (30, "DotDimensionNumbers"),
        "id": (35, "int64"),
        "operand_ids": (36, "*int64"),
        "called_computation_ids": (38, "*int64"),
    },
    "Window": {"dimensions": (1, "*WindowDimension")},
    "WindowDimension": {"size": (1, "int64")},
    "ConvolutionDimensionNumbers": {"kernel_output_feature_dimension": (4, "int64")},
    "DotDimensionNumbers": {"lhs_contracting_dimensions": (1, "*int64")},
    "OpMetadata": {"op_type": (1, "string"), "op_name": (2, "string")},
    "ShapeProto": {
        "element_type": (2, "int32"),
        "dimensions": (3, "*int64"),
        "tuple_shapes": (4, "*ShapeProto"),
    },
}

_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "int64": _FIELD.TYPE_INT64,
    "uint64": _FIELD.TYPE_UINT64,
    "int32": _FIELD.TYPE_INT32,
    "double": _FIELD.TYPE_DOUBLE,
    "string": _FIELD.TYPE_STRING,
    "bytes": _FIELD.TYPE_BYTES,
}


def _file(package: str, messages: dict[str, dict[str, tuple[int, str]]]) -> descriptor_pb2.FileDescriptorProto:
    # proto2, so that string fields are not rejected for being invalid UTF-8 in files written by other tools.
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto2")
    for message_name, fields in messages.items():
        declared = file.message_type.add(name=message_name)
        for field_name, (number, kind) in fields.items():
            field = declared.field.add(name=field_name, number=number)
            repeated, kind = kind.startswith("*"), kind.strip("*?")
            field.label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
            if kind in _SCALARS:
                field.type = _SCALARS[kind]
                field.options.packed = repeated and kind in ("int64", "int32")
            else:
                field.type = _FIELD.TYPE_MESSAGE
                field.type_name = f".{package}.{kind}"
            if not field.options.packed:
                field.ClearField("options")
    return file


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file("tfopt.xplane", _XPLANE))
    pool.Add(_file("tfopt.hlo", _HLO))
    return pool


@cache
def message(name: str) -> Any:
    """The message class `name` (such as `XSpace`, `XLine` or `HloProto`)."""
    package = "tfopt.xplane" if name in _XPLANE else "tfopt.hlo"
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{package}.{name}"))


def text(value: str | bytes) -> str:
    """The value of a string field: protobuf hands over as bytes what is not UTF-8, here it is written out (`\\xff`)."""
    return value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")

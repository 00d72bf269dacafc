"""A record as JSON: all of it, whatever the view hides, by the schema in docs/schema."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from tfopt.records.base import Record
from tfopt.report.view import View

__all__ = ["compact", "encode", "render"]

_SURROGATE = re.compile("[\ud800-\udfff]")


def render(record: Record, view: View) -> str:
    """`record` as indented JSON; the view changes nothing."""
    return encode(record).decode("utf-8")


def encode(record: Record) -> bytes:
    """`record` as the bytes of a JSON file."""
    return msgspec.json.format(compact(record), indent=2) + b"\n"


def compact(value: Any) -> bytes:
    """`value`, a record or plain data, as JSON on one line."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # half a surrogate pair in a name: JSON text cannot hold it
        return msgspec.json.encode(_whole(msgspec.to_builtins(value)))


def _whole(value: Any) -> Any:
    """`value` with lone surrogates replaced by U+FFFD."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_whole(key): _whole(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(item) for item in value]
    return value

"""The JSON Schema of every published record: `python -m tfopt.records.schema docs/schema` writes the files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from tfopt.records.base import Record
from tfopt.records.check import CheckRecord
from tfopt.records.check_settings import CheckFile
from tfopt.records.comparison import ComparisonRecord
from tfopt.records.diagnosis import DiagnosisRecord
from tfopt.records.difference import DifferenceRecord
from tfopt.records.facts import Lock
from tfopt.records.gradcheck import GradcheckRecord
from tfopt.records.gradients import GradientsRecord
from tfopt.records.influence import InfluenceRecord
from tfopt.records.inspection import InspectionRecord
from tfopt.records.profile import ProfileRecord
from tfopt.records.pruning import PruningRecord
from tfopt.records.trace import TraceRecord
from tfopt.records.trace_difference import TraceDifferenceRecord

__all__ = ["PUBLISHED", "SETTINGS", "schema_text", "settings_text"]

SETTINGS = "check-config.schema.json"

PUBLISHED: dict[str, type[Record]] = {
    "profile.schema.json": ProfileRecord,
    "comparison.schema.json": ComparisonRecord,
    "diagnosis.schema.json": DiagnosisRecord,
    "difference.schema.json": DifferenceRecord,
    "trace.schema.json": TraceRecord,
    "trace-difference.schema.json": TraceDifferenceRecord,
    "inspection.schema.json": InspectionRecord,
    "gradients.schema.json": GradientsRecord,
    "gradcheck.schema.json": GradcheckRecord,
    "influence.schema.json": InfluenceRecord,
    "check.schema.json": CheckRecord,
    "lock.schema.json": Lock,
    "pruning.schema.json": PruningRecord,
}


def schema_text(record: type[Record]) -> str:
    """The JSON Schema (draft 2020-12) of `record` as indented text; `schema` is required in a file."""
    schema = msgspec.json.schema(record)
    top = schema["$defs"][record.__name__]
    top["required"] = ["schema", *top["required"]]
    return _text(schema)


def settings_text() -> str:
    """The JSON Schema of a configuration file of `tfopt check`."""
    return _text(msgspec.json.schema(CheckFile))


def _text(schema: dict[str, Any]) -> str:
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return msgspec.json.format(msgspec.json.encode(whole), indent=2).decode() + "\n"


def write(folder: str) -> None:
    """Write every published schema into `folder`."""
    texts = {name: schema_text(record) for name, record in PUBLISHED.items()}
    for name, text in {**texts, SETTINGS: settings_text()}.items():
        (Path(folder) / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(sys.argv[1])

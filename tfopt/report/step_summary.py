"""The summary of a job of GitHub Actions: Markdown that is appended to the file that the runner names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import structs

from tfopt.records.base import Note
from tfopt.records.check import CheckRecord
from tfopt.report import render
from tfopt.report.view import View

__all__ = ["VARIABLE", "with_step_summary"]

VARIABLE = "GITHUB_STEP_SUMMARY"
_MOST = 2**20  # bytes that the runner takes of one step; a larger summary is not shown at all


def with_step_summary(record: CheckRecord, environment: Mapping[str, str] = os.environ) -> CheckRecord:
    """Append `record` as Markdown where the environment asks for it. Gives the record back, with a note where that
    cannot be done: a summary that nobody can write must not cost the check its verdict."""
    path = environment.get(VARIABLE)
    problem = None if not path else _append(Path(path), render(record, View(), "md").encode("utf-8", "replace"))
    if problem is None:
        return record
    note = Note(message=f"no step summary: {problem}", hint="write a report of your own: -o check.md")
    return structs.replace(record, notes=(*record.notes, note))


def _append(path: Path, text: bytes) -> str | None:
    """What went wrong."""
    try:
        with path.open("ab") as file:
            if file.tell() + len(text) > _MOST:
                return f"{path} has no room for {len(text)} bytes more"
            file.write(text)
    except OSError as error:
        return f"cannot write {path}: {error.strerror or error}"
    return None

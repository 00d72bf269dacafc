"""The summary of a job of GitHub Actions: Markdown that is appended to the file that the runner names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tfopt.records.base import Note, Record
from tfopt.report import render
from tfopt.report.view import View

__all__ = ["VARIABLE", "append_step_summary"]

VARIABLE = "GITHUB_STEP_SUMMARY"
_MOST = 2**20  # bytes that the runner takes of one step; a larger summary is not shown at all


def append_step_summary(record: Record, environment: Mapping[str, str] = os.environ) -> Note | None:
    """Append `record` as Markdown where the environment asks for it; a note where that cannot be done, since a summary
    that nobody can write must not cost the check its verdict."""
    path = environment.get(VARIABLE)
    if not path:
        return None
    text = render(record, View(), "md").encode("utf-8", "replace")
    try:
        with Path(path).open("ab") as file:
            if file.tell() + len(text) > _MOST:
                return Note(
                    message=f"the step summary has no room for {len(text)} bytes more", hint="write -o check.md"
                )
            file.write(text)
    except OSError as error:
        return Note(
            message=f"cannot write the step summary {path}: {error.strerror or error}", hint="write -o check.md"
        )
    return None

"""A check as GitHub Actions' workflow commands: what did not pass becomes an annotation of the run.

Escaping by the runner's own rules (actions/toolkit, `command.ts`): a message keeps no line end, a property no `:` or
`,` either.
"""

from __future__ import annotations

from tfopt.records.base import Record
from tfopt.records.check import CheckRecord
from tfopt.report.escape import visible
from tfopt.report.gates import Told, answer, troubles
from tfopt.report.view import View

__all__ = ["render"]

_LEVELS = {"INCONCLUSIVE": "warning", "NEW": "notice"}


def render(record: Record, view: View) -> str:
    """`record`, a check, as one line for each annotation, and the verdict as a last one."""
    assert isinstance(record, CheckRecord)
    lines = [_annotation(told) for told in troubles(record)]
    return "\n".join([*lines, f"tfopt check: {', '.join(answer(record))}"]) + "\n"


def _annotation(told: Told) -> str:
    title = " ".join(filter(None, ("tfopt check:", told.model.label, told.name, told.verdict)))
    message = "\n".join(visible(line) for line in (told.message, *told.layers, told.hint) if line)
    return f"::{_LEVELS.get(told.verdict, 'error')} title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(visible(text)).replace(":", "%3A").replace(",", "%2C")

"""Advice as people read it: what is the case, what to do, what that should gain, and the command to verify it."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text

from tfopt.records.advice import Advice
from tfopt.records.profile import ProfileRecord
from tfopt.report.escape import markdown_code, markdown_prose, one_line, visible
from tfopt.report.flow import wrapped
from tfopt.report.view import View

__all__ = ["advice_blocks", "advice_section", "gain"]

_SHOWN = 3  # the record has all
_LONGEST = 1000  # characters; a layer's name may have thousands
_BETWEEN = "   "


def advice_section(record: ProfileRecord, view: View) -> list[Text]:
    """The most important advice, for the terminal: all of it with `--top 0`."""
    lines: list[Text] = []
    shown = record.advice if view.top == 0 else record.advice[:_SHOWN]
    for advice in shown:
        lines += wrapped(one_line(advice.message, _LONGEST), "  ! ", "", view.width)
        lines += _what_to_do(advice, view.width)
    left = len(record.advice) - len(shown)
    return [*lines, Text(f"    {left} more with --top 0", "dim")] if left else lines


def _what_to_do(advice: Advice, width: int | None) -> list[Text]:
    action, command = one_line(_action(advice), _LONGEST), visible(advice.command)
    parts = [(text, style) for text, style in ((action, "dim"), (command, "")) if text]
    if parts and (width is None or cell_len(_BETWEEN.join(text for text, _ in parts)) + 4 <= width):
        return [Text("    ") + Text(_BETWEEN).join(Text(text, style) for text, style in parts)]
    return [line for text, style in parts for line in wrapped(text, "    ", style, width)]


def _action(advice: Advice) -> str:
    return f"{advice.action}{f' ({gain(advice)})' if gain(advice) else ''}"


def gain(advice: Advice) -> str:
    """What following it should save: `saves 7 to 22 %`, `saves at least 7 %`; empty where that is not known."""
    low, high = advice.gain_low, advice.gain_high
    if high is None:
        return f"saves at least {round(low * 100)} %" if low and round(low * 100) else ""
    least, most = round((low or 0.0) * 100), round(high * 100)
    if not least:
        return f"saves up to {most} %"
    return f"saves {least} to {most} %" if least != most else f"saves {most} %"


def advice_blocks(record: ProfileRecord) -> list[str]:
    """All advice as Markdown: a heading and a list; nothing where there is none."""
    if not record.advice:
        return []
    items = (
        f"- {markdown_prose(advice.message)}"
        + (f": {markdown_prose(action)}" if (action := _action(advice)) else "")
        + (f". {markdown_code(advice.command)}" if advice.command else "")
        for advice in record.advice
    )
    return ["## Advice", "\n".join(items)]

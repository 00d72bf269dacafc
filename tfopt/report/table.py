"""A record for the terminal: what ran, how long, where the time goes, what to do, what to know, where the rest is."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from rich.text import Text

from tfopt.records.profile import Phase, ProfileRecord
from tfopt.report import memory, summary, units
from tfopt.report.advice import advice_section
from tfopt.report.bars import bar
from tfopt.report.escape import visible
from tfopt.report.flow import flow, wrapped
from tfopt.report.influence_section import influence_section
from tfopt.report.layers_table import layer_section
from tfopt.report.ops_table import op_section, phase_section, type_section
from tfopt.report.rows import phase_rows
from tfopt.report.screen import encode, notes
from tfopt.report.view import By, View

__all__ = ["render"]

_WIDEST_BAR = 40
_PHASE_STYLES: dict[Phase, str] = {
    "input": "green",
    "forward": "cyan",
    "loss": "magenta",
    "backward": "blue",
    "optimizer": "yellow",
    "unattributed": "red",
    "idle": "bright_black",
}

_Section = Callable[[ProfileRecord, View], list[Text]]
_BODIES: dict[By, tuple[_Section, ...]] = {
    "layer": (layer_section, op_section),
    "op": (op_section,),
    "type": (type_section,),
    "phase": (phase_section,),
}


def render(record: ProfileRecord, view: View) -> str:
    """`record` as lines of text for `view`, with terminal colours only where `view.color` asks for them."""
    sections = [_header(record, view), _answer(record, view)]
    sections += [body(record, view) for body in _BODIES[view.by]]
    sections += [
        influence_section(record, view),
        advice_section(record, view),
        notes(record.notes, view.width),
        _footer(record, view),
    ]
    return encode(sections, view.color)


def _header(record: ProfileRecord, view: View) -> list[Text]:
    title, *facts = (visible(fact) for fact in summary.subject(record.model))
    lines = flow([(title, "bold"), *((fact, "") for fact in facts)], " · ", view.width)
    lines += flow([(visible(fact), "dim") for fact in summary.circumstances(record)], " · ", view.width)
    lines += flow([(visible(fact), "dim") for fact in summary.inputs(record)], " · ", view.width)
    computing = visible(summary.computing(record))
    return [*lines, *wrapped(computing, "", "dim", view.width)] if computing else lines


def _answer(record: ProfileRecord, view: View) -> list[Text]:
    """Step time and throughput, then one bar per phase."""
    first, *facts, retraces = summary.timing(record)
    phrases = [
        (first, "bold green"),
        *((fact, "") for fact in facts),
        (retraces, "red" if record.step.retraces else ""),
    ]
    used = flow([(visible(phrase), "") for phrase in memory.phrases(record.memory)], "   ", view.width, indent="  ")
    return [*flow(phrases, "   ", view.width, indent="  "), *used, Text(), *_phases(record, view)]


def _phases(record: ProfileRecord, view: View) -> list[Text]:
    rows = phase_rows(record)
    name = max((len(row.phase) for row in rows), default=0)
    times = units.align([units.ms(row.ms) for row in rows])
    wide = max((len(time) for time in times), default=0)
    room = min(_WIDEST_BAR, (view.width or 100) - name - wide - 20)
    lines = []
    for row, time in zip(rows, times, strict=True):
        line = Text(f"  {row.phase:<{name}}  {units.percent(row.share):>7}  {time:>{wide}}")
        line.append(" ms  " if row.ms else "")
        line.append(bar(row.share, room), _PHASE_STYLES[row.phase])
        lines.append(line)
    return lines


def _footer(record: ProfileRecord, view: View) -> list[Text]:
    """Where the record lies, and the commands that show it again; nothing where nothing was saved."""
    if view.run_dir is None:
        return []
    folder = shlex.quote(visible(view.run_dir))
    rows = [("saved", view.run_dir), ("again", f"tfopt report {folder} -o report.json")]
    if record.trace.file is not None:
        rows.append(("trace", f"tfopt tensorboard {folder}"))
        rows.append(("", f"tensorboard --logdir {folder}"))
    return [Text.assemble((f"{name:<7}", "dim"), visible(text)) for name, text in rows]

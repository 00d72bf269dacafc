"""A record as Markdown: the same answer as the terminal's, for an issue, a pull request or a lab book.

Names are complete and stand in code spans, so that nothing in them is a link, a mention or HTML.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tfopt.records.base import Note
from tfopt.records.profile import ProfileRecord
from tfopt.report import memory, summary, units
from tfopt.report.advice import advice_blocks
from tfopt.report.escape import markdown_code, markdown_prose
from tfopt.report.influence_section import influence_blocks
from tfopt.report.rows import Ops, Rest, idle, phase_groups, phase_rows, rank_ops, rank_types
from tfopt.report.tree import Line, record_lines
from tfopt.report.view import BOTTLENECKS, By, View, listed

__all__ = ["joined", "note", "render", "table"]

_OP_HEADER = ("type", "name", "layer", "phase", "placed", "×/step", "self ms", "share", "cumulative")
_TYPE_HEADER = ("type", "ops", "×/step", "self ms", "share", "cumulative")
_LAYER_HEADER = ("layer", "type", "forward ms", "backward ms", "optimizer ms", "total ms", "share", "inferred")
_RATE_HEADER = ("GFLOP/s", "of roof", "bound by")


def render(record: ProfileRecord, view: View) -> str:
    """`record` as a Markdown document."""
    title = summary.subject(record.model)[0]
    blocks = [
        f"# {markdown_prose(title)}: {markdown_prose(summary.timing(record)[0])}",
        "\n".join(f"- {joined(facts)}" for facts in _facts(record, view) if facts),
        _phases(record),
        *_BODIES[view.by](record, view),
        *influence_blocks(record),
        *advice_blocks(record),
        *(note(remark) for remark in record.notes),
        _footer(record, view),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _facts(record: ProfileRecord, view: View) -> Iterable[list[str]]:
    run = record.run
    yield summary.timing(record)[1:]
    yield memory.phrases(record.memory)
    yield summary.subject(record.model)[1:]
    yield summary.circumstances(record)
    yield summary.inputs(record)
    roofs = summary.roofs(record, record_lines(record, view))
    yield [fact for fact in (summary.computing(record), summary.placement(record), roofs) if fact]
    yield [run.cpu, f"Python {run.python}", f"tfopt {run.tfopt}", f"seed {run.seed}", run.started_at]


def joined(facts: Iterable[str]) -> str:
    """Phrases on one line."""
    return " · ".join(markdown_prose(fact) for fact in facts)


def table(header: Sequence[str], right: Sequence[bool], rows: Iterable[Sequence[str]]) -> str:
    """A table whose columns are flush `right` or left; cells must be escaped already."""
    rule = ["--:" if number else ":--" for number in right]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *rows))


def _table(header: Sequence[str], numbers: int, rows: Iterable[Sequence[str]]) -> str:
    """A table whose last `numbers` columns are flush right."""
    return table(header, [False] * (len(header) - numbers) + [True] * numbers, rows)


def _phases(record: ProfileRecord) -> str:
    rows = ((row.phase, units.ms(row.ms), units.percent(row.share)) for row in phase_rows(record))
    return _table(("phase", "ms", "share"), 2, rows)


def _layers(record: ProfileRecord, view: View) -> list[str]:
    lines = record_lines(record, view)
    rated = any(line.times.counted_ms for line in lines)  # runs of older versions are not
    header = _LAYER_HEADER + _RATE_HEADER * rated
    tree = _table(header, len(header) - 2, (_layer(line) + _rates(line) * rated for line in lines))
    ops = rank_ops(record.ops, record.layers, BOTTLENECKS)
    return ["## Layers", tree, "## Bottleneck ops", _op_table(ops, [*ops.rest, idle(record)])]


def _layer(line: Line) -> tuple[str, ...]:
    times = line.times
    return (
        line.guide + (markdown_code(line.label) if line.kind in ("layer", "bracket") else line.label),
        markdown_code(line.what),
        *(units.ms(part) for part in (times.forward_ms, times.backward_ms, times.optimizer_ms, times.total_ms)),
        units.percent(times.share),
        units.percent(line.inferred_share) if line.inferred_share else "",
    )


def _rates(line: Line) -> tuple[str, ...]:
    rate, share = line.times.gflops_per_s, line.times.roof_share
    return (
        "" if rate is None else units.number(rate),
        "" if share is None else units.percent(share),
        line.bound or "",
    )


def _ops(record: ProfileRecord, view: View) -> list[str]:
    ops = rank_ops(record.ops, record.layers, listed(view))
    return ["## Bottleneck ops", _op_table(ops, [*ops.rest, idle(record)])]


def _by_phase(record: ProfileRecord, view: View) -> list[str]:
    blocks: list[str] = []
    for row, ops in phase_groups(record, listed(view)):
        blocks += [f"## {row.phase.capitalize()}: {units.percent(row.share)}", _op_table(ops, ops.rest)]
    return blocks


def _op_table(ops: Ops, rest: Sequence[Rest]) -> str:
    rows = [
        (
            markdown_code(line.op.type),
            markdown_code(line.op.name),
            markdown_code(line.layer),
            line.op.phase,
            line.op.source,
            units.times(line.op.per_step),
            units.ms(line.op.self_ms),
            units.percent(line.op.share),
            units.percent(line.cumulative),
        )
        for line in ops.lines
    ]
    return _table(_OP_HEADER, 4, [*rows, *(_rest(row, len(_OP_HEADER)) for row in rest)])


def _types(record: ProfileRecord, view: View) -> list[str]:
    types = rank_types(record.ops, listed(view))
    rows = [
        (
            markdown_code(line.type),
            str(line.ops),
            units.times(line.per_step),
            units.ms(line.self_ms),
            units.percent(line.share),
            units.percent(line.cumulative),
        )
        for line in types.lines
    ]
    rest = (_rest(row, len(_TYPE_HEADER)) for row in (*types.rest, idle(record)))
    return ["## Op types", _table(_TYPE_HEADER, 5, [*rows, *rest])]


def _rest(row: Rest, columns: int) -> tuple[str, ...]:
    """A last row in a table that ends with self time, share and cumulative share."""
    return (row.label, *[""] * (columns - 4), units.ms(row.self_ms), units.percent(row.share), "")


def note(remark: Note) -> str:
    """A remark and what to do about it."""
    hint = f" — {markdown_prose(remark.hint)}" if remark.hint else ""
    return f"> **Note** {markdown_prose(remark.message)}{hint}"


def _footer(record: ProfileRecord, view: View) -> str:
    if view.run_dir is None:
        return ""
    trace = (
        "" if record.trace.file is None else f", its trace with {markdown_code(f'tfopt tensorboard {view.run_dir}')}"
    )
    return f"Recorded in {markdown_code(view.run_dir)}{trace}."


_BODIES: dict[By, Callable[[ProfileRecord, View], list[str]]] = {
    "layer": _layers,
    "op": _ops,
    "type": _types,
    "phase": _by_phase,
}

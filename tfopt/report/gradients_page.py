"""The page of a model's gradients: the layer tree with its variables, each with how large its gradient is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tfopt.records.gradients import Gradient, GradientRun, GradientsRecord, VariableGradient
from tfopt.report import units
from tfopt.report.page import Column, Page, Table, Value
from tfopt.report.summary import input_phrase, place, subject
from tfopt.report.view import View, listed
from tfopt.wording import counted

__all__ = ["circumstances", "page", "what_ran"]


def page(record: GradientsRecord, view: View) -> Page:
    """What to show of `record`."""
    title, *model = subject(record.model)
    return Page(
        title=title,
        answer=_answer(record),
        tone="alarm" if any(_strange(row) for row in record.variables) else "good",
        facts=(tuple(model), (record.run.precision, *circumstances(record.run)), *what_ran(record.run)),
        tables=(_table(record, view),),
        notes=record.notes,
    )


def circumstances(run: GradientRun) -> tuple[str, ...]:
    """How a gradient pass ran."""
    return (
        "training, without an update",
        place(run.device, run.threads),
        "XLA" if run.xla else "graph",
        f"batch {run.batch_size}",
        f"{run.data} data" if run.data == "synthetic" else run.data,
        f"loss {run.loss}",
        *([f"seed {run.seed}"] if run.seed else []),
        f"TensorFlow {run.tensorflow}, Keras {run.keras}",
    )


def what_ran(run: GradientRun) -> tuple[tuple[str, ...], ...]:
    """The inputs, and what weights went through."""
    return tuple(map(input_phrase, run.inputs)), tuple(f"modified by {word}" for word in run.modify)


def _answer(record: GradientsRecord) -> tuple[str, ...]:
    plain = _Sum.of(record.variables, after=False)
    missing = sum(row.gradient is None for row in record.variables)
    words = [f"loss {_number(record.loss)}"]
    if plain.elements:
        words.append(_length(plain))
    if plain.largest is not None:
        words.append(f"largest {_number(plain.largest)}")
    if plain.zero_share is not None:
        words.append(f"zeros {units.percent(plain.zero_share)}" if plain.zeros else "no exact zeros")
    if record.run.modify:
        words += [f"modified: loss {_number(record.loss_after)}", _length(_Sum.of(record.variables, after=True))]
    if plain.nonfinite:
        words.append(f"{counted(plain.nonfinite, 'element')} not finite")
    return (*words, *([f"no gradient for {counted(missing, 'variable')}"] if missing else []))


def _length(of: _Sum) -> str:
    return f"gradient norm {_number(of.norm)}" if of.elements else "no gradient"


def _number(value: float | None) -> str:
    return "not finite" if value is None else units.scientific(value)


def _strange(row: VariableGradient) -> bool:
    return any(each is not None and each.nonfinite > 0 for each in (row.gradient, row.after))


@dataclass(frozen=True)
class _Sum:
    """Gradients of several variables taken as one; `norm` and what follows from it are None where one is not finite, or
    there is none. `elements` are those that have a gradient, `weights` is the norm of their variables."""

    norm: float | None
    largest: float | None
    zeros: int
    nonfinite: int
    elements: int
    weights: float | None

    @classmethod
    def of(cls, rows: Iterable[VariableGradient], *, after: bool) -> _Sum:
        """The sum over `rows`."""
        found = [(row, each) for row in rows if (each := row.after if after else row.gradient) is not None]
        gradients = [each for _, each in found]
        return cls(
            norm=_norm([each.norm for each in gradients]),
            largest=_largest(gradients),
            zeros=sum(each.zeros for each in gradients),
            nonfinite=sum(each.nonfinite for each in gradients),
            elements=sum(row.size for row, _ in found),
            weights=_norm([row.norm for row, _ in found]),
        )

    @property
    def zero_share(self) -> float | None:
        """Exact zeros among the elements."""
        return self.zeros / self.elements if self.elements else None

    @property
    def ratio(self) -> float | None:
        """|g| / |w|."""
        return self.norm / self.weights if self.norm is not None and self.weights else None


def _norm(norms: Sequence[float | None]) -> float | None:
    known = [norm for norm in norms if norm is not None]
    return math.hypot(*known) if known and len(known) == len(norms) else None


def _largest(gradients: Sequence[Gradient]) -> float | None:
    known = [each.largest for each in gradients if each.largest is not None]
    return max(known) if known and len(known) == len(gradients) else None


@dataclass(frozen=True)
class _Row:
    """A layer with all that is in it, or a variable."""

    path: str
    type: str
    depth: int
    inside: tuple[VariableGradient, ...]

    @property
    def rank(self) -> tuple[bool, float, int]:
        """Those with something strange first, then the largest gradients."""
        norm = _Sum.of(self.inside, after=False).norm
        return (not any(_strange(row) for row in self.inside), -(norm or 0.0), self.depth)


def _rows(record: GradientsRecord) -> Iterator[_Row]:
    """The layer tree in its order, each layer followed by its own variables."""
    for layer in record.layers:
        inside = (row for row in record.variables if f"{row.layer}/".startswith(f"{layer.path}/"))
        yield _Row(layer.path, layer.type, layer.depth, tuple(inside))
        for row in record.variables:
            if row.layer == layer.path:
                name = row.path.rpartition("/")[2]
                yield _Row(f"{layer.path}/{name}", "variable", layer.depth + 1, (row,))


def _table(record: GradientsRecord, view: View) -> Table:
    rows = list(_rows(record))
    whole = _Sum.of(record.variables, after=False).norm
    top = listed(view) or len(rows)
    chosen = {id(row) for row in sorted(rows, key=lambda row: row.rank)[:top]}
    shown = [row for row in rows if id(row) in chosen]
    hidden = [row for row in rows if id(row) not in chosen]
    columns = _columns(bool(record.run.modify))
    rest: tuple[Value, ...] = (f"{len(hidden):,} more", *[None] * (len(columns) - 1))
    return Table(
        "Gradients",
        "",
        columns,
        tuple(_values(row, whole, bool(record.run.modify)) for row in shown),
        (rest,) if hidden else (),
        "share",
        tuple(row.depth for row in shown),
    )


def _columns(modified: bool) -> tuple[Column, ...]:
    return (
        Column("path", "layer", "name"),
        Column("type", "type", "name", drop=1),
        Column("size", "size", "flops", drop=2),
        Column("norm", "|g|", "scientific"),
        Column("largest", "max |g|", "scientific", drop=3),
        Column("zero_share", "zeros", "share", drop=6),
        Column("ratio", "|g|/|w|", "scientific", drop=5),
        *(_AFTER if modified else ()),
        Column("remark", "", "text"),
        Column("share", "of |g|²", "share"),
        Column("variable", "variable", "name", quiet=True),
        Column("zeros", "zeros", "count", quiet=True),
        Column("nonfinite", "not finite", "count", quiet=True),
        Column("weight_norm", "|w|", "scientific", quiet=True),
    )


_AFTER = (
    Column("norm_after", "|g| modified", "scientific"),
    Column("change", "change", "change_share", drop=7),
    Column("zero_share_after", "zeros modified", "share", drop=4),
)


def _values(row: _Row, whole: float | None, modified: bool) -> tuple[Value, ...]:
    plain, after = _Sum.of(row.inside, after=False), _Sum.of(row.inside, after=True)
    comparable = after.elements == plain.elements  # where some are blocked, the rest would be beside the whole
    change = after.norm / plain.norm - 1 if comparable and after.norm is not None and plain.norm else None
    variable = row.inside[0].path if row.type == "variable" else None
    return (
        row.path,
        row.type,
        sum(each.size for each in row.inside),
        plain.norm,
        plain.largest,
        plain.zero_share,
        plain.ratio,
        *((after.norm, change, after.zero_share) if modified else ()),
        _remark(row.inside[0], modified) if row.type == "variable" else None,
        (plain.norm / whole) ** 2 if plain.norm is not None and whole else None,
        variable,
        plain.zeros,
        plain.nonfinite,
        plain.weights,
    )


def _remark(row: VariableGradient, modified: bool) -> str | None:
    if row.gradient is None:
        return "no gradient"
    return "not finite" if _strange(row) else "blocked" if modified and row.after is None else None

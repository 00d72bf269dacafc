"""Work that could be left out: tables updated as a whole, the same done twice, transposes, loops."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from tfopt.profiling.advice.commands import profile_with
from tfopt.profiling.advice.shares import NOTABLE, layer_share, op_share, ops_named, phase_share, severity_of, within
from tfopt.profiling.advice.wording import listed
from tfopt.records.advice import Advice, Fact
from tfopt.records.profile import ProfileRecord
from tfopt.report.units import percent
from tfopt.wording import counted

__all__ = [
    "dense_embedding_update",
    "needless_transposes",
    "recurrent_loop",
    "repeated_work",
    "unfused_recurrence",
    "update_share",
]

_UNROLLED = (0.05, 0.5)  # of a recurrent layer's time: what unrolling saves on CPU, measured
_FEW_STEPS = 64
_RECURRENT = 0.25


def dense_embedding_update(record: ProfileRecord) -> Iterator[Advice]:
    """Embeddings whose optimizer computes on every row for the few that were looked up."""
    tables = record.facts.all("dense_embedding_update") if record.facts else ()
    share = update_share(record, tables)
    if share >= NOTABLE:
        rows, used = (sum(int(table.numbers[name]) for table in tables) for name in ("rows", "looked_up"))
        whole, part = (
            sum(table.numbers[name] * table.numbers["width"] for table in tables) for name in ("rows", "looked_up")
        )
        spared = share * (1 - part / whole)
        layers = tuple(layer for table in tables for layer in table.layers)
        yield Advice(
            id="dense-embedding-update",
            severity=severity_of(spared),
            message=f"{percent(share)} of the step: {record.run.optimizer} updates all {rows:,} rows of "
            f"{listed(layers)}, of which the batch looks up at most {used:,}",
            action="SGD without momentum or clipping by norm updates the rows looked up alone; it trains differently",
            evidence={"share": share, "rows": rows, "looked_up": used},
            gain_low=spared * 0.85,
            gain_high=min(1.0, max(spared, phase_share(record, "optimizer"))),
            command=profile_with(record, "--optimizer", "sgd"),
            layers=layers,
        )


def update_share(record: ProfileRecord, tables: Iterable[Fact]) -> float:
    """What the tables' updates take: their layers' own, and their part of clipping, which no layer's row has."""
    tables = list(tables)
    layers = {layer for table in tables for layer in table.layers}
    ran = ops_named(record, (name for table in tables for name in table.ops))
    elsewhere = sum(op.share * part.fraction for op in ran for part in op.placed if part.layer not in layers)
    return layer_share(record, layers, lambda row: row.optimizer_ms) + elsewhere


def repeated_work(record: ProfileRecord) -> Iterator[Advice]:
    """Ops that computed what another one had computed already. XLA removes them."""
    fact = record.facts.get("repeated_work") if record.facts else None
    if fact is None or record.run.xla:
        return
    ran = ops_named(record, _ran_twice(record, fact))
    share = op_share(ran)
    if share >= NOTABLE:
        layers = tuple(dict.fromkeys(op.layer for op in ran))
        gradients = tuple(f"gradient_tape/{name}/" for name in fact.ops)  # of what is not computed none is needed
        spared = share + op_share(op for op in record.ops if op.name.startswith(gradients) and op not in ran)
        yield Advice(
            id="repeated-work",
            severity=severity_of(spared),
            message=f"{percent(share)} of the step: {counted(len(ran), 'op')} in {listed(layers)} computed what "
            "another op had computed from the same tensors",
            action="call the layer once and use its result twice",
            evidence={"share": share, "ops": len(ran)},
            gain_low=share * 0.7,
            gain_high=min(1.0, spared),
            layers=layers,
        )


def _ran_twice(record: ProfileRecord, fact: Fact) -> Iterator[str]:
    """The ops that ran although an equal one did: TensorFlow may have removed either."""
    ran = {op.name for op in record.ops}
    equal: dict[str, list[str]] = defaultdict(list)
    for name, first in zip(fact.ops, fact.repeats, strict=True):
        equal[first].append(name)
    for first, others in equal.items():
        yield from [name for name in (first, *others) if name in ran][1:]


def needless_transposes(record: ProfileRecord) -> Iterator[Advice]:
    """Transposes and reshapes that ran although the next one undoes them."""
    fact = record.facts.get("needless_transposes") if record.facts else None
    if fact is None or record.run.xla:
        return
    ran = ops_named(record, fact.ops)
    share = op_share(ran)
    if share >= NOTABLE:
        layers = tuple(dict.fromkeys(op.layer for op in ran))
        found = counted(len(ran), "transpose or reshape", "transposes and reshapes")
        yield Advice(
            id="needless-transposes",
            severity=severity_of(share),
            message=f"{percent(share)} of the step: {found} without effect in {listed(layers)}",
            action="leave them out: what is between those that undo one another works on any layout",
            evidence={"share": share, "ops": len(ran)},
            gain_low=share * 0.7,
            gain_high=min(1.0, share * 1.5),  # with what starting them takes
            layers=layers,
        )


def recurrent_loop(record: ProfileRecord) -> Iterator[Advice]:
    """On CPU, where no fused kernel exists: a recurrence of few steps that runs as a loop."""
    fact = record.facts.get("recurrent_loop") if record.facts else None
    if fact is None or record.run.xla or record.run.eager:
        return
    steps = int(fact.numbers["time_steps"])
    share = layer_share(record, [row.path for row in record.layers if within(row.path, fact.layers)])
    if share >= _RECURRENT and 0 < steps <= _FEW_STEPS:
        yield Advice(
            id="recurrent-loop",
            severity="low",
            message=f"{percent(share)} of the step: {listed(fact.layers)} loops over {steps} time steps",
            action="unroll=True makes one graph of them, which takes longer to trace",
            evidence={"share": share, "time_steps": steps},
            gain_low=share * _UNROLLED[0],
            gain_high=share * _UNROLLED[1],
            layers=fact.layers,
        )


def unfused_recurrence(record: ProfileRecord) -> Iterator[Advice]:
    """On GPU: LSTM and GRU layers whose arguments exclude cuDNN's kernel."""
    fact = record.facts.get("unfused_recurrence") if record.facts else None
    if fact is not None and record.run.device.startswith("GPU"):
        yield Advice(
            id="recurrence-unfused",
            severity="high",
            message=f"{counted(fact.count, 'recurrent layer')} cannot use cuDNN's kernel ({fact.detail})",
            action="use the default activations, and leave unroll and recurrent_dropout out",
            evidence={"layers": fact.count},
            layers=fact.layers,
        )

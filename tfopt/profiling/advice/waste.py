"""Work that could be left out: tables updated as a whole, the same twice, transposes, loops, dear activations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tfopt.profiling.advice.commands import profile_with
from tfopt.profiling.advice.shares import NOTABLE, layer_share, op_share, ops_named, phase_share, severity_of
from tfopt.profiling.advice.wording import counted, listed, percent
from tfopt.records.advice import Advice, Fact
from tfopt.records.profile import ProfileRecord

__all__ = ["dense_embedding_update", "needless_transposes", "recurrent_loop", "repeated_work", "unfused_recurrence"]

_UNROLLED = (0.05, 0.5)  # of a recurrent layer's time: what unrolling saves on CPU, measured
_FEW_STEPS = 64
_RECURRENT = 0.25


def dense_embedding_update(record: ProfileRecord) -> Iterator[Advice]:
    """Embeddings whose optimizer computes on every row for the few that were looked up."""
    facts = record.facts.all("dense_embedding_update") if record.facts else ()
    tables = [(fact, _update_share(record, fact)) for fact in facts]
    share = sum(share for _, share in tables)
    if share >= NOTABLE:
        rows = sum(int(fact.numbers["rows"]) for fact, _ in tables)
        used = sum(int(fact.numbers["looked_up"]) for fact, _ in tables)
        spared = sum(share * (1 - fact.numbers["looked_up"] / fact.numbers["rows"]) for fact, share in tables)
        layers = tuple(layer for fact, _ in tables for layer in fact.layers)
        yield Advice(
            id="dense-embedding-update",
            severity=severity_of(spared),
            message=f"{percent(share)} of the step: {record.run.optimizer} updates all {rows:,} rows of "
            f"{listed(layers)}, of which the batch looks up at most {used:,}",
            action="SGD without momentum or clipping by norm updates the rows looked up alone",
            evidence={"share": share, "rows": rows, "looked_up": used},
            gain_low=spared * 0.85,
            gain_high=max(spared, phase_share(record, "optimizer")),
            command=profile_with(record, "--optimizer", "sgd"),
            layers=layers,
        )


def _update_share(record: ProfileRecord, fact: Fact) -> float:
    """The layer's update, or the clipping of its gradient."""
    update = layer_share(record, fact.layers, lambda row: row.optimizer_ms)
    return max(update, op_share(ops_named(record, fact.ops)))


def repeated_work(record: ProfileRecord) -> Iterator[Advice]:
    """Ops that computed what another one had computed already. XLA removes them."""
    fact = record.facts.get("repeated_work") if record.facts else None
    if fact is None or record.run.xla:
        return
    ran = ops_named(record, fact.ops)
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
            gain_high=spared,
            layers=layers,
        )


def needless_transposes(record: ProfileRecord) -> Iterator[Advice]:
    """Transposes and reshapes that ran although the next one undoes them."""
    fact = record.facts.get("needless_transposes") if record.facts else None
    if fact is None or record.run.xla:
        return
    ran = ops_named(record, fact.ops)
    share = op_share(ran)
    if share >= NOTABLE:
        layers = tuple(dict.fromkeys(op.layer for op in ran))
        yield Advice(
            id="needless-transposes",
            severity=severity_of(share),
            message=f"{percent(share)} of the step: {counted(len(ran), 'transpose')} or reshapes in {listed(layers)} "
            "undo one another",
            action="leave both out: what is between them works on any layout",
            evidence={"share": share, "ops": len(ran)},
            gain_low=share * 0.7,
            gain_high=share * 1.5,  # with what starting them takes
            layers=layers,
        )


def recurrent_loop(record: ProfileRecord) -> Iterator[Advice]:
    """On CPU, where no fused kernel exists: a recurrence of few steps that runs as a loop."""
    fact = record.facts.get("recurrent_loop") if record.facts else None
    if fact is None or record.run.xla or record.run.eager or not record.run.device.startswith("CPU"):
        return
    steps = int(fact.numbers["time_steps"])
    share = layer_share(record, [row.path for row in record.layers if _within(row.path, fact.layers)])
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


def _within(path: str, layers: Sequence[str]) -> bool:
    return any(path == layer or path.startswith(f"{layer}/") for layer in layers)


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

"""XLA: where it is slow on CPU, where it would be, and where it may help."""

from __future__ import annotations

from collections.abc import Iterator

from tfopt.profiling.advice.commands import compare_programs
from tfopt.profiling.advice.shares import NOTABLE, fixed_share, layer_share, op_share, severity_of
from tfopt.profiling.advice.slow_kernels import SlowKernel, extra_ms, said, slow_under_xla
from tfopt.profiling.advice.wording import listed
from tfopt.records.advice import Advice, Fact
from tfopt.records.profile import ProfileRecord
from tfopt.report.units import percent
from tfopt.wording import counted

__all__ = ["grouped_convolution", "slow_kernels", "xla_may_help", "xla_would_be_slower"]

# How many times as long as a graph's kernels these may take under XLA, beyond what was measured of each (8 to 12 for
# max-pool gradients, 16 to 45 for depthwise convolutions, 19 for random numbers: docs/advice.md); and how long the rest
# of a step takes without it.
_SLOWER = (6.0, 50.0)
_REST_IN_GRAPH = (1.35, 0.3)
_CLEARLY_SLOWER = 0.2  # of the step: what the kernels would add under XLA
_NO_MATTER = 0.02
_DISPATCHING = 0.25
_NO_HELP = ("python_function", "recurrent_loop")  # cannot be compiled; stay loops
_GROUPED_SLOWER = 5.0  # at least, than one convolution per group


def slow_kernels(record: ProfileRecord) -> Iterator[Advice]:
    """Under XLA on CPU: what it has no fast kernel for, together, since XLA is left off for all of it or not at all.

    The advice has the id of the kernel that takes longest, and the shares of all as evidence.
    """
    if not (record.facts and record.run.xla):
        return
    shares = [(_share(record, *pair), *pair) for pair in slow_under_xla(record.facts)]
    found = sorted((one for one in shares if one[0] > 0), key=lambda one: -one[0])
    share = sum(part for part, _, _ in found)
    if share < NOTABLE:
        return
    low, high = (1 - share / ratio - rest * (1 - share) for ratio, rest in zip(_SLOWER, _REST_IN_GRAPH, strict=True))
    sure = low > 0
    yield Advice(
        id=found[0][1].id,
        severity=severity_of(share) if sure else "low",
        message=f"{percent(share)} of the step: {said([(kernel, fact) for _, kernel, fact in found])}",
        action="leave XLA off" if sure else "compare without XLA",
        evidence={"share": share}
        | {f"{fact.kind}_share": part for part, _, fact in found}
        | {f"{fact.kind}_ops": fact.count for _, _, fact in found},
        gain_low=low if sure else None,
        gain_high=high if sure else None,
        command=compare_programs(record, "graph", "xla"),
        layers=tuple(dict.fromkeys(layer for _, _, fact in found for layer in fact.layers)),
    )


def _share(record: ProfileRecord, kernel: SlowKernel, fact: Fact) -> float:
    """A pooling layer's forward pass is fast."""
    backward = kernel.kind == "max_pool_gradient"
    return layer_share(record, fact.layers, (lambda row: row.backward_ms) if backward else None)


def xla_would_be_slower(record: ProfileRecord) -> Iterator[Advice]:
    """On CPU without XLA: that it would not help, where somebody might think so."""
    if not record.facts or record.run.xla or record.run.eager:
        return
    slow = slow_under_xla(record.facts)
    if extra_ms(slow) >= _CLEARLY_SLOWER * record.step.median_ms:
        _, fact = slow[0]
        yield Advice(
            id="xla-would-be-slower",
            severity="low",
            message=f"XLA would be slower here: {said(slow[:1])}",
            action="",
            evidence={"ops": fact.count, **fact.numbers},
            layers=fact.layers,
        )


def xla_may_help(record: ProfileRecord) -> Iterator[Advice]:
    """Without XLA: a step that TensorFlow spends starting ops, of which XLA makes one program."""
    if not record.facts or record.run.xla or record.run.eager or any(map(record.facts.get, _NO_HELP)):
        return
    share = fixed_share(record)
    if share >= _DISPATCHING and extra_ms(slow_under_xla(record.facts)) < _NO_MATTER * record.step.median_ms:
        ops = sum(row.per_step for row in record.ops)
        yield Advice(
            id="xla-may-help",
            severity="low",
            message=f"TensorFlow starts {ops:,.0f} ops one by one; XLA makes one program of them",
            action="try XLA",
            evidence={"share": share, "ops_per_step": ops},
            gain_low=0.0,
            gain_high=share,
            command=compare_programs(record, "graph", "xla"),
        )


def grouped_convolution(record: ProfileRecord) -> Iterator[Advice]:
    """On CPU: convolutions with groups, which Keras has compiled by XLA, graph or not."""
    fact = record.facts.get("convolution_under_xla") if record.facts else None
    if fact is None or record.run.xla:
        return
    share = op_share(op for op in record.ops if op.instruction or op.name in fact.ops)  # outside it nothing is XLA's
    if share >= NOTABLE:
        convolutions = counted(fact.count, "convolution")
        yield Advice(
            id="grouped-convolution",
            severity=severity_of(share),
            message=f"{percent(share)} of the step: {convolutions} with groups or channels first "
            f"({listed(fact.layers)}), which Keras runs in XLA's slow kernel on CPU",
            action="split the channels and give each group a Conv2D of its own, or use DepthwiseConv2D",
            evidence={"share": share, "ops": fact.count},
            gain_low=share * (1 - 1 / _GROUPED_SLOWER),
            gain_high=share,
            layers=fact.layers,
        )

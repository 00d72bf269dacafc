"""XLA: where it is slow on CPU, where it would be, and where it may help."""

from __future__ import annotations

from collections.abc import Iterator

from tfopt.profiling.advice.commands import compare_programs
from tfopt.profiling.advice.shares import NOTABLE, layer_share, op_share, severity_of
from tfopt.profiling.advice.slow_kernels import SlowKernel, slow_under_xla
from tfopt.profiling.advice.wording import counted, listed, percent
from tfopt.records.advice import Advice, Fact
from tfopt.records.profile import ProfileRecord

__all__ = ["grouped_convolution", "slow_kernels", "xla_may_help", "xla_would_be_slower"]

# How much longer than a graph's kernels these take under XLA, and how the rest of a step changes without it; measured
# (docs/advice.md): max-pool gradients 6 to 17 times, depthwise convolutions 18 to 48, random numbers 9 to 94.
_SLOWER = (6.0, 50.0)
_REST_IN_GRAPH = (1.35, 0.3)
_CLEARLY_SLOWER = 0.2  # of the step: what the kernels would add under XLA
_NO_MATTER = 0.02
_DISPATCHING = 0.25
_NO_HELP = ("python_function", "recurrent_loop")  # cannot be compiled; stay loops
_GROUPED_SLOWER = 5.0  # at least, than one convolution per group


def slow_kernels(record: ProfileRecord) -> Iterator[Advice]:
    """Under XLA on CPU: what it has no fast kernel for, each by itself."""
    if not (record.facts and record.run.xla and record.run.device.startswith("CPU")):
        return
    for kernel, fact in slow_under_xla(record.facts):
        share = _share(record, kernel, fact)
        if share >= NOTABLE:
            low, high = (
                1 - share / ratio - rest * (1 - share) for ratio, rest in zip(_SLOWER, _REST_IN_GRAPH, strict=True)
            )
            yield Advice(
                id=kernel.id,
                severity=severity_of(share),
                message=f"{percent(share)} of the step: {kernel.clause(fact)}",
                action="leave XLA off",
                evidence={"share": share, "ops": fact.count, **fact.numbers},
                gain_low=max(0.0, low),
                gain_high=high,
                command=compare_programs(record, "graph", "xla"),
                layers=fact.layers,
            )


def _share(record: ProfileRecord, kernel: SlowKernel, fact: Fact) -> float:
    """A pooling layer's forward pass is fast."""
    backward = kernel.kind == "max_pool_gradient"
    return layer_share(record, fact.layers, (lambda row: row.backward_ms) if backward else None)


def xla_would_be_slower(record: ProfileRecord) -> Iterator[Advice]:
    """On CPU without XLA: that it would not help, where somebody might think so."""
    if not record.facts or record.run.xla or record.run.eager or not record.run.device.startswith("CPU"):
        return
    slow = slow_under_xla(record.facts)
    if sum(kernel.extra_ms(fact) for kernel, fact in slow) >= _CLEARLY_SLOWER * record.step.median_ms:
        kernel, fact = slow[0]
        yield Advice(
            id="xla-would-be-slower",
            severity="low",
            message=f"XLA would be slower here: {kernel.clause(fact)}",
            action="leave XLA off",
            evidence={"ops": fact.count, **fact.numbers},
            command=compare_programs(record, "graph", "xla"),
            layers=fact.layers,
        )


def xla_may_help(record: ProfileRecord) -> Iterator[Advice]:
    """Without XLA: a step that TensorFlow spends starting ops, of which XLA makes one program."""
    if not record.facts or record.run.xla or record.run.eager or any(map(record.facts.get, _NO_HELP)):
        return
    slow = slow_under_xla(record.facts) if record.run.device.startswith("CPU") else []
    share = record.coverage.executor + record.coverage.idle
    if (
        share >= _DISPATCHING
        and sum(kernel.extra_ms(fact) for kernel, fact in slow) < _NO_MATTER * record.step.median_ms
    ):
        ops = sum(row.per_step for row in record.ops)
        yield Advice(
            id="xla-may-help",
            severity="low",
            message=f"{percent(share)} of the step is idle or TensorFlow's own work around {ops:,.0f} ops; XLA makes "
            "one program of them",
            action="try XLA",
            evidence={"share": share, "ops_per_step": ops},
            gain_low=0.0,
            gain_high=share,
            command=compare_programs(record, "graph", "xla"),
        )


def grouped_convolution(record: ProfileRecord) -> Iterator[Advice]:
    """On CPU: convolutions with groups, which Keras has compiled by XLA, graph or not."""
    fact = record.facts.get("convolution_under_xla") if record.facts else None
    if fact is None or record.run.xla or not record.run.device.startswith("CPU"):
        return
    share = op_share(op for op in record.ops if op.instruction or op.name in fact.ops)  # outside it nothing is XLA's
    if share >= NOTABLE:
        yield Advice(
            id="grouped-convolution",
            severity=severity_of(share),
            message=f"{percent(share)} of the step: {counted(fact.count, 'convolution')} with groups or channels first "
            f"({listed(fact.layers)}), which Keras runs in XLA's slow kernel on CPU",
            action="split the channels and give each group a Conv2D of its own, or use DepthwiseConv2D",
            evidence={"share": share, "ops": fact.count},
            gain_low=share * (1 - 1 / _GROUPED_SLOWER),
            gain_high=share,
            layers=fact.layers,
        )

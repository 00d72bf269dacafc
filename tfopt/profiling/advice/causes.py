"""Why a variant of a step may be slow here: what of its facts takes time in this variant."""

from __future__ import annotations

from collections.abc import Iterator

from tfopt.profiling.advice.slow_kernels import said, slow_under_xla
from tfopt.profiling.advice.wording import counted, listed
from tfopt.records.advice import Advice, StepFacts

__all__ = ["causes"]

_NOTABLE_MS = 0.05  # of a step: less than a variant's own ops take to start
_NOTABLE_BYTES = 1_000_000  # which about so much time moves


def causes(facts: StepFacts, *, xla: bool, eager: bool, precision: str, device: str) -> tuple[Advice, ...]:
    """What may explain that this variant of the step is slow on this device; each `message` is a clause that can follow
    a colon. What XLA has no fast kernel for comes first, the most expensive of it before the rest.

    `facts` are those of the step traced as a graph, in any precision. What another variant has as well is in both.
    """
    half = precision.removeprefix("mixed_") if precision.endswith("float16") else ""
    found = [
        *(_under_xla(facts, device) if xla else ()),
        *(_eager(facts) if eager else ()),
        *(_half(facts, half, device) if half else ()),
        *(_on_gpu(facts) if device.startswith("GPU") else ()),
        *(_in_graph(facts) if device.startswith("CPU") and not xla else ()),
        *_always(facts, xla),
    ]
    return tuple(found)


def _under_xla(facts: StepFacts, device: str) -> Iterator[Advice]:
    if device.startswith("CPU"):
        for kernel, fact in slow_under_xla(facts):
            if kernel.extra_ms(fact) > _NOTABLE_MS:
                yield Advice(
                    id=kernel.id,
                    severity="high",
                    message=said([(kernel, fact)]),
                    action="leave XLA off",
                    evidence={"ops": fact.count, **fact.numbers},
                    layers=fact.layers,
                )
    called_back = facts.get("python_function")
    if called_back is not None:
        yield Advice(
            id="python-function",
            severity="high",
            message=f"XLA cannot compile {counted(called_back.count, 'Python function')}",
            action="write them with TensorFlow's or Keras's ops",
            evidence={"ops": called_back.count},
            layers=called_back.layers,
        )


def _eager(facts: StepFacts) -> Iterator[Advice]:
    ops = facts.get("ops")
    if ops is not None:
        yield Advice(
            id="eager",
            severity="high",
            message=f"Python starts each op by itself, and as a graph the step has {ops.count:,} of them",
            action="run it as a graph",
            evidence={"graph_ops": ops.count},
        )


def _half(facts: StepFacts, half: str, device: str) -> Iterator[Advice]:
    if facts.half_known and half not in facts.half_precision:
        yield Advice(
            id="half-unsupported",
            severity="high",
            message=f"this {device.partition(':')[0]} has no instructions for {half} products",
            action=f"use {' or '.join(facts.half_precision) or 'float32'}",
        )
    casts = facts.get("half_casts")
    if casts is not None and casts.numbers["bytes"] >= _NOTABLE_BYTES:
        moves = "moves" if casts.count == 1 else "move"
        yield Advice(
            id="casts",
            severity="medium",
            message=f"{counted(casts.count, 'cast')} to and from half precision {moves} "
            f"{casts.numbers['bytes'] / 1e6:,.1f} MB",
            action="keep neighbouring layers in one precision",
            evidence={"casts": casts.count, "bytes": casts.numbers["bytes"]},
            layers=casts.layers,
        )


def _on_gpu(facts: StepFacts) -> Iterator[Advice]:
    recurrence = facts.get("unfused_recurrence")
    if recurrence is not None:
        yield Advice(
            id="recurrence-unfused",
            severity="high",
            message=f"{counted(recurrence.count, 'recurrent layer')} cannot use cuDNN's kernel ({recurrence.detail})",
            action="use the default activations and leave unroll and recurrent_dropout out",
            evidence={"layers": recurrence.count},
            layers=recurrence.layers,
        )


def _in_graph(facts: StepFacts) -> Iterator[Advice]:
    grouped = facts.get("convolution_under_xla")
    if grouped is not None:
        yield Advice(
            id="grouped-convolution",
            severity="high",
            message=f"{counted(grouped.count, 'convolution')} with groups or channels first, which Keras runs in XLA's "
            "slow kernel on CPU",
            action="split the channels and give each group a Conv2D of its own",
            evidence={"ops": grouped.count},
            layers=grouped.layers,
        )


def _always(facts: StepFacts, xla: bool) -> Iterator[Advice]:
    wide = facts.get("float64")
    if wide is not None and wide.numbers["bytes"] >= _NOTABLE_BYTES:
        yield Advice(
            id="float64",
            severity="medium",
            message=f"{counted(wide.count, 'op')} compute{'s' if wide.count == 1 else ''} in float64 "
            f"({listed(wide.layers) or 'outside all layers'})",
            action="cast inputs to float32",
            evidence={"ops": wide.count, "bytes": wide.numbers["bytes"]},
            layers=wide.layers,
        )
    called_back = facts.get("python_function")
    if called_back is not None and not xla:
        runs = "runs" if called_back.count == 1 else "run one at a time"
        yield Advice(
            id="python-function",
            severity="medium",
            message=f"{counted(called_back.count, 'Python function')} {runs} under Python's lock",
            action="write them with TensorFlow's or Keras's ops",
            evidence={"ops": called_back.count},
            layers=called_back.layers,
        )

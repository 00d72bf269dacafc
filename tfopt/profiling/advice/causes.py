"""Why a variant of a step may be slow here: what of its facts takes time in this variant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tfopt.profiling.advice.slow_kernels import said, slow_under_xla
from tfopt.profiling.advice.wording import listed
from tfopt.records.advice import Advice, Fact, Severity, StepFacts
from tfopt.wording import counted

__all__ = ["causes"]

_IN_TENSORFLOW = "write them with TensorFlow's or Keras's ops"
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
                message = said([(kernel, fact)])
                yield _cause(kernel.id, "high", message, "leave XLA off", fact, numbers=tuple(fact.numbers))
    called_back = facts.get("python_function")
    if called_back is not None:
        message = f"XLA cannot compile {counted(called_back.count, 'Python function')}"
        yield _cause("python-function", "high", message, _IN_TENSORFLOW, called_back)


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
        moved = f"{moves} {casts.numbers['bytes'] / 1e6:,.1f} MB"
        message = f"{counted(casts.count, 'cast')} to and from half precision {moved}"
        action = "keep neighbouring layers in one precision"
        yield _cause("casts", "medium", message, action, casts, "casts", ["bytes"])


def _on_gpu(facts: StepFacts) -> Iterator[Advice]:
    recurrence = facts.get("unfused_recurrence")
    if recurrence is not None:
        found = counted(recurrence.count, "recurrent layer")
        message = f"{found} cannot use cuDNN's kernel ({recurrence.detail})"
        action = "use the default activations and leave unroll and recurrent_dropout out"
        yield _cause("recurrence-unfused", "high", message, action, recurrence, "layers")


def _in_graph(facts: StepFacts) -> Iterator[Advice]:
    grouped = facts.get("convolution_under_xla")
    if grouped is not None:
        found = counted(grouped.count, "convolution")
        message = f"{found} with groups or channels first, which Keras runs in XLA's slow kernel on CPU"
        action = "split the channels and give each group a Conv2D of its own"
        yield _cause("grouped-convolution", "high", message, action, grouped)


def _always(facts: StepFacts, xla: bool) -> Iterator[Advice]:
    wide = facts.get("float64")
    if wide is not None and wide.numbers["bytes"] >= _NOTABLE_BYTES:
        where = listed(wide.layers) or "outside all layers"
        computes = "computes" if wide.count == 1 else "compute"
        message = f"{counted(wide.count, 'op')} {computes} in float64 ({where})"
        yield _cause("float64", "medium", message, "cast inputs to float32", wide, numbers=["bytes"])
    called_back = facts.get("python_function")
    if called_back is not None and not xla:
        runs = "runs" if called_back.count == 1 else "run one at a time"
        message = f"{counted(called_back.count, 'Python function')} {runs} under Python's lock"
        yield _cause("python-function", "medium", message, _IN_TENSORFLOW, called_back)


def _cause(
    id: str,
    severity: Severity,
    message: str,
    action: str,
    fact: Fact,
    counts: str = "ops",
    numbers: Sequence[str] = (),
) -> Advice:
    """A cause; its evidence is how many `counts` the fact tells of, and these of its `numbers`."""
    evidence = {counts: fact.count, **{name: fact.numbers[name] for name in numbers}}
    return Advice(id=id, severity=severity, message=message, action=action, evidence=evidence, layers=fact.layers)

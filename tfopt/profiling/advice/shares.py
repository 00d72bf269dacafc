"""Shares of the step that rules ask for, and advice put together from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tfopt.records.advice import Advice, Severity
from tfopt.records.profile import LayerRow, OpRow, Phase, ProfileRecord

__all__ = [
    "NOTABLE",
    "fixed_share",
    "is_product",
    "layer_share",
    "on_cpu",
    "op_share",
    "ops_named",
    "phase_share",
    "ranked",
    "severity_of",
    "within",
]

NOTABLE = 0.05
"""A share of the step below which nothing is worth telling."""
_HIGH, _MEDIUM = 0.3, 0.1
# TensorFlow's types, oneDNN's that contain them, and XLA's instructions.
_PRODUCTS = ("MatMul", "Conv1D", "Conv2D", "Conv3D", "Conv2d", "Einsum", "dot", "convolution")


def on_cpu(record: ProfileRecord) -> bool:
    """Whether the tables of a record show what computed: of another device they show the host's work."""
    return record.run.device.startswith("CPU")


def phase_share(record: ProfileRecord, phase: Phase) -> float:
    """What a phase takes of the step."""
    return sum(row.share for row in record.phases if row.phase == phase)


def fixed_share(record: ProfileRecord) -> float:
    """What of the step is the same for any number of examples: between ops, and TensorFlow's work around them."""
    return record.coverage.idle + record.coverage.executor


def layer_share(record: ProfileRecord, layers: Iterable[str], part: Callable[[LayerRow], float] | None = None) -> float:
    """What these layers take of the step by themselves; `part` chooses milliseconds of a row instead."""
    paths = set(layers)
    rows = [row for row in record.layers if row.path in paths]
    return sum(row.share for row in rows) if part is None else sum(map(part, rows)) / record.step.median_ms


def op_share(ops: Iterable[OpRow]) -> float:
    """What these ops take of the step."""
    return sum(op.share for op in ops)


def ops_named(record: ProfileRecord, names: Iterable[str]) -> list[OpRow]:
    """The ops that ran under these names."""
    wanted = set(names)
    return [op for op in record.ops if op.name in wanted]


def is_product(op: OpRow) -> bool:
    """Whether an op is a matrix product or a convolution, or has one fused into it."""
    return any(word in op.type for word in _PRODUCTS)


def within(path: str, layers: Iterable[str]) -> bool:
    """Whether a layer is one of these or inside one."""
    return any(path == layer or path.startswith(f"{layer}/") for layer in layers)


def severity_of(gain: float) -> Severity:
    """How much a gain of this fraction of the step matters."""
    return "high" if gain >= _HIGH else "medium" if gain >= _MEDIUM else "low"


def ranked(found: Iterable[Advice]) -> tuple[Advice, ...]:
    """Advice by severity, then by what it should gain."""
    order: dict[Severity, int] = {"high": 0, "medium": 1, "low": 2}
    return tuple(sorted(found, key=lambda one: (order[one.severity], -_gain(one), -(one.gain_low or 0.0))))


def _gain(advice: Advice) -> float:
    return advice.gain_high or advice.gain_low or 0.0

"""Advice: what to change, drawn from records by small rules. Loads no TensorFlow.

A rule is a function from a profile's record to advice; `RULES` lists them all. docs/advice.md says for each what it
looks at, from where on it speaks, why, and what it expects to gain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tfopt.profiling.advice import layers, overhead, precision, waste, xla
from tfopt.profiling.advice.causes import causes
from tfopt.profiling.advice.shares import ranked
from tfopt.records.advice import Advice
from tfopt.records.profile import ProfileRecord

__all__ = ["RULES", "advise", "causes"]

Rule = Callable[[ProfileRecord], Iterator[Advice]]

RULES: tuple[Rule, ...] = (
    xla.slow_kernels,
    xla.xla_would_be_slower,
    xla.xla_may_help,
    xla.grouped_convolution,
    precision.half_unsupported,
    precision.bfloat16_possible,
    precision.odd_dimensions,
    precision.many_casts,
    precision.float64,
    overhead.retracing,
    overhead.input_bound,
    overhead.small_batch,
    overhead.optimizer_share,
    overhead.python_functions,
    overhead.eager,
    waste.dense_embedding_update,
    waste.repeated_work,
    waste.needless_transposes,
    waste.recurrent_loop,
    waste.unfused_recurrence,
    layers.dear_activation,
    layers.far_off_the_roof,
)


def advise(record: ProfileRecord) -> tuple[Advice, ...]:
    """What could be changed to make this step faster: by severity, then by expected gain."""
    return ranked(advice for rule in RULES for advice in rule(record))

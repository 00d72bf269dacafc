"""Advice: what to change, drawn from records by small rules. Loads no TensorFlow.

A rule is a function from a profile's record to advice; `RULES` lists them all. docs/advice.md says for each what it
looks at, from where on it speaks, why, and what it expects to gain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tfopt.profiling.advice import layers, overhead, precision, waste, xla
from tfopt.profiling.advice.causes import causes
from tfopt.profiling.advice.shares import on_cpu, ranked
from tfopt.records.advice import Advice
from tfopt.records.profile import ProfileRecord

__all__ = ["RULES", "advise", "causes"]

Rule = Callable[[ProfileRecord], Iterator[Advice]]

# What holds wherever the step ran.
ANYWHERE: tuple[Rule, ...] = (
    precision.half_unsupported,
    precision.odd_dimensions,
    overhead.retracing,
    overhead.input_bound,
    overhead.eager,
    waste.unfused_recurrence,
)
# What is read off the tables, which of other devices show what the host does.
ON_CPU: tuple[Rule, ...] = (
    xla.slow_kernels,
    xla.xla_would_be_slower,
    xla.xla_may_help,
    xla.grouped_convolution,
    precision.bfloat16_possible,
    precision.many_casts,
    precision.float64,
    overhead.small_batch,
    overhead.optimizer_share,
    overhead.python_functions,
    waste.dense_embedding_update,
    waste.repeated_work,
    waste.needless_transposes,
    waste.recurrent_loop,
    layers.dear_activation,
)
RULES = (*ANYWHERE, *ON_CPU, layers.far_off_the_roof)


def advise(record: ProfileRecord) -> tuple[Advice, ...]:
    """What could be changed to make this step faster: by severity, then by expected gain.

    Of layers that other advice names, none is said to be off its roof: the other says why.
    """
    if not on_cpu(record):
        return ranked(advice for rule in ANYWHERE for advice in rule(record))
    found = [advice for rule in (*ANYWHERE, *ON_CPU) for advice in rule(record)]
    told = {layer for advice in found for layer in advice.layers}
    return ranked([*found, *layers.far_off_the_roof(record, told)])

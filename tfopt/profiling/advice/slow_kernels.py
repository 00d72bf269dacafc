"""What XLA has no fast kernel for on CPU, and what that costs.

Measured with TensorFlow 2.21 on two cores of an AVX512 machine (docs/advice.md): nanoseconds for each multiplication
of a depthwise convolution (forward; backward takes twice that), each random number of the generator that XLA chooses,
and each number that maximum pooling's gradient goes back to. TensorFlow's own kernels take 0.1 to 7. The constants rank
causes and decide what is worth telling; no report prints a time made from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tfopt.records.advice import Fact, StepFacts
from tfopt.wording import counted

__all__ = ["SLOW_KERNELS", "SlowKernel", "extra_ms", "said", "slow_under_xla"]


@dataclass(frozen=True)
class SlowKernel:
    """One kind of fact: the advice's id, what it is called, the number that it costs time for, and how much."""

    kind: str
    id: str
    noun: str
    amount: str
    forward_ns: float
    gradient_ns: float = 0.0

    def extra_ms(self, fact: Fact) -> float:
        """About how much longer the step takes under XLA for it."""
        per_unit = self.forward_ns + (self.gradient_ns if fact.numbers.get("gradient_ops") else 0.0)
        return fact.numbers.get(self.amount, 0.0) * per_unit / 1e6


Found = tuple[SlowKernel, Fact]

SLOW_KERNELS = (
    SlowKernel("depthwise_convolution", "xla-depthwise", "depthwise convolution", "forward_macs", 5.0, 10.0),
    SlowKernel("lone_random", "xla-random", "random layer", "values", 200.0),
    SlowKernel("max_pool_gradient", "xla-max-pool", "max-pool gradient", "values", 9.0),
)


def slow_under_xla(facts: StepFacts) -> list[Found]:
    """What XLA would be slow at in this step, the most expensive first."""
    found = [(kernel, fact) for kernel in SLOW_KERNELS if (fact := facts.get(kernel.kind)) is not None]
    return sorted(found, key=lambda pair: -pair[0].extra_ms(pair[1]))


def extra_ms(found: Sequence[Found]) -> float:
    """About how much longer the step takes under XLA for all of these."""
    return sum(kernel.extra_ms(fact) for kernel, fact in found)


def said(found: Sequence[Found]) -> str:
    """What is the case, in words; `found` is not empty."""
    *first, last = (counted(fact.count, kernel.noun) for kernel, fact in found)
    has = "has" if sum(fact.count for _, fact in found) == 1 else "have"
    return f"{', '.join(first)}{' and ' if first else ''}{last} {has} no fast kernel under XLA on CPU"

"""What a step consists of, found without running it: constructs in its traced graph and its layers.

Every finder is a small function from the step to facts; advice (`tfopt.profiling.advice`) is drawn from them.
"""

from __future__ import annotations

from tfopt.records.advice import Fact, StepFacts
from tfopt.workload.facts.activations import activations
from tfopt.workload.facts.finding import Finder, TracedStep
from tfopt.workload.facts.fragments import ops_in_all, python_functions, recurrent_loops, unfused_recurrences
from tfopt.workload.facts.numbers import casts, float64_ops, half_products, odd_dimensions
from tfopt.workload.facts.repeats import repeated_work
from tfopt.workload.facts.slow_under_xla import convolutions_under_xla, depthwise, lone_random, max_pool_gradients
from tfopt.workload.facts.transposes import needless_transposes
from tfopt.workload.facts.updates import dense_updates, optimizer_updates
from tfopt.workload.graph import StepGraph
from tfopt.workload.hardware import half_precision
from tfopt.workload.workload import Workload

__all__ = ["FINDERS", "step_facts"]

FINDERS: tuple[Finder, ...] = (
    ops_in_all,
    depthwise,
    lone_random,
    max_pool_gradients,
    convolutions_under_xla,
    half_products,
    casts,
    odd_dimensions,
    float64_ops,
    python_functions,
    recurrent_loops,
    unfused_recurrences,
    repeated_work,
    needless_transposes,
    optimizer_updates,
    dense_updates,
    activations,
)


def step_facts(workload: Workload, graph: StepGraph, device: str) -> StepFacts:
    """The facts of a workload's step, from its traced `graph` (empty in eager mode: then those of its layers alone)."""
    step = TracedStep.of(workload, graph)
    found: tuple[Fact, ...] = tuple(fact for finder in FINDERS for fact in finder(step))
    half = half_precision(device)
    return StepFacts(device=device, half_precision=half or (), half_known=half is not None, facts=found)

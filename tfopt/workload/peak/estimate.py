"""The memory that a workload's step takes, before it has run: liveness over its traced graph."""

from __future__ import annotations

import math
import os
from typing import Any

import keras
import tensorflow as tf

from tfopt.model.sizes import item_bytes
from tfopt.records.memory import MemoryInfo
from tfopt.workload.peak.parts import peak_of
from tfopt.workload.peak.reading import largest_product, program_of
from tfopt.workload.preserve import optimizers_of
from tfopt.workload.workload import Workload

__all__ = ["estimate", "liveness", "unknown", "variable_bytes"]


def estimate(workload: Workload) -> MemoryInfo:
    """The step's memory at its peak, before it has run: under XLA a lower bound, else by liveness."""
    if not workload.xla:
        return liveness(workload)
    weights, slots = map(sum, variable_bytes(workload))
    product = largest_product(workload.step.concrete(workload.batch.arguments))
    return MemoryInfo(
        source="xla_lower_bound",
        estimate_bytes=weights + slots + product,
        weight_bytes=weights,
        slot_bytes=slots,
        gradient_bytes=0,
        activation_bytes=0,
        temporary_bytes=product,
        peak_layer=None,
    )


def liveness(workload: Workload, batch_size: int | None = None) -> MemoryInfo:
    """The memory of the step's graph, for another batch size too; traces the step, does not run it.

    `source` is `none`, with weights and slots alone, in eager mode and where shapes are not known before they are
    computed.
    """
    arguments = workload.batch.arguments
    concrete = workload.step.concrete(arguments if batch_size is None else _with_batch(arguments, batch_size))
    program = None if concrete is None else program_of(concrete)
    if program is None or program.unknown:
        return unknown(workload)
    peak = peak_of(program, workload.scopes.table.place, _threads())
    place = None if peak.op is None else workload.scopes.table.place(peak.op)
    weights, slots = map(sum, variable_bytes(workload))
    added = peak.gradients + peak.activations + peak.temporaries + peak.allocator
    return MemoryInfo(
        source="liveness",
        estimate_bytes=weights + slots + added,
        weight_bytes=weights,
        slot_bytes=slots,
        gradient_bytes=peak.gradients,
        activation_bytes=peak.activations,
        temporary_bytes=peak.temporaries,
        peak_layer=None if place is None else place.layer,
        allocator_bytes=peak.allocator,
        uncounted_bytes=peak.uncounted,
    )


def unknown(workload: Workload) -> MemoryInfo:
    """Weights and slots alone, where nothing is known of the step."""
    weights, slots = map(sum, variable_bytes(workload))
    return MemoryInfo(
        source="none",
        estimate_bytes=None,
        weight_bytes=weights,
        slot_bytes=slots,
        gradient_bytes=0,
        activation_bytes=0,
        temporary_bytes=0,
        peak_layer=None,
    )


def variable_bytes(workload: Workload) -> tuple[list[int], list[int]]:
    """Bytes of each of the model's variables, and of its optimizers'."""
    model = workload.model
    optimizers = optimizers_of(model) if workload.step.trains else []
    slots = [variable for optimizer in optimizers for variable in optimizer.variables]
    return _bytes(getattr(model, "weights", None) or model.variables), _bytes(slots)


def _with_batch(arguments: Any, size: int) -> Any:
    """What to trace a step with for batches of another size: specs with another first dimension."""
    return keras.tree.map_structure(
        lambda tensor: None if tensor is None else tf.TensorSpec((size, *tensor.shape[1:]), tensor.dtype), arguments
    )


def _bytes(variables: Any) -> list[int]:
    unique = {id(variable): variable for variable in variables}.values()
    return [math.prod(variable.shape) * item_bytes(variable.dtype) for variable in unique]


def _threads() -> int:
    return int(tf.config.threading.get_inter_op_parallelism_threads()) or len(os.sched_getaffinity(0))

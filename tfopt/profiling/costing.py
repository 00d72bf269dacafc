"""What the layers of a step cost, and what this machine can do: neither may fail a profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import keras

from tfopt.model.cost import layer_costs, scope_costs, step_costs
from tfopt.profiling.roofline import Costs
from tfopt.profiling.telling import told
from tfopt.records.base import Note
from tfopt.records.cost import LayerCost
from tfopt.records.machine import Machine
from tfopt.report.progress import ProgressCallback
from tfopt.workload.batch import Batch
from tfopt.workload.batching import batch_for
from tfopt.workload.compilation import compile_model
from tfopt.workload.device import Placement
from tfopt.workload.machine import known_machine
from tfopt.workload.options import Options
from tfopt.workload.preserve import optimizers_of
from tfopt.workload.scope_names import usable_scopes
from tfopt.workload.workload import Workload

__all__ = ["counted", "traced_costs", "unprepared_costs"]


def counted(
    workload: Workload, placement: Placement, recalibrate: bool, progress: ProgressCallback
) -> tuple[Costs, tuple[Note, ...]]:
    """The cost of each layer of the step, the machine's roofs, and notes on what of it is not known."""
    notes: list[Note] = []
    layers: Mapping[str, LayerCost] = {}
    machine: Machine | None = None
    dtypes: Mapping[str, str] = {}
    with told("the layers' work could not be counted", notes):
        dtypes = _dtypes(workload)
        layers = _layers(workload)
    if layers:
        with told("this machine's roofs could not be measured", notes):
            machine, said = known_machine(placement, recalibrate, progress)
            notes += said
    return Costs(layers, dtypes, machine, workload.xla), tuple(notes)


def traced_costs(model: Any, batch: Batch, mode: Literal["train", "infer"]) -> tuple[LayerCost, ...]:
    """What the layers of a model cost in a step on such a batch, the model traced for it. Of a model that trains with
    several optimizers, the first updates the weights."""
    if not isinstance(model, keras.Model):
        return scope_costs(model, batch.size)
    optimizer = next(iter(optimizers_of(model)), None) if mode == "train" else None
    return layer_costs(model, batch.x, mode=mode, optimizer=optimizer)


def unprepared_costs(model: Any, options: Options) -> tuple[LayerCost, ...]:
    """The same of a model as it was loaded, without a step: neither targets nor an optimizer's slots are needed, which
    take as long to make as counting does."""
    if options.mode == "train":
        compile_model(model, options)
        optimizer = model.optimizer
        if not (optimizer.built or type(optimizer).__module__.startswith("keras.")):  # its slots tell what it costs
            optimizer.build(model.trainable_variables)
    with usable_scopes():
        return traced_costs(model, batch_for(model, options, None), options.mode)


def _layers(workload: Workload) -> dict[str, LayerCost]:
    """What the step's layers cost, by path. An eager step has no trace: the model is traced for it."""
    model, scopes = workload.model, workload.scopes
    mode: Literal["train", "infer"] = "train" if workload.step.trains else "infer"
    optimizer = next(iter(scopes.applied), None)
    step = workload.step.concrete(workload.batch.arguments)
    if not isinstance(model, keras.Model):
        costs = scope_costs(model, workload.batch.size)
    elif step is None:
        costs = layer_costs(model, workload.batch.arguments[0], mode=mode, optimizer=optimizer)
    else:
        trace = next(trace for trace in scopes.traces if trace.graph is step.graph)
        costs = step_costs(model, scopes.tree, trace, mode=mode, optimizer=optimizer)
    return {cost.path: cost for cost in costs}


def _dtypes(workload: Workload) -> dict[str, str]:
    """What each layer computes in; a `keras.ops` call between layers in what the model does."""
    root = getattr(workload.model, "compute_dtype", "float32")
    return {node.path: getattr(node.layer, "compute_dtype", root) for node in workload.scopes.tree}

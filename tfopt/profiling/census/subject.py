"""A model whose facts are asked for; what several facts are found in is made once, and only when it is needed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import keras

from tfopt.errors import RunFailed
from tfopt.model.layers import LayerNode, layer_tree, own_variables
from tfopt.model.load import LoadedModel
from tfopt.model.scope_tree import scope_tree
from tfopt.profiling.costing import traced_costs, unprepared_costs
from tfopt.records.cost import LayerCost
from tfopt.trace.hlo import program
from tfopt.workload.device import Placement
from tfopt.workload.facts.ops import StepOps
from tfopt.workload.failures import explained
from tfopt.workload.graph import StepGraph
from tfopt.workload.options import Options
from tfopt.workload.prepared import prepared
from tfopt.workload.workload import Workload

__all__ = ["Found", "Subject", "numbers"]


@dataclass(frozen=True)
class Found:
    """A fact's value, and what each layer has of it, by path, where that can be told."""

    value: float
    layers: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Subject:
    """A loaded model and how its step is run. Whatever it gives raises TfoptError where it cannot be had."""

    loaded: LoadedModel
    options: Options
    placement: Placement

    @classmethod
    def of(cls, loaded: LoadedModel, options: Options, placement: Placement) -> Subject:
        """The subject; where there is nothing to train, its step is the forward pass."""
        trains = getattr(loaded.model, "trainable_variables", ())
        return cls(loaded, options if trains else replace(options, mode="infer"), placement)

    @cached_property
    def types(self) -> dict[str, str]:
        """The layers by path, with their types; the name scopes of a SavedModel take their place."""
        return {node.path: node.type for node in self._tree}

    @cached_property
    def variables(self) -> dict[str, list[Any]]:
        """The weights by the layer that holds them; those of a SavedModel are its own."""
        if self._keras:
            return own_variables(self._tree)
        return {self._tree[0].path: list(self.loaded.model.variables)}

    @cached_property
    def costs(self) -> tuple[LayerCost, ...]:
        """What each layer costs per step. Another precision is another model, and may scale the loss."""
        with explained("tracing the model"):
            if self.options.precision is None:
                return unprepared_costs(self.loaded.model, self.options)
            return traced_costs(self.workload.model, self.workload.batch, self.options.mode)

    @cached_property
    def workload(self) -> Workload:
        """The step, ready to run."""
        return prepared(self.loaded, self.options, self.placement)

    @cached_property
    def ops(self) -> StepOps:
        """The live ops of the step's graph."""
        with explained("tracing the step"):
            concrete = self.workload.step.concrete(self.workload.batch.arguments)
        if concrete is None:
            raise RunFailed("an eager step has no graph", "leave eager out")
        return StepOps.of(StepGraph(concrete), self.workload.scopes.table)

    @cached_property
    def compiled(self) -> Workload:
        """The step compiled with XLA."""
        if self.workload.xla:
            return self.workload
        return prepared(self.loaded, replace(self.options, xla=True, eager=False), self.placement)

    @cached_property
    def hlo(self) -> Any:
        """What XLA makes of the step: its HloProto."""
        with explained("compiling the step with XLA"):
            return program(self.compiled.step.optimized_hlo(self.compiled.batch.arguments))

    @cached_property
    def _tree(self) -> tuple[LayerNode, ...]:
        return (layer_tree if self._keras else scope_tree)(self.loaded.model)

    @property
    def _keras(self) -> bool:
        return isinstance(self.loaded.model, keras.Model)


def numbers(variable: Any) -> int:
    """How many numbers a weight holds."""
    return math.prod(variable.shape)

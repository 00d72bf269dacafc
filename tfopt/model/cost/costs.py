"""The cost of every layer of a model: the calls that it makes, each by its closed form, else by its ops."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import keras
import tensorflow as tf

from tfopt.model.cost import (  # noqa: F401  (registered by being imported)
    attention,
    convolution,
    dense,
    merging,
    moving,
    normalisation,
    pooling,
    preprocessing,
    recurrent,
)
from tfopt.model.cost.counting import Count, OpCounter
from tfopt.model.cost.graphs import differentiable, inner_graphs
from tfopt.model.cost.observe import Frame, Trace, is_dense, is_tensor, observe
from tfopt.model.cost.optimizers import update_bytes, update_flops, updates_rows
from tfopt.model.cost.registry import formula_for
from tfopt.model.cost.work import Call, NoFormula, Operand, UnknownShape, Work
from tfopt.model.graphs import Body, live
from tfopt.model.layers import LayerNode, layer_tree, own_variables
from tfopt.model.sizes import item_bytes
from tfopt.records.cost import CostSource, LayerCost

__all__ = ["Costs", "layer_costs", "step_costs"]


def layer_costs(
    model: Any, inputs: Any, *, mode: Literal["train", "infer"] = "train", optimizer: Any = None
) -> tuple[LayerCost, ...]:
    """What each layer of a Keras model costs per step, in the order and with the paths of `layer_tree(model)`.

    The model is run once symbolically: no step runs, no value is computed.

    Args:
        model: a Keras model.
        inputs: a batch of its inputs, as a structure of tensors. Only shapes and dtypes matter.
        mode: `train` for forward, backward and update, `infer` for the forward pass.
        optimizer: the one that updates the weights; None leaves updates out.
    """
    tree = layer_tree(model)
    trace = observe(model, inputs, tree, training=mode == "train")
    built = layer_tree(model)
    if len(built) != len(tree):  # some layers made others when they were first called
        tree = built
        trace = observe(model, inputs, tree, training=mode == "train")
    return step_costs(model, tree, trace, mode=mode, optimizer=optimizer)


def step_costs(
    model: Any, tree: Sequence[LayerNode], trace: Trace, *, mode: Literal["train", "infer"], optimizer: Any
) -> tuple[LayerCost, ...]:
    """The same of a step whose calls were noted while it was traced, which costs next to nothing."""
    trained = list(model.trainable_variables) if mode == "train" else []
    return tuple(Costs(trace, tree, trained, optimizer).rows())


class Costs:
    """The trace of a model's forward pass, with what its step trains, made into rows."""

    def __init__(self, trace: Trace, tree: Sequence[LayerNode], trained: Sequence[Any], optimizer: Any) -> None:
        self.trace, self.tree, self.optimizer = trace, tree, optimizer
        self.trained = {id(variable): variable for variable in trained}
        self.bodies = {id(trace.graph): Body(trace.graph), **inner_graphs(trace.graph)}
        self.gradients = _gradients(trace, trained)
        self.live = set(live(trace.graph))
        self.own_ops: dict[int, list[Any]] = {}
        for body in self.bodies.values():
            for op in body.graph.get_operations():
                frame = trace.owners.get((id(body.graph), op.name))
                if frame is not None and (frame.looped or body.graph is not trace.graph or op in self.live):
                    self.own_ops.setdefault(id(frame), []).append(op)

    def rows(self) -> Iterator[LayerCost]:
        frames: dict[str, list[Frame]] = {}
        for frame in self.trace.frames:
            frames.setdefault(frame.node.path, []).append(frame)
        variables = own_variables(self.tree)
        for node in self.tree:
            yield self.row(node, frames.get(node.path, []), variables[node.path])

    def row(self, node: LayerNode, frames: Sequence[Frame], variables: Sequence[Any]) -> LayerCost:
        total, remarks = _Total(), dict[str, None]()
        source: CostSource = "formula" if frames else "none"
        for frame in frames:
            times = self.times(frame, remarks)
            call = self.call(frame, variables)
            work = _by_formula(call, remarks)
            if work is None:
                source = "ops"
                work = self.by_ops(frame, remarks)
            total.add(work, call, self.activations(frame), times)
        sizes = [math.prod(variable.shape) for variable in variables]
        rows = total.looked_up if total.looked_up and updates_rows(self.optimizer) else None
        updates = [
            (rows or size, variable)
            for size, variable in zip(sizes, variables, strict=True)
            if id(variable) in self.trained
        ]
        return LayerCost(
            path=node.path,
            type=node.type,
            depth=node.depth,
            calls=total.calls,
            output_shape=_output_shape(frames),
            params=sum(sizes),
            trainable_params=sum(size for size, own in zip(sizes, variables, strict=True) if own.trainable),
            weight_bytes=sum(size * item_bytes(own.dtype) for size, own in zip(sizes, variables, strict=True)),
            macs=total.macs,
            forward_flops=total.forward,
            backward_flops=total.backward,
            optimizer_flops=sum(update_flops(self.optimizer, size) for size, _ in updates),
            forward_bytes=total.forward_bytes,
            backward_bytes=total.backward_bytes,
            optimizer_bytes=sum(update_bytes(self.optimizer, size, variable.dtype) for size, variable in updates),
            activation_bytes=total.activations,
            source=source,
            detail="; ".join(remarks),
        )

    def times(self, frame: Frame, remarks: dict[str, None]) -> int:
        """How often a call runs per step."""
        loop = self.bodies.get(id(frame.graph))
        if loop is not None and loop.alternative:
            remarks["in a branch: counted as if taken"] = None
        around = 1 if loop is None else loop.times
        if frame.times is None or around is None:
            remarks["in a loop of unknown length: counted as one turn"] = None
        return (frame.times or 1) * (around or 1)

    def call(self, frame: Frame, variables: Sequence[Any]) -> Call:
        weights = tuple(Operand(tuple(v.shape), v.dtype, id(v) in self.trained) for v in variables)
        return Call(
            frame.node.layer,
            keras.tree.map_structure(self.operand, dict(frame.arguments)),
            tuple(self.operand(tensor) for tensor in frame.outputs),
            weights,
            frozenset(self.trained),
        )

    def operand(self, value: Any) -> Any:
        """A tensor as an operand, anything else as it is.

        Inside loops and branches every floating-point tensor is taken to need a gradient if anything is trained.
        """
        if isinstance(value, keras.Variable):
            return Operand(tuple(value.shape), value.dtype, id(value) in self.trained)
        if not is_tensor(value):
            return value
        shape = None if value.shape.rank is None or not isinstance(value, tf.Tensor) else tuple(value.shape)
        if not is_dense(value):
            return Operand(shape, value.dtype.name)
        if value.graph is self.trace.graph:
            return Operand(shape, value.dtype.name, value.name in self.gradients)
        return Operand(shape, value.dtype.name, bool(self.trained) and value.dtype.is_floating)

    def by_ops(self, frame: Frame, remarks: dict[str, None]) -> Work:
        """The ops that the call made itself. A layer that calls others moves what its ops move, each by itself."""
        total = Count()
        known = self.gradients if frame.graph is self.trace.graph else frozenset[str]()
        counter = OpCounter(known, self.trace.owners)
        for op in self.own_ops.get(id(frame), ()):
            total.add(counter.op(op))
        remarks.update({f"not counted: {what}": None for what in total.uncounted})
        moved = total.bytes if id(frame.node.layer) in self.trace.parents else None
        back = None if moved is None else 2 * moved * bool(total.backward)
        return Work(total.macs, total.other, total.backward, moved, back)

    def activations(self, frame: Frame) -> int:
        """Bytes of the outputs that the call made, which are neither its inputs nor made by a layer inside it."""
        size = 0
        for tensor in frame.outputs:
            operand = self.operand(tensor)
            if self.trace.made_by(frame, tensor) and operand.shape is not None and None not in operand.shape:
                size += operand.bytes
        return size


@dataclasses.dataclass
class _Total:
    """A layer's calls, added up."""

    calls: int = 0
    macs: int = 0
    forward: int = 0
    backward: int = 0
    forward_bytes: int = 0
    backward_bytes: int = 0
    activations: int = 0
    looked_up: int = 0

    def add(self, work: Work, call: Call, activations: int, times: int) -> None:
        self.calls += times
        self.macs += times * work.macs
        self.forward += times * (2 * work.macs + work.other)
        self.backward += times * work.backward
        self.forward_bytes += times * _forward_bytes(call, work)
        self.backward_bytes += times * _backward_bytes(call, work)
        self.activations += times * activations
        self.looked_up += times * work.looked_up


def _by_formula(call: Call, remarks: dict[str, None]) -> Work | None:
    """The work of a call by closed form; None where there is none for this layer, or for this way of calling it."""
    formula = formula_for(call.layer)
    try:
        return None if formula is None else formula(call)
    except (NoFormula, UnknownShape):
        return None
    except Exception as error:  # whatever else a stranger's call has in store: its ops tell
        remarks[f"its formula failed ({type(error).__name__}): counted from its ops"] = None
        return None


def _known(operands: Iterable[Operand]) -> int:
    """Bytes of those whose size is known."""
    return sum(operand.bytes for operand in operands if operand.shape is not None and None not in operand.shape)


def _forward_bytes(call: Call, work: Work) -> int:
    """Inputs and weights read, outputs written."""
    return _known((*call.inputs, *call.weights, *call.outputs)) if work.moved is None else work.moved


def _backward_bytes(call: Call, work: Work) -> int:
    """Gradients of outputs, the inputs and the weights read; gradients of inputs and weights written."""
    if work.backward_moved is not None or not call.backward:
        return work.backward_moved or 0
    inputs = [operand for operand in call.inputs if operand.needs_gradient]
    weights = [operand for operand in call.weights if operand.needs_gradient]
    read = [*(output for output in call.outputs if output.needs_gradient), *(call.inputs if work.keeps else ())]
    return _known((*read, *(call.weights if inputs else ()), *inputs, *weights))


def _output_shape(frames: Sequence[Frame]) -> tuple[int, ...] | None:
    """The shape of the first output of the first call, where it is known."""
    shape = frames[0].outputs[0].shape if frames and frames[0].outputs else None
    return tuple(shape) if shape is not None and shape.is_fully_defined() else None


def _gradients(trace: Trace, trained: Sequence[Any]) -> frozenset[str]:
    """The tensors of the traced graph that get a gradient.

    A cell is noted before its loop, where its states are zeros: in the loop they come from the step before, and need
    a gradient wherever what it gives does.
    """

    def names(tensors: Iterable[Any]) -> set[str]:
        return {tensor.name for tensor in tensors if is_dense(tensor) and tensor.graph is trace.graph}

    results = set[str]().union(*(names(frame.outputs) for frame in trace.frames if frame.looped or frame.outermost))
    cells = [frame for frame in trace.frames if frame.looped]
    seeds: set[str] = set()
    while True:
        found = differentiable(trace.graph, results, trained, seeds)
        reached = [frame for frame in cells if names(frame.outputs) & found]
        more = set[str]().union(*(names(keras.tree.flatten(frame.arguments.get("states"))) for frame in reached))
        if more <= seeds:
            return found
        seeds |= more

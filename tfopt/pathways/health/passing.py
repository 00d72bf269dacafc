"""One forward and one backward pass over a model as it is, with the statistics of every tensor on its way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from tfopt.model.cost import Trace, observing
from tfopt.model.layers import LayerNode
from tfopt.pathways.health.roles import axis_of, is_weight_layer
from tfopt.pathways.health.statistics import activity, dense, means, saturated, sizes
from tfopt.pathways.health.watching import Watching
from tfopt.pathways.interception import observed
from tfopt.pathways.losses import Loss
from tfopt.workload.drift.still import still

__all__ = ["Pass", "Seen"]


@dataclass
class Seen:
    """What a trace has found. Places are rows of the sizes, by the id of what they are of.

    What no gradient reaches has no place in `backward` and `variables`. `depths` are the weight layers before each
    layer call.
    """

    watching: Watching
    trace: Trace
    outputs: frozenset[int]
    forward: dict[int, int] = field(default_factory=dict)
    backward: dict[int, int] = field(default_factory=dict)
    variables: dict[int, int] = field(default_factory=dict)
    depths: list[int] = field(default_factory=list)


class Pass:
    """What `tf.function` compiles.

    The model runs in training mode with its random layers off (`still`): it sees the batch statistics that a step
    sees, and two calls give the same. What it would write to its variables stays in a scope, so that nothing changes.
    """

    def __init__(
        self,
        model: Any,
        tree: Sequence[LayerNode],
        loss: Loss,
        *,
        careful: bool,
    ) -> None:
        """`careful`: see `sizes`."""
        self.model, self.tree, self.loss, self.careful = model, tree, loss, careful
        self.seen: Seen | None = None
        self._values = [variable.value for variable in model.weights]
        self._trained = [variable.value for variable in model.trainable_weights]

    def __call__(self, x: Any, y: Any, sample_weight: Any, scale: Any) -> Mapping[str, Any]:
        """Sizes and means by tensor or variable, shares of activation functions; gradients of loss × `scale`."""
        watching = Watching({id(node.layer): node.path for node in reversed(self.tree)})
        with keras.StatelessScope(collect_losses=True), tf.GradientTape() as tape:
            tape.watch([leaf for leaf in keras.tree.flatten(x) if leaf.dtype.is_floating])
            with still(self.model), observing(self.tree) as trace, observed(
                self.model,
                watching,
                functions=watching.functions_of_keras(),
                attributes={"activation": watching.attribute},
            ):  # fmt: skip
                outputs = self.model(x, training=True) if self.model._call_has_training_arg else self.model(x)
            loss = tf.cast(self.loss(x, y, outputs, sample_weight), tf.float32)
            scaled = loss * scale
        self.seen = seen = Seen(watching, trace, frozenset(id(leaf) for leaf in keras.tree.flatten(outputs)))
        seen.depths = _depths(watching)
        values = _unique(
            [tensor for each in watching.layers for tensor in (*each.inputs, *each.outputs)]
            + [each.given for each in watching.functions]
        )
        ways = _unique(
            [*values, *(tensor for each in watching.layers for tensor in each.copies)]
            + [tensor for each in watching.functions for tensor in (each.x, each.y)]
        )
        of_ways, of_weights = tape.gradient(scaled, [ways, self._trained])
        seen.forward = {id(tensor): place for place, tensor in enumerate(values)}
        seen.backward, of_ways = _connected(ways, of_ways)
        seen.variables, of_weights = _connected(self._trained, of_weights)
        weights = [tf.convert_to_tensor(value) for value in self._values]
        active = [activity(each.y, axis_of(each.layer)) for each in watching.functions]
        return {
            "loss": loss,
            "entering": self._sizes([leaf for leaf in keras.tree.flatten(x) if leaf.dtype.is_floating]),
            "forward": self._sizes(values),
            "backward": self._sizes(of_ways),
            "weights": self._sizes(weights),
            "means": means(weights),
            "gradients": self._sizes(list(map(dense, of_weights))),
            "active": tf.concat([*active, tf.zeros((0,))], 0),
            "units": _stacked([tf.size(each) for each in active]),
            "values": _stacked([tf.size(each.y) for each in watching.functions]),
            "saturated": _stacked([saturated(each.name, each.y) for each in watching.functions]),
        }

    def _sizes(self, tensors: Sequence[Any]) -> Any:
        return sizes(tensors, careful=self.careful)


def _connected(of: Sequence[Any], gradients: Sequence[Any]) -> tuple[dict[int, int], list[Any]]:
    """The gradients that there are, and their places by the ids of what they are of."""
    found = [(each, gradient) for each, gradient in zip(of, gradients, strict=True) if gradient is not None]
    return {id(each): place for place, (each, _) in enumerate(found)}, [gradient for _, gradient in found]


def _depths(watching: Watching) -> list[int]:
    """For each layer call, the most weight layers on a way from the inputs to it."""
    made = {tensor.op.name for each in watching.layers if is_weight_layer(each.layer) for tensor in each.outputs}
    depths: dict[str, int] = {}
    for op in tf.compat.v1.get_default_graph().get_operations():  # in the order in which they were made
        before = max((depths.get(tensor.op.name, 0) for tensor in op.inputs), default=0)
        depths[op.name] = before + (op.name in made)
    return [max((depths[tensor.op.name] for tensor in each.inputs), default=0) for each in watching.layers]


def _stacked(numbers: Sequence[Any]) -> Any:
    return tf.stack(numbers) if numbers else tf.zeros((0,))


def _unique(tensors: Iterable[Any]) -> list[Any]:
    return list({id(tensor): tensor for tensor in tensors}.values())

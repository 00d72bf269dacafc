"""The step that is measured: one training step or one inference, compiled as asked.

A training step does what `model.train_on_batch` does, bit for bit, less the compiled metrics: forward, loss through
`compute_loss`, loss scaling, gradients of the trainable variables only, one optimizer update (keras
`TensorFlowTrainer.train_step`). A model with its own `train_step` runs that one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from tfopt.errors import InputError
from tfopt.records.profile import Retrace
from tfopt.workload.device import Placement
from tfopt.workload.preserve import optimizers_of
from tfopt.workload.scope_names import usable_scopes
from tfopt.workload.scopes import Scopes

__all__ = [
    "ARGUMENTS",
    "Step",
    "gradient_step",
    "has_own_step",
    "inference_step",
    "loss_of",
    "serving_step",
    "training_step",
]

ARGUMENTS = ("x", "y", "sample_weight")
_STOCK = "tfopt"
_OVERRIDES_REFUSED = ("train_on_batch", "make_train_function")


@dataclass
class Step:
    """A step ready to run: `step(x, y, sample_weight)` gives a structure of tensors.

    `source` says whose step it is; `trains` whether it updates weights; `gives_loss` whether its result is the loss.
    `signatures` has the arguments' shapes and dtypes of every tracing.
    """

    source: str
    eager: bool
    trains: bool
    gives_loss: bool
    _call: Callable[..., Any]
    _placement: Placement
    signatures: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, *arguments: Any) -> Any:
        return self._placement.run(self._call, arguments)

    @property
    def device(self) -> str:
        """Where it runs, by the name that TensorFlow's memory counters know: `CPU:0`."""
        name = self._placement.name
        return name if ":" in name else f"{name}:0"

    def concrete(self, arguments: tuple[Any, ...]) -> Any | None:
        """The traced function for these arguments (None in eager mode)."""
        return None if self.eager else self._call.get_concrete_function(*arguments)  # type: ignore[attr-defined]

    def optimized_hlo(self, arguments: tuple[Any, ...]) -> bytes:
        """What XLA makes of a step that it compiles, for these arguments: a serialized HloProto with its buffers."""

        def compiled(*given: Any) -> Any:
            return self._call.experimental_get_compiler_ir(*given)(stage="optimized_hlo_proto_serialized")  # type: ignore[attr-defined]

        return bytes(self._placement.run(compiled, arguments))

    def retraces(self) -> tuple[Retrace, ...]:
        """Every tracing after the first, with the argument that differed.

        A second tracing of the first arguments is no retrace: `tf.function` traces twice when a variable is created in
        the first one.
        """
        pairs = list(zip(self.signatures, self.signatures[1:], strict=False))
        if pairs and pairs[0][0] == pairs[0][1]:
            del pairs[0]
        return tuple(_difference(before, after) for before, after in pairs)


def training_step(model: Any, scopes: Scopes, placement: Placement, *, xla: bool, eager: bool) -> Step:
    """The training step of a compiled model. Raises InputError where its class replaces more than `train_step`."""
    for name in _OVERRIDES_REFUSED:
        if _overridden(model, name):
            raise InputError(
                f"{type(model).__name__} has its own {name}: tfopt cannot tell what its training step is",
                "move the step into train_step, or profile the forward pass with --mode infer",
            )
    own = has_own_step(model)
    body = _own_body(model) if own else _stock_body(model)
    source = f"{type(model).__name__}.train_step" if own else _STOCK
    return _compiled(body, model, optimizers_of(model), scopes, placement, source, xla, eager, gives_loss=not own)


def has_own_step(model: Any) -> bool:
    """Whether the model's class (or the object itself) replaces Keras's `train_step`."""
    return _overridden(model, "train_step")


def inference_step(model: Any, scopes: Scopes, placement: Placement, *, xla: bool, eager: bool) -> Step:
    """The forward pass with `training=False`."""

    def body(x: Any, y: Any, sample_weight: Any) -> Any:
        return model(x, training=False) if model._call_has_training_arg else model(x)

    return _compiled(body, model, [], scopes, placement, _STOCK, xla, eager)


def gradient_step(model: Any, scopes: Scopes, placement: Placement, *, xla: bool, eager: bool) -> Step:
    """A training step that stops before the update: the loss, the scale that its gradients have, and the gradient of
    each trainable weight, dense (None where the loss does not depend on it)."""

    def body(x: Any, y: Any, sample_weight: Any) -> Any:
        loss, gradients = _gradients(model, x, y, sample_weight)
        dense = [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in gradients]
        return loss, model.optimizer.scale_loss(tf.ones((), "float32")), dense

    return _compiled(body, model, [], scopes, placement, _STOCK, xla, eager)


def serving_step(serving: Any, scopes: Scopes, placement: Placement, *, xla: bool) -> Step:
    """The serving signature of a SavedModel: `x` is a dict of its named inputs."""

    def body(x: Any, y: Any, sample_weight: Any) -> Any:
        return serving(x)

    return _compiled(body, serving, [], scopes, placement, "serving signature", xla, False)


def _overridden(model: Any, name: str) -> bool:
    stock = getattr(keras.Model, name, None)
    return name in vars(model) or getattr(type(model), name, None) is not stock


def _stock_body(model: Any) -> Callable[..., Any]:
    optimizer = model.optimizer

    def body(x: Any, y: Any, sample_weight: Any) -> Any:
        loss, gradients = _gradients(model, x, y, sample_weight)
        optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))
        return loss

    return body


def loss_of(model: Any, x: Any, y: Any, sample_weight: Any) -> Any:
    """The loss of a compiled model in training."""
    y_pred = model(x, training=True) if model._call_has_training_arg else model(x)
    return model._compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True)


def _gradients(model: Any, x: Any, y: Any, sample_weight: Any) -> tuple[Any, list[Any]]:
    """The loss, and the gradient of the scaled loss for each trainable weight."""
    with tf.GradientTape() as tape:
        loss = loss_of(model, x, y, sample_weight)
        scaled = model.optimizer.scale_loss(loss)
    return loss, tape.gradient(scaled, model.trainable_weights)


def _own_body(model: Any) -> Callable[..., Any]:
    def body(x: Any, y: Any, sample_weight: Any) -> Any:
        return model.train_step((x,) if y is None else (x, y) if sample_weight is None else (x, y, sample_weight))

    return body


def _compiled(
    body: Callable[..., Any],
    model: Any,
    optimizers: list[Any],
    scopes: Scopes,
    placement: Placement,
    source: str,
    xla: bool,
    eager: bool,
    gives_loss: bool = False,
) -> Step:
    signatures: list[dict[str, str]] = []

    def traced(x: Any, y: Any, sample_weight: Any) -> Any:
        if not eager:
            signatures.append(_signature(x, y, sample_weight))
        with usable_scopes(), scopes.intercept(model, optimizers):
            return body(x, y, sample_weight)

    # Keras does not convert control flow in `call` either (its trainer runs do_not_convert).
    call = traced if eager else tf.function(traced, jit_compile=xla, autograph=False)
    return Step(source, eager, bool(optimizers), gives_loss, call, placement, signatures)


def _signature(*arguments: Any) -> dict[str, str]:
    described = {}
    for name, argument in zip(ARGUMENTS, arguments, strict=True):
        for path, tensor in keras.tree.flatten_with_path(argument):
            key = ".".join((name, *(str(part) for part in path)))
            described[key] = f"{tensor.dtype.name}{tensor.shape}" if hasattr(tensor, "dtype") else repr(tensor)
    return described


def _difference(before: dict[str, str], after: dict[str, str]) -> Retrace:
    for name in {**before, **after}:
        if before.get(name) != after.get(name):
            return Retrace(argument=name, before=before.get(name, "absent"), after=after.get(name, "absent"))
    return Retrace(argument="(none)", before="the same arguments", after="traced again")

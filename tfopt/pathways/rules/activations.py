"""Activation functions, softmax and attention: what takes the place of Keras's functions while a model is traced."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfopt.pathways.interception import BACKENDS, operation_class
from tfopt.pathways.rules.registry import Call, rule

__all__ = [
    "ELEMENTWISE",
    "GATING",
    "HOMOGENEOUS",
    "around_zero",
    "gate_function",
    "is_elementwise",
    "layer_activation",
    "replacements",
]

HOMOGENEOUS = frozenset({"relu", "leaky_relu"})
"""f(c·x) = c·f(x) for c ≥ 0: such a function is its own slope."""

GATING = frozenset({"sigmoid", "hard_sigmoid", "sparse_sigmoid", "tanh", "hard_tanh"})
"""Functions whose result, multiplied with something, gates it."""

_NN = (
    "celu elu gelu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu log_sigmoid relu relu6 selu sigmoid silu"
    " soft_shrink softplus softsign sparse_plus sparse_sigmoid squareplus tanh tanh_shrink threshold"
)
ELEMENTWISE = frozenset(name for name in _NN.split() if hasattr(BACKENDS["nn"], name))
_FUNCTIONS = "Abs Absolute Ceil Clip Cos Cosh Exp Expm1 Floor Log1p Round Sign Sin Sinh Sqrt Square Tan"
_OWN_FUNCTIONS = ELEMENTWISE | {"softmax", "log_softmax", "linear", "glu"}


def replacements(tracer: Any) -> dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]]:
    """By the names that `intercepted` takes: what activation functions are in a surrogate."""

    def elementwise(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def wrapper(original: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(original)
            def function(x: Any, *args: Any, **kwargs: Any) -> Any:
                if tracer.inside or not (tf.is_tensor(x) and x.dtype.is_floating):
                    return original(x, *args, **kwargs)
                return tracer.elementwise(name, functools.partial(_call, original, args, kwargs), x)

            return function

        return wrapper

    return {
        **{f"nn.{name}": elementwise(name) for name in ELEMENTWISE},
        "numpy.tanh": elementwise("tanh"),
        "nn.softmax": lambda original: functools.partial(_softmax, tracer, original),
        "nn.log_softmax": lambda original: functools.partial(_log_softmax, tracer, original),
        "nn.glu": lambda original: functools.partial(_glu, tracer, original),
        "nn.dot_product_attention": lambda original: functools.partial(_attention, tracer, original),
    }


def _call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], x: Any) -> Any:
    return function(x, *args, **kwargs)


def _softmax(tracer: Any, original: Callable[..., Any], x: Any, axis: Any = -1, **kwargs: Any) -> Any:
    """At the end of the model its argument, the logits; elsewhere frozen: uniform without data, measured with it."""
    if tracer.inside:
        return original(x, axis=axis, **kwargs)
    if tracer.is_last():
        return tf.identity(x)
    tracer.mark("approximated", "softmax frozen")
    frozen = tf.stop_gradient(original(tf.zeros_like(x) if tracer.plan.free else x, axis=axis, **kwargs))
    tracer.gates(frozen, frozen)
    return tracer.squashed(frozen)


def _log_softmax(tracer: Any, original: Callable[..., Any], x: Any, axis: Any = -1, **kwargs: Any) -> Any:
    if not tracer.inside and tracer.is_last():
        return tf.identity(x)
    return tracer.squashed(original(x, axis=axis, **kwargs))


def _glu(tracer: Any, original: Callable[..., Any], x: Any, axis: int = -1) -> Any:
    """Half of the channels, times a gate of the other half."""
    if tracer.inside:
        return original(x, axis=axis)
    tracer.mark("approximated", "gate frozen")
    value, gate = tf.split(x, 2, axis=axis)
    return value * (0.5 if tracer.plan.free else tf.stop_gradient(tf.sigmoid(gate)))


def _attention(
    tracer: Any, original: Callable[..., Any], query: Any, key: Any, value: Any, *args: Any, **kwargs: Any
) -> Any:
    """Paths lead through the values; the weights of the mean are frozen."""
    if tracer.inside:
        return original(query, key, value, *args, **kwargs)
    tracer.mark("approximated", "softmax frozen")
    if tracer.plan.free:
        query, key = tf.zeros_like(query), tf.zeros_like(key)
    with tracer.untouched():
        return original(tf.stop_gradient(query), tf.stop_gradient(key), value, *args, **kwargs)


def layer_activation(tracer: Any, function: Any) -> Any:
    """What takes the place of a layer's `activation`: nothing where the backend's function behind it is replaced; a
    user's function, or one made of several, is taken as a whole where it acts on each element by itself."""
    name = getattr(function, "__name__", type(function).__name__)
    if name in _OWN_FUNCTIONS and getattr(keras.activations, name, None) is function:
        return function
    if isinstance(function, keras.layers.Layer):  # with a rule of its own
        return function

    with tracer.untouched():
        elementwise = is_elementwise(function)

    def replaced(x: Any, *args: Any, **kwargs: Any) -> Any:
        if tracer.inside or not elementwise:
            return function(x, *args, **kwargs)
        return tracer.elementwise(name, functools.partial(_call, function, args, kwargs), x)

    replaced.elementwise = elementwise  # type: ignore[attr-defined]
    return replaced


def gate_function(tracer: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """What takes the place of a recurrent layer's `recurrent_activation`: a gate, frozen."""

    def replaced(x: Any, *args: Any, **kwargs: Any) -> Any:
        tracer.mark("approximated", "gates frozen")
        with tracer.untouched():
            at = tf.zeros_like(x) if tracer.plan.free else x
            return tf.stop_gradient(function(at, *args, **kwargs))

    return replaced


def around_zero(function: Callable[..., Any]) -> tuple[float, float]:
    """f(0) and f′(0)."""
    with tf.init_scope():
        zero = tf.zeros((1, 1), tf.float64)
        with tf.GradientTape() as tape:
            tape.watch(zero)
            value = function(zero)
        gradient = tape.gradient(value, zero)
        return float(value[0, 0]), 0.0 if gradient is None else float(gradient[0, 0])


def is_elementwise(function: Callable[..., Any]) -> bool:
    """Whether a function gives for each number what it gives for that number alone."""
    try:
        with tf.init_scope():
            points = tf.constant([[-1.3, 0.2], [0.9, 2.1]], tf.float64)
            together = function(points)
            alone = [function(tf.reshape(point, (1, 1))) for point in tf.reshape(points, (-1,))]
            return bool(
                together.shape == points.shape
                and tf.reduce_max(tf.abs(tf.reshape(together, (-1,)) - tf.reshape(tf.stack(alone), (-1,)))) < 1e-12
            )
    except Exception:  # the user's function, on what it was not made for
        return False


@rule(keras.layers.ReLU, own=True)
def _relu(call: Call) -> Any:
    plain = call.layer.max_value is None and not call.layer.threshold
    return call.tracer.elementwise("relu" if plain else "clipped relu", call.layer.call, call.x)


@rule(*(operation_class(name) for name in _FUNCTIONS.split()))
def _function(call: Call) -> Any:
    """With data, a slope and f(0) like any function of single elements; without, as it is."""
    if call.free:
        call.tracer.mark("as is", "")
        return call.proceed()
    return call.tracer.elementwise(type(call.layer).__name__.lower(), call.run, call.x)


@rule(keras.layers.PReLU, own=True)
def _prelu(call: Call) -> Any:
    return tf.identity(call.x) if call.free else call.proceed()


@rule(keras.layers.Softmax, own=True)
def _softmax_layer(call: Call) -> Any:
    """The mask is kept. Scores without data may be large, a mask adds −10⁹ to them: they are zero before it is."""
    if call.free and not call.tracer.ends_here():
        first, *others = call.args
        return call.run(tf.zeros_like(first), *others, **call.kwargs)
    return call.proceed()


_OPERATIONS = (
    "Relu Relu6 Sigmoid SparseSigmoid Softplus Softsign SoftShrink SparsePlus Silu Squareplus LogSigmoid LeakyRelu"
    " HardSigmoid HardSilu Elu Selu Gelu Celu Glu TanhShrink HardTanh HardShrink Threshold Softmax LogSoftmax Tanh"
)


@rule(
    keras.layers.Activation,
    keras.layers.ELU,
    keras.layers.LeakyReLU,
    *map(operation_class, _OPERATIONS.split()),
    own=True,
)
def _as_its_function(call: Call) -> Any:
    return call.proceed()

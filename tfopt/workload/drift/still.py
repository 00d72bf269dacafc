"""Switch a model's random layers off and leave everything else in training mode.

Two programs draw other numbers from one seed, XLA and TensorFlow do, so that with Dropout their outputs differ by as
much as the outputs are large. Switching it off by `training=False` for the whole model would take BatchNormalization's
batch statistics with it, and with them the gradients that training has.

Private names of Keras used here: `Layer._flatten_layers`, `Layer._seed_generators`, `Layer._call_has_training_arg`.
A test checks that they exist.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras

__all__ = ["random_ops", "still"]

_DRAWING = ("Random", "Multinomial", "Rng", "TruncatedNormal")


@contextlib.contextmanager
def still(model: Any) -> Iterator[None]:
    """Layers that hold a generator of random numbers, and recurrent layers (whose cells do), run as in inference while
    the block traces or runs the model."""
    layers = [layer for layer in getattr(model, "_flatten_layers", lambda: ())() if _draws(layer)]
    own = [(layer, vars(layer).get("call")) for layer in layers]
    try:
        for layer in layers:
            object.__setattr__(layer, "call", _as_in_inference(layer.call))
        yield
    finally:
        for layer, call in own:
            if call is None:
                object.__delattr__(layer, "call")
            else:
                object.__setattr__(layer, "call", call)


def _draws(layer: Any) -> bool:
    return bool(layer._call_has_training_arg and (layer._seed_generators or isinstance(layer, keras.layers.RNN)))


def _as_in_inference(call: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(call)

    @functools.wraps(call)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)
        given.arguments["training"] = False
        return call(*given.args, **given.kwargs)

    return wrapped


def random_ops(types: Iterable[str]) -> tuple[str, ...]:
    """Those of the op types that draw random numbers: what `still` could not switch off."""
    return tuple(sorted({op for op in types if any(word in op for word in _DRAWING)}))

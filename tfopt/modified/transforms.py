"""How a weight W becomes W′: a registry by the words of `--modify`, `scale=0.5` or `relu`.

A transform whose gradient is not the derivative of what it computes says so: a `surrogate` passes another one on,
`steps` jump where their derivative says nothing. Either is checked with respect to W′ alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from tfopt.errors import UsageError
from tfopt.model.imports import import_modules

__all__ = ["TRANSFORMS", "Transform", "transform"]

Shape = tuple[int, ...]


def _nothing(shape: Shape, rng: np.random.Generator) -> Sequence[np.ndarray]:
    return ()


@dataclass(frozen=True)
class Transform:
    """`apply(weight, *factors)` gives a tensor of the weight's shape and dtype, in any floating dtype; `start(shape,
    rng)` where its learned factors start. `gradient` says what the gradient through it is."""

    name: str
    apply: Callable[..., Any]
    start: Callable[[Shape, np.random.Generator], Sequence[np.ndarray]] = _nothing
    gradient: Literal["exact", "surrogate", "steps"] = "exact"


def transform(what: str | Transform | Callable[..., Any]) -> Transform:
    """The transform for a word of the registry, for `package.module:name` of a function of a weight or of a Transform,
    or for either itself.

    Raises UsageError for a word or a number that it does not know.
    """
    if isinstance(what, Transform):
        return what
    if callable(what):
        return Transform(getattr(what, "__name__", type(what).__name__), what)
    word, equals, number = what.partition("=")
    if word in TRANSFORMS:
        return TRANSFORMS[word](what, _number(what, number))
    if word in FUNCTIONS and not equals:
        return Transform(word, FUNCTIONS[word])
    if ":" in what:
        return _imported(what)
    known = ", ".join([*(f"{name}=…" for name in TRANSFORMS), *FUNCTIONS])
    raise UsageError(f"unknown modification {what!r}", f"use {known}, or package.module:function")


def _scale(name: str, start: float) -> Transform:
    """W′ = s · W; s, one number per weight tensor, is learned from `start` on."""
    return Transform(name, lambda weight, factor: weight * factor, lambda shape, rng: (np.array(start),))


def _threshold(name: str, threshold: float) -> Transform:
    """W′ = W where |W| > threshold, else 0: as in pruning. The gradient is that of what is kept."""
    _not_negative(name, threshold)

    @tf.custom_gradient  # type: ignore[untyped-decorator]  # that of tf.where is the same, and dearer
    def cut(weight: Any) -> Any:
        kept = _kept(weight, threshold)
        return tf.math.multiply_no_nan(weight, kept), lambda upstream: tf.math.multiply_no_nan(upstream, kept)

    return Transform(name, cut, gradient="steps")


def _ste_threshold(name: str, threshold: float) -> Transform:
    """The same forward; backward as if nothing were cut (straight-through, arXiv 1308.3432), so that it may return."""
    _not_negative(name, threshold)

    def cut(weight: Any) -> Any:
        return tf.math.multiply_no_nan(weight, _kept(weight, threshold))

    return Transform(name, tf.grad_pass_through(cut), gradient="surrogate")


def _fake_quant(name: str, bits: float) -> Transform:
    """W′ is W rounded to 2^(bits−1) − 1 steps on either side of 0, the last of which is max |W| of the tensor
    (symmetric, arXiv 1712.05877); backward as if it were not rounded."""
    if bits not in range(2, 25):
        raise UsageError(f"{name} needs a whole number of bits from 2 to 24", "write fake-quant=8")
    steps = 2 ** (int(bits) - 1) - 1

    def quantized(weight: Any) -> Any:
        # A step of a float16 weight may be too small for float16, and the number of steps too large.
        wide = tf.cast(weight, "float32") if weight.dtype.size < 4 else weight
        step = tf.reduce_max(tf.abs(wide)) / steps
        return tf.cast(tf.round(tf.math.divide_no_nan(wide, step)) * step, weight.dtype)

    return Transform(name, tf.grad_pass_through(quantized), gradient="surrogate")


def _low_rank(name: str, rank: float) -> Transform:
    """W′ = W + A · B with A (…, rank) drawn and B (rank, outputs) 0 at first, both learned (LoRA, arXiv 2106.09685);
    all axes of W but the last make one."""
    if rank < 1 or rank != int(rank):
        raise UsageError(f"{name} needs a whole number above 0", "write low-rank=4")

    def start(shape: Shape, rng: np.random.Generator) -> Sequence[np.ndarray]:
        rows, columns = math.prod(shape[:-1]), shape[-1]
        return rng.standard_normal((rows, int(rank))) / math.sqrt(rows), np.zeros((int(rank), columns))

    return Transform(name, lambda weight, a, b: weight + tf.reshape(tf.matmul(a, b), weight.shape), start)


def _kept(weight: Any, threshold: float) -> Any:
    """1 where a weight is kept, else 0."""
    return tf.cast(tf.abs(weight) > tf.cast(threshold, weight.dtype), weight.dtype)


def _number(text: str, number: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{text!r} has no number", f"write {text.partition('=')[0]}=NUMBER")
    return value


def _not_negative(name: str, threshold: float) -> None:
    if threshold < 0:
        raise UsageError(f"{name} is negative: every |weight| is above it", "give a threshold of 0 or more")


def _imported(target: str) -> Transform:
    module, _, name = target.partition(":")
    try:
        (imported,) = import_modules([module])
    except UsageError as error:
        raise UsageError(f"cannot find {target}: {error.message.removeprefix('--import ')}", error.hint) from error
    function = getattr(imported, name, None)
    if isinstance(function, Transform):
        return function
    if not callable(function):
        raise UsageError(f"{module} has no function {name!r}", "write --modify package.module:function")
    return Transform(target, function)


TRANSFORMS: Mapping[str, Callable[[str, float], Transform]] = {
    "scale": _scale,
    "threshold": _threshold,
    "ste-threshold": _ste_threshold,
    "fake-quant": _fake_quant,
    "low-rank": _low_rank,
}
FUNCTIONS: Mapping[str, Callable[[Any], Any]] = {
    "abs": tf.abs,
    "relu": keras.ops.relu,
    "sigmoid": keras.ops.sigmoid,
    "softplus": keras.ops.softplus,
    "square": tf.square,
    "tanh": tf.tanh,
}

"""What contributions are contributions to: one number per sample, taken from a model's logits."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any, Literal

import keras
import tensorflow as tf

from tfopt.errors import UsageError
from tfopt.wording import listed
from tfopt.workload.batching import output_names, outputs_of

__all__ = ["Target", "chosen_output", "result_of", "said"]

Target = Literal["predicted", "margin"] | int
"""The logit of the predicted class, or how far it is above the mean of the others; or the class with that number."""

_NAMED: Mapping[str, str] = {
    "predicted": "logit of the predicted class",
    "margin": "logit of the predicted class less the mean of the others",
}


def said(target: Target, units: int | None) -> str:
    """A target in words, for an output of so many units (None: not known).

    Raises:
        UsageError: there is no such target.
    """
    if isinstance(target, bool) or not (target in _NAMED if isinstance(target, str) else isinstance(target, Integral)):
        raise UsageError(f"unknown target {target!r}", f"give {' or '.join(_NAMED)}, or the number of a class")
    if units == 1 and target in ("predicted", 0):
        return "output"
    if units == 1:
        raise UsageError(f"the target {target} is not there: the output has one unit", "leave the target out")
    if isinstance(target, str):
        return _NAMED[target]
    if target < 0 or (units is not None and target >= units):
        known = "0 and up" if units is None else f"0 to {units - 1}"
        raise UsageError(f"there is no class {target}", f"the output has the classes {known}")
    return f"logit of class {target}"


def result_of(logits: Any, target: Target) -> Any:
    """The target's value per sample; of logits with further axes between batch and units, the mean over them.

    Args:
        logits: a tensor of shape (batch, …, units), or (batch,).
        target: see `Target`.

    Returns:
        A tensor of shape (batch,).

    Raises:
        UsageError: there is no such target.
    """
    if not logits.shape.rank:
        raise UsageError("the output is one number for the whole batch", "choose an output with one per sample")
    if logits.shape.rank == 1:
        logits = logits[:, None]
    said(target, logits.shape[-1])
    if isinstance(target, str):
        first = tf.gather(logits, tf.argmax(logits, -1), batch_dims=logits.shape.rank - 1)
        results = first
        if target == "margin":
            count = tf.cast(tf.shape(logits)[-1], logits.dtype)
            results = first - (tf.reduce_sum(logits, -1) - first) / (count - 1)
    else:
        results = logits[..., target]
    return tf.reduce_mean(results, list(range(1, results.shape.rank)))


def chosen_output(model: Any, x: Any, output: str | int | None) -> tuple[int, str]:
    """Which of a model's floating-point outputs is meant (the first where nothing was said), and its name where there
    are several.

    Raises:
        UsageError: there is no such output.
    """
    structure = outputs_of(model, x)
    names = [
        name
        for name, spec in zip(output_names(model, structure), keras.tree.flatten(structure), strict=True)
        if spec.dtype.is_floating
    ]
    number = names.index(output) if output in names else output or 0
    if isinstance(number, int) and 0 <= number < len(names):
        return number, names[number] if len(names) > 1 else ""
    raise UsageError(f"the model has no output {output!r}", f"it has {listed(names)}, or give a number from 0")

"""Which outputs decide something, told by the loss that they are trained with."""

from __future__ import annotations

from typing import Any

import keras

from tfopt.workload.targets import infer_loss, loss_name

__all__ = ["decisions", "losses_of", "names_of"]


def names_of(model: Any, outputs: Any) -> list[str]:
    """A name for each tensor in the structure of a model's outputs."""
    flat = keras.tree.flatten_with_path(outputs)
    known = getattr(model, "output_names", None)
    if known and len(known) == len(flat):
        return [str(name) for name in known]
    return [".".join(str(part) for part in path) or "output" for path, _ in flat]


def losses_of(model: Any, count: int) -> list[Any]:
    """The loss of each of `count` outputs, the one that fits where the model has none; None where that is not known."""
    if not isinstance(model, keras.Model):
        return [None] * count
    loss = getattr(model, "loss", None)
    if loss is None:
        loss = infer_loss(model)[0]
    if isinstance(loss, dict):
        names = getattr(model, "output_names", None) or []
        parts = [loss.get(name) for name in names]
    else:
        parts = list(loss) if isinstance(loss, list | tuple) else [loss] * count
    return parts if len(parts) == count else [None] * count


def decisions(model: Any, count: int) -> list[tuple[bool, float | None]]:
    """For each of `count` outputs: whether it decides, and by which threshold (None: the largest of its classes)."""
    return [_decision(loss) for loss in losses_of(model, count)]


def _decision(loss: Any) -> tuple[bool, float | None]:
    name = loss_name(loss)
    if name.startswith("binary"):
        return True, 0.0 if getattr(loss, "from_logits", False) else 0.5
    return "categorical" in name, None

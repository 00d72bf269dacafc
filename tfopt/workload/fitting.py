"""Whether the user's examples have the shapes that a model takes: said before a layer deep inside stumbles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfopt.errors import InputError
from tfopt.model.inputs import InputSpec, input_specs

__all__ = ["check_shapes", "known_specs"]

Shape = Sequence[int | None]


def known_specs(model: Any) -> tuple[InputSpec, ...]:
    """The inputs of a model that says what they are; none where only running it tells."""
    try:
        return input_specs(model) if model.inputs else ()
    except (AttributeError, ValueError):
        return ()


def check_shapes(specs: Sequence[InputSpec], tensors: Sequence[Any], source: str) -> None:
    """InputError where a tensor, the batch first, is not what its input takes. Ragged and sparse ones are not asked."""
    for spec, tensor in zip(specs, tensors, strict=False):
        given = tuple(tensor.shape)
        if spec.layout == "dense" and not any(_fits(spec.shape[1:], each) for each in _as_keras_takes(spec, given)):
            wanted = ", ".join("?" if size is None else str(size) for size in spec.shape[1:])
            raise InputError(
                f"the examples in {source} have the shape {given[1:]}, input {spec.name} takes ({wanted})",
                "give examples as model.predict takes them",
            )


def _as_keras_takes(spec: InputSpec, given: Shape) -> list[Shape]:
    """The example's shape, and that after Keras added or dropped a last dimension of 1."""
    shape, rank = tuple(given[1:]), len(spec.shape) - 1
    added = [(*shape, 1)] if len(shape) == rank - 1 else []
    return [shape, *added, *([shape[:-1]] if len(shape) == rank + 1 and shape[-1] == 1 else [])]


def _fits(wanted: Shape, given: Shape) -> bool:
    return len(wanted) == len(given) and all(
        size in (None, own) or own is None for size, own in zip(wanted, given, strict=True)
    )

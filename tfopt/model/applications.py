"""`app:NAME`: a network of keras.applications with random weights, so that everything can be tried without a file."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any

import keras

from tfopt.errors import InputError
from tfopt.model.budget import variable_budget
from tfopt.model.failure import cause
from tfopt.model.text import human_bytes, one_line

__all__ = ["application_names", "build_application"]

# The largest network has 1.4 GB; a flattening one (VGG) grows with the square of its input.
_MOST_WEIGHT_BYTES = 4 * 2**30


def application_names() -> dict[str, Callable[..., Any]]:
    """The networks that this Keras offers, by name."""
    return {
        name: function
        for name, function in inspect.getmembers(keras.applications, inspect.isfunction)
        if not name.startswith("_")
    }


def _find(name: str) -> tuple[str, Callable[..., Any]]:
    networks = application_names()
    by_lower = {known.lower(): known for known in networks}
    known = by_lower.get(name.lower())
    if known is not None:
        return known, networks[known]
    near = [by_lower[match] for match in difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.5)]
    guess = f"did you mean {', '.join(f'app:{match}' for match in near)}?" if near else f"known: {', '.join(networks)}"
    raise InputError(f"keras.applications has no network {one_line(name, 60)}", guess)


def build_application(name: str, input_size: int | None = None) -> tuple[str, Any]:
    """The network's true name and a new model of it, `input_size` pixels high and wide (default: its own size).

    Weights are random: reproducible after `keras.utils.set_random_seed`.

    Raises:
        InputError: no such network, or it refuses this input size.
    """
    known, function = _find(name)
    label = f"app:{known}" if input_size is None else f"app:{known} with --input-size {input_size}"
    shape = {} if input_size is None else {"input_shape": (input_size, input_size, 3)}
    most = f"more than the {human_bytes(_MOST_WEIGHT_BYTES)} of the largest networks"
    try:
        with variable_budget(_MOST_WEIGHT_BYTES, label, most, "choose a smaller --input-size"):
            return known, function(weights=None, **shape)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{label} cannot be built: {cause(error)}", "choose another --input-size") from None

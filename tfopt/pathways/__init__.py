"""Which pathways carry a model's result: path weights, contributions on data, strongest paths, health."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfopt.pathways.path_weights import path_scores as path_scores
    from tfopt.pathways.path_weights import path_weights as path_weights
    from tfopt.pathways.rules.registry import roles as roles
    from tfopt.pathways.rules.registry import rule as rule

_HOMES = {
    "path_scores": "tfopt.pathways.path_weights",
    "path_weights": "tfopt.pathways.path_weights",
    "roles": "tfopt.pathways.rules.registry",
    "rule": "tfopt.pathways.rules.registry",
}

__all__ = ["path_scores", "path_weights", "roles", "rule"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value

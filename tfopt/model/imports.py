"""The user's own classes: modules named with `--import`, and what Keras needs from them."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any

import keras

from tfopt.errors import UsageError
from tfopt.model.text import one_line

__all__ = ["custom_objects", "import_modules"]

_KINDS = (
    keras.layers.Layer,
    keras.losses.Loss,
    keras.metrics.Metric,
    keras.optimizers.Optimizer,
    keras.initializers.Initializer,
    keras.regularizers.Regularizer,
    keras.constraints.Constraint,
)
_LIBRARIES = frozenset({"keras", "tensorflow", "tf_keras", "builtins"})


@contextlib.contextmanager
def _working_directory_first() -> Iterator[None]:
    """Imports look in the working directory first, as with `python -m`; afterwards they still find it, last."""
    here = os.getcwd()
    if here in sys.path:
        yield
        return
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
        sys.path.append(here)


def import_modules(names: Sequence[str]) -> tuple[ModuleType, ...]:
    """The modules called `names`, imported; classes that they register with Keras are then registered.

    Raises:
        UsageError: one of them cannot be imported, with the cause.
    """
    modules = []
    with _working_directory_first():
        for name in names:
            if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", name):
                raise UsageError(
                    f"--import {one_line(name, 80)}: not the name of a module",
                    "write it as in Python's import, with dots and without .py: --import package.module",
                )
            try:
                modules.append(importlib.import_module(name))
            except (Exception, SystemExit) as error:
                raise UsageError(
                    f"--import {name} failed: {type(error).__name__}: {one_line(error)}",
                    "the module must be importable from the working directory or be installed",
                ) from error
    return tuple(modules)


def _is_custom(value: object, package: str) -> bool:
    """A class that Keras could ask for, or one of the package's own functions and callable classes."""
    home = str(getattr(value, "__module__", "")).partition(".")[0]
    if home in _LIBRARIES:
        return False
    if inspect.isclass(value):
        is_callable = any("__call__" in vars(base) for base in value.__mro__)
        return issubclass(value, _KINDS) or (home == package and is_callable)
    return home == package and inspect.isfunction(value)


def custom_objects(modules: Iterable[ModuleType], registered: Iterable[str]) -> dict[str, Any]:
    """What `modules` define for Keras, by name, and by those `registered` names (`package>name`) that end in it."""
    found: dict[str, Any] = {}
    for module in modules:
        package = module.__name__.partition(".")[0]
        for name, value in vars(module).items():
            if _is_custom(value, package):
                found[name] = found[value.__name__] = value
    for key in registered:
        name = key.rpartition(">")[2]
        if name in found:
            found[key] = found[name]
    return found

"""Replace attributes of objects for a while, past whatever they do when an attribute is set."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

__all__ = ["patching"]

_ABSENT = object()


@contextlib.contextmanager
def patching() -> Iterator[Callable[[Any, str, Any], None]]:
    """Gives a function `patch(target, name, replacement)`; everything that it replaced is put back on leaving."""
    patched: list[tuple[Any, str, Any]] = []

    def patch(target: Any, name: str, replacement: Any) -> None:
        patched.append((target, name, vars(target).get(name, _ABSENT)))
        _setter(target)(target, name, replacement)

    try:
        yield patch
    finally:
        for target, name, before in reversed(patched):
            if before is _ABSENT:
                _deleter(target)(target, name)
            else:
                _setter(target)(target, name, before)


def _setter(target: Any) -> Callable[[Any, str, Any], None]:
    """Sets an attribute past the target's own ways; those of classes and modules are Python's."""
    return setattr if isinstance(target, type | ModuleType) else object.__setattr__


def _deleter(target: Any) -> Callable[[Any, str], None]:
    return delattr if isinstance(target, type | ModuleType) else object.__delattr__

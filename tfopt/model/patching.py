"""Replace attributes of objects for a while, past whatever they do when an attribute is set."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["patching"]

_ABSENT = object()


@contextlib.contextmanager
def patching() -> Iterator[Callable[[Any, str, Any], None]]:
    """Gives a function `patch(target, name, replacement)`; everything that it replaced is put back on leaving."""
    patched: list[tuple[Any, str, Any]] = []

    def patch(target: Any, name: str, replacement: Any) -> None:
        patched.append((target, name, vars(target).get(name, _ABSENT)))
        object.__setattr__(target, name, replacement)

    try:
        yield patch
    finally:
        for target, name, before in reversed(patched):
            if before is _ABSENT:
                object.__delattr__(target, name)
            else:
                object.__setattr__(target, name, before)

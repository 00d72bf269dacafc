"""What must be undone however the process ends: temporary files and folders, a child, a hidden cursor.

A block undoes it when it ends, also by an exception. What a process leaves undone all the same (a signal arrived in
the middle of undoing, or native code does not return) is done by `undo_all`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

__all__ = ["undo_all", "undone"]

_pending: dict[object, Callable[[], object]] = {}


@contextlib.contextmanager
def undone(undo: Callable[[], object]) -> Iterator[None]:
    """Call `undo` when the block ends or the process does; it may be called twice, and from another thread."""
    key = object()
    _pending[key] = undo
    try:
        yield
    finally:
        undo()
        del _pending[key]


def undo_all() -> None:
    """Undo what is still to be undone, the latest first; one that fails keeps no other from it."""
    for key in reversed(list(_pending)):
        with contextlib.suppress(Exception):
            _pending[key]()

"""Room for Keras, which walks from a network's outputs to its inputs by recursion, a few frames per layer."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

__all__ = ["deep_networks"]

# Python's own limit of 1,000 frames ends at chains of some 900 layers; 2,000 layers need 3,000. Python's frames are not
# on the machine's stack, and a configuration that is nested to do harm is refused before (`tfopt.model.config`).
_FRAMES = 10_000


@contextlib.contextmanager
def deep_networks() -> Iterator[None]:
    """Let the block recurse through chains of thousands of layers."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)

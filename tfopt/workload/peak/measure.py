"""The memory that steps really take, by TensorFlow's own counter: peak − current around them.

On a CPU the counter is that of the oneDNN build's allocator (`tfopt.workload.peak.allocator`): chunks, not tensors,
and nothing below 256 KiB. Builds with another allocator count nothing; then there is no measurement.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import tensorflow as tf

__all__ = ["Added", "added_bytes"]


@dataclass
class Added:
    """Bytes at the peak of a block beyond those in use before it; None until it ends, and where nobody counts."""

    bytes: int | None = None


@contextlib.contextmanager
def added_bytes(device: str) -> Iterator[Added]:
    """Watch what the steps inside add to the memory in use on a device such as `CPU:0`."""
    added = Added()
    try:
        tf.config.experimental.reset_memory_stats(device)
        before = tf.config.experimental.get_memory_info(device)["current"]
    except ValueError:
        yield added
        return
    yield added
    added.bytes = tf.config.experimental.get_memory_info(device)["peak"] - before

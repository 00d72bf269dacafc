"""Functions that run a few times only: optimizing their graphs would cost more than it gains."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf

__all__ = ["as_traced"]


@contextlib.contextmanager
def as_traced() -> Iterator[None]:
    """Functions that first run in the block run as they were traced, then and later."""
    before = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({**before, "disable_meta_optimizer": True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options(
            {**before, "disable_meta_optimizer": before.get("disable_meta_optimizer", False)}
        )

"""Refuses a network whose variables would not fit: a changed digit in a file can declare terabytes."""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfopt.errors import InputError
from tfopt.model.text import human_bytes

__all__ = ["VariableBudget", "variable_budget"]


@dataclass
class VariableBudget:
    """Bytes that variables may take, and those they have taken so far. `refusal` is kept, since Keras swallows it.

    `label` and `why` say in the message whose variables they are, and what they are compared with.
    """

    limit_bytes: int
    label: str
    why: str
    hint: str
    taken_bytes: int = 0
    refusal: InputError | None = None

    def take(self, size: int) -> None:
        """Adds a variable of `size` bytes. Raises InputError where that is too much."""
        self.taken_bytes += size
        if self.taken_bytes > self.limit_bytes:
            self.refusal = InputError(
                f"{self.label} declares weights of at least {human_bytes(self.taken_bytes)}, {self.why}", self.hint
            )
            raise self.refusal


def _declared_bytes(initial_value: object, dtype: object) -> int:
    """The size of the variable that Keras is about to make.

    Keras gives TensorFlow a closure that makes the first value, and the closure's `self` is the Keras variable, which
    knows its shape. Asking it costs nothing; calling it would allocate. 0 where that is not how the value comes.
    """
    if not inspect.isfunction(initial_value):
        return 0
    owner = inspect.getclosurevars(initial_value).nonlocals.get("self")
    shape = getattr(owner, "_shape", None)
    if shape is None:
        return 0
    size = tf.as_dtype(dtype).size if dtype is not None else 4
    return int(math.prod(shape) * size)


@contextlib.contextmanager
def variable_budget(limit_bytes: int, label: str, why: str, hint: str) -> Iterator[VariableBudget]:
    """While open, variables beyond `limit_bytes` in all are refused before they are allocated.

    Raises:
        InputError: inside the block, from the variable that is too much: "`label` declares weights of …, `why`".
    """
    budget = VariableBudget(limit_bytes, label, why, hint)

    def creator(next_creator: Callable[..., Any], **kwargs: Any) -> Any:
        budget.take(_declared_bytes(kwargs.get("initial_value"), kwargs.get("dtype")))
        return next_creator(**kwargs)

    with tf.variable_creator_scope(creator):
        yield budget

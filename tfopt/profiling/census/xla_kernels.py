"""Which ops XLA for CPUs can compile, by TensorFlow's own registry of kernels.

Private name of TensorFlow used here: `tensorflow.python.framework.kernels`.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import kernels

__all__ = ["compilable"]

_DEVICE = "XLA_CPU_JIT"
_ARGUMENT = "Placeholder"  # of the step's function


def compilable(node: Any) -> bool:
    """Whether XLA has a kernel for this op and its dtypes. Whether it can compile a step of such ops is another
    question: shapes that are not known before the step runs prevent that, too."""
    return node.op == _ARGUMENT or any(_fits(node, kernel) for kernel in _kernels()[node.op])


def _fits(node: Any, kernel: Any) -> bool:
    return all(
        {*([value.type] if (value := node.attr[one.name]).type else value.list.type)} <= {*one.allowed_values.list.type}
        for one in kernel.constraint
    )


@cache
def _kernels() -> defaultdict[str, list[Any]]:
    """XLA's kernels by op; they are registered when XLA is first used."""
    tf.function(lambda value: value + 1, jit_compile=True)(tf.constant(0.0))
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for kernel in kernels.get_all_registered_kernels().kernel:
        if kernel.device_type == _DEVICE:
            found[kernel.op].append(kernel)
    return found

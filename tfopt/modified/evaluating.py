"""A loss as a function of what it depends on, in one dtype."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfopt.modified.functional_call import overridden
from tfopt.modified.parts import Part
from tfopt.modified.states import States
from tfopt.workload.step import loss_of

__all__ = ["Loss"]

_COARSER = (tf.float32, tf.float16, tf.bfloat16)


class Loss:
    """The loss of a compiled model in training as a function of all arguments, compiled; every evaluation starts from
    the same states. `start` has the arguments' values."""

    def __init__(self, model: Any, parts: Sequence[Part], batch: Any, dtype: str, xla: bool) -> None:
        self.start = [each.start for part in parts for each in part.arguments]

        def evaluate(values: Sequence[Any]) -> Any:
            rest = iter(values)
            overrides = [(part.variable, part.make(*(next(rest) for _ in part.arguments))) for part in parts]
            with overridden(model, overrides, dtype=dtype):
                return loss_of(model, *batch)

        def differentiate(values: Sequence[Any]) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(values)
                loss = evaluate(values)
            gradients = tape.gradient(loss, values)
            self._reached = [gradient is not None for gradient in gradients]
            return [tf.convert_to_tensor(gradient) for gradient in gradients if gradient is not None]

        self._evaluate = tf.function(evaluate, autograph=False, jit_compile=xla)
        self._differentiate = tf.function(differentiate, autograph=False, jit_compile=xla)
        self._traced = self._evaluate.get_concrete_function(self.start)
        self.states = States(self._traced)

    def __call__(self, values: Sequence[Any]) -> float:
        """The loss at these values."""
        self.states.restore()
        return float(self._evaluate(values))

    def gradients(self, values: Sequence[Any] | None = None) -> list[np.ndarray | None]:
        """At these values, else the start; None where there is none."""
        self.states.restore()
        found = iter(self._differentiate(self.start if values is None else values))
        return [next(found).numpy() if reached else None for reached in self._reached]

    def moved(
        self, number: int, direction: np.ndarray, values: Sequence[Any] | None = None
    ) -> Callable[[float], float]:
        """The loss with one argument moved from its value, else the start, along `direction`, as a function of how
        far."""

        def at(distance: float) -> float:
            moved = list(self.start if values is None else values)
            moved[number] = moved[number] + distance * direction
            return self(moved)

        return at

    def lowered(self) -> tuple[str, ...]:
        """The names of ops between arguments and loss that turn float64 into something coarser; those inside
        of loops are not looked at."""
        seen, stack, found = set[str](), [tensor.op for tensor in self._traced.graph.outputs], list[str]()
        while stack:
            op = stack.pop()
            if op.name in seen:
                continue
            seen.add(op.name)
            stack.extend(tensor.op for tensor in op.inputs)
            if op.type == "Cast" and op.get_attr("SrcT") == tf.float64 and op.get_attr("DstT") in _COARSER:
                found.append(op.name)
        return tuple(sorted(found))

"""Is the gradient the derivative of the loss? Each tensor is moved a little to and fro, everything in float64.

Central differences along random directions: to a random unit vector that of the gradient is added, since a derivative
along the first alone drowns in rounding for large tensors. In float64 the best that differences reach is an error of
about 1e-9, in float32 1e-3, so that nothing is checked there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tfopt.errors import RunFailed
from tfopt.model.layers import layer_tree, own_variables
from tfopt.modified.evaluating import Loss
from tfopt.modified.functional_call import as_dtype
from tfopt.modified.parametrization import Parametrization
from tfopt.modified.parts import Argument, parts_of
from tfopt.records.base import finite
from tfopt.records.gradcheck import DirectionCheck, Verdict
from tfopt.report.progress import ProgressCallback, silent

__all__ = ["Checked", "check_gradients"]

DTYPE = "float64"
# As parts of the tensor's norm; the first that agrees is enough. An edge, as of ReLU, that lies within a step spoils
# it, so that steps become smaller as long as rounding lets them.
STEPS = tuple(10.0**-power for power in range(5, 12))
# How far an evaluation may be off, as a part of the loss, and by so many times what is measured: a small loss may be
# the difference of large numbers.
_ROUNDING, _SPREADS = 2e-15, 10
_TINY, _POINTS = 1e-12, 10  # parts of all tensors by which they are moved to measure it, and how often
_SAME = 1e-12  # of the loss: what threads that add in another order may make of it
_ALIKE = 0.1  # of a slope, and of its distance from the gradient: how far the next may be off
_BESIDE = 1e-3  # of every tensor: so far off edges that lie exactly here are out of reach


@dataclass(frozen=True)
class Checked:
    """The checks, the loss, the ops that did not compute in float64, and the transforms that nothing was checked
    through."""

    checks: tuple[DirectionCheck, ...]
    loss: float
    lowered: tuple[str, ...]
    rough: tuple[str, ...]


def check_gradients(
    model: Any,
    batch: tuple[Any, Any, Any],
    *,
    modified: Parametrization | None = None,
    tolerance: float = 1e-6,
    directions: int = 2,
    seed: int = 0,
    xla: bool = False,
    progress: ProgressCallback = silent,
) -> Checked:
    """Check the gradient of a compiled model's loss in training, with one draw of its random numbers.

    Args:
        model: left as it was.
        batch: inputs, targets and sample weights; floating ones are cast.
        modified: also through its transforms; where these are surrogates or steps, with respect to W′.
        tolerance: the largest error that agrees.
        directions: per tensor.
        seed: of the directions.
        xla: compile the passes with XLA.
        progress: is told the share of tensors that are done.

    Raises:
        RunFailed: the loss is not finite, or differs from one evaluation to the next.
    """
    parts = parts_of(model, modified, DTYPE)
    layers = {id(each): path for path, own in own_variables(layer_tree(model)).items() for each in own}
    loss = Loss(model, parts, as_dtype(batch, DTYPE), DTYPE, xla)
    try:
        here = loss(loss.start)
        if not math.isfinite(here):
            raise RunFailed(f"the loss is {here}: it has no derivative", "check the weights and the data")
        if abs(loss(loss.start) - here) > _SAME * abs(here):
            raise RunFailed(
                "the loss differs from one evaluation to the next, its seeds notwithstanding",
                "draw random numbers with keras.random and a SeedGenerator, not with tf.random",
            )
        gradients = loss.gradients()
        rounding = max(_ROUNDING * abs(here), _SPREADS * _spread(loss))
        check = _Check(loss, rounding, tolerance, directions, np.random.default_rng(seed))
        owners = [(layers.get(id(part.variable), ""), each) for part in parts for each in part.arguments]
        rows = []
        for number, ((layer, argument), gradient) in enumerate(zip(owners, gradients, strict=True)):
            progress("checking", number / len(owners))
            rows.append(check(number, layer, argument, gradient))
        rough = dict.fromkeys(name for part in parts for name in part.rough)
        return Checked(tuple(rows), here, loss.lowered(), tuple(rough))
    finally:
        loss.states.restore()


def _spread(loss: Loss) -> float:
    """The standard deviation of the loss's rounding: moved so little it is a line, and whatever its second differences
    are is rounding (Moré and Wild, SIAM J. Sci. Comput. 33, 2011)."""
    values = [loss([each * (1 + number * _TINY) for each in loss.start]) for number in range(_POINTS)]
    return float(np.sqrt(np.mean(np.diff(values, 2) ** 2) / 6))


@dataclass(frozen=True)
class _Check:
    loss: Loss
    rounding: float
    tolerance: float
    directions: int
    rng: np.random.Generator

    def __call__(self, number: int, layer: str, argument: Argument, gradient: np.ndarray | None) -> DirectionCheck:
        tried = [self._along(number, argument, gradient) for _ in range(self.directions)]
        said, found, errors, verdicts = zip(*tried, strict=True)
        return DirectionCheck(
            path=argument.path,
            layer=layer,
            of=argument.of,
            size=math.prod(argument.start.shape),
            derivative=None if gradient is None else finite(_root_mean_square(said)),
            difference=finite(_root_mean_square(found)),
            error=finite(max(told))
            if (told := [e for e, v in zip(errors, verdicts, strict=True) if v in _TOLD])
            else None,
            verdict=max(verdicts, key=_WORSE.index),
        )

    def _along(
        self, number: int, argument: Argument, gradient: np.ndarray | None
    ) -> tuple[float, float, float, Verdict]:
        """Along one direction: what the gradient says, what differences say, the error, and what that means."""
        direction = self._direction(argument.start.numpy(), gradient)
        said, slope, error, verdict = self._compared(self.loss.moved(number, direction), gradient, direction)
        if verdict == "disagrees" and self._agrees_beside(number, direction, abs(slope - said)):
            verdict = "kink"
        return said, slope, error, verdict

    def _agrees_beside(self, number: int, direction: np.ndarray, distance: float) -> bool:
        """Whether gradient and differences, which are so far apart here, are a hundred times closer a little beside."""
        values, gradients = self._beside
        loss, said = self.loss.moved(number, direction, values), float(np.vdot(gradients[number], direction))
        closest = min(abs(_slope(loss, step) - said) for step in STEPS)
        return closest <= max(distance / 100, self.rounding / STEPS[0])

    def _compared(
        self, loss: Callable[[float], float], gradient: np.ndarray | None, direction: np.ndarray
    ) -> tuple[float, float, float, Verdict]:
        said = 0.0 if gradient is None else float(np.vdot(gradient, direction))
        if not math.isfinite(said):
            return said, math.nan, math.nan, "not finite"
        found = math.nan, math.inf
        for step in STEPS:
            slope = _slope(loss, step)
            distance = abs(slope - said)
            error = distance / max(abs(slope), abs(said)) if distance else 0.0
            if gradient is not None and error <= self.tolerance:
                return said, slope, error, "agrees"
            rounding = self.rounding / step
            if distance <= rounding:
                return said, slope, error, "no effect" if gradient is None else "rounding"
            found = min(found, (slope, error), key=lambda each: each[1])
            if rounding > self.tolerance * abs(slope):
                break
        if gradient is None:
            return said, *found, "no gradient"
        return said, *found, "disagrees" if self._settles(loss, step, said) else "undecided"

    def _settles(self, loss: Callable[[float], float], step: float, said: float) -> bool:
        """Whether slopes of this step and larger ones are far closer to one another than to what the gradient says, and
        alike, but for rounding: else none is the slope here, which a gradient could disagree with."""
        steps = [100 * step, 10 * step, step]
        slopes = [_slope(loss, each) for each in steps]
        return all(
            abs(closer - slope) <= max(_ALIKE * min(abs(closer), abs(closer - said)), 4 * self.rounding / smaller)
            for slope, closer, smaller in zip(slopes, slopes[1:], steps[1:], strict=False)
        )

    def _direction(self, start: np.ndarray, gradient: np.ndarray | None) -> np.ndarray:
        direction = _unit(self.rng.standard_normal(start.shape))
        if gradient is not None and np.isfinite(gradient).all():
            direction = _unit(direction + _unit(gradient))
        return np.asarray(direction * _length(start))

    @cached_property
    def _beside(self) -> tuple[list[Any], list[np.ndarray | None]]:
        """Values of all arguments close by, and the gradients there."""
        rng = np.random.default_rng(0)  # of its own: directions do not depend on whether this was needed
        values = [each + _BESIDE * _length(each) * _unit(rng.standard_normal(each.shape)) for each in self.loss.start]
        return values, self.loss.gradients(values)


# Of these the error says something; beside rounding it does not.
_TOLD: tuple[Verdict, ...] = ("agrees", "kink", "disagrees")
# From the best to the worst: a tensor has the worst verdict of its directions.
_WORSE: tuple[Verdict, ...] = (
    "no effect", "rounding", "agrees", "kink", "undecided", "not finite", "no gradient", "disagrees"
)  # fmt: skip


def _slope(loss: Callable[[float], float], step: float) -> float:
    return (loss(step) - loss(-step)) / (2 * step)


def _length(tensor: Any) -> float:
    """Of a tensor; where it is 0, of one that is 0.01 everywhere."""
    return float(np.linalg.norm(tensor)) or 0.01 * math.sqrt(math.prod(tensor.shape))


def _unit(vector: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector)
    return np.asarray(vector / length) if length else vector


def _root_mean_square(values: Sequence[float]) -> float:
    return math.sqrt(sum(value**2 for value in values) / len(values))

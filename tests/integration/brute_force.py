"""Small networks twice: as a Keras model, and as single units joined by weights, whose paths are walked one by one.

Nothing of `tfopt` is used. Each method takes and gives a `Twin`: a Keras tensor, and the numbers of its units in an
array of its shape (without the batch).
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

L = keras.layers
Key = tuple[str, tuple[int, ...]]
"""An element of a variable: its path and index."""

SEED = 3


@dataclass(frozen=True)
class Twin:
    """A tensor and its units."""

    tensor: Any
    units: np.ndarray


@dataclass(frozen=True)
class Step:
    """An edge between units: to which, the factor along it, and the weights that it is made of."""

    to: int
    factor: float
    keys: tuple[Key, ...]


@dataclass
class Walk:
    """What walking all paths gave: the total; by weight, by edge between layers (from, to, call), by group."""

    total: float = 0.0
    paths: int = 0
    weights: dict[Key, float] = field(default_factory=lambda: defaultdict(float))
    edges: dict[tuple[str, str, int], float] = field(default_factory=lambda: defaultdict(float))
    groups: dict[str, float] = field(default_factory=lambda: defaultdict(float))


class Network:
    """Builds both; `biases`: a constant 1 is an input."""

    def __init__(self, biases: bool = False, seed: int = SEED) -> None:
        self.draw = np.random.default_rng(seed)
        self.steps: list[list[Step]] = []
        self.layers: list[tuple[str, int]] = []
        self.starts: list[int] = []
        self.inputs: list[Any] = []
        self.calls: dict[str, int] = defaultdict(int)
        self.constant = self._units("(constant)", (1,))[0] if biases else None
        if biases:
            self.starts.append(self.constant)

    def _units(self, layer: str, shape: tuple[int, ...]) -> np.ndarray:
        count = int(np.prod(shape))
        first = len(self.steps)
        self.steps += [[] for _ in range(count)]
        self.calls[layer] += 1
        self.layers += [(layer, self.calls[layer])] * count
        return np.arange(first, first + count).reshape(shape)

    def _join(self, source: int, target: int, factor: float = 1.0, *keys: Key) -> None:
        self.steps[int(source)].append(Step(int(target), abs(float(factor)), keys))

    def _set(self, layer: Any) -> None:
        """Random values of either sign for all its variables, the first time."""
        if self.calls[layer.name] > 0:
            return
        for variable in layer.variables:
            positive = variable.name == "moving_variance"
            low, high = (0.5, 2.0) if positive else (-1.0, 1.0)
            variable.assign(self.draw.uniform(low, high, variable.shape))

    def input(self, *shape: int) -> Twin:
        tensor = keras.Input(shape)
        self.inputs.append(tensor)
        units = self._units("(input)", shape)
        self.starts += list(units.ravel())
        return Twin(tensor, units)

    def _bias(self, layer: Any, units: np.ndarray) -> None:
        if self.constant is not None and layer.use_bias:
            for place in np.ndindex(units.shape):
                index = (place[-1],)
                self._join(self.constant, units[place], layer.bias.numpy()[index], (layer.bias.path, index))

    def dense(self, x: Twin, size: int, layer: Any = None, **options: Any) -> Twin:
        layer = layer or L.Dense(size, **options)
        tensor = layer(x.tensor)
        self._set(layer)
        kernel, units = layer.kernel.numpy(), self._units(layer.name, (*x.units.shape[:-1], layer.units))
        for place in np.ndindex(units.shape):
            for i, source in enumerate(x.units[place[:-1]]):
                key = (i, place[-1])
                self._join(source, units[place], kernel[key], (layer.kernel.path, key))
        self._bias(layer, units)
        return Twin(tensor, units)

    def convolution(self, x: Twin, layer: Any) -> Twin:
        """Conv1D and Conv2D, channels last, any stride, dilation and padding; DepthwiseConv1D and 2D with one filter
        per channel."""
        tensor = layer(x.tensor)
        self._set(layer)
        kernel, units = layer.kernel.numpy(), self._units(layer.name, tuple(tensor.shape[1:]))
        depthwise = kernel.shape[-1] == 1 and units.shape[-1] == x.units.shape[-1] and "depthwise" in layer.name
        size = layer.kernel_size
        for place, taps in _windows(x.units, units, size, layer.strides, layer.dilation_rate, layer.padding):
            for tap, at in taps:
                for channel, source in enumerate(x.units[at]):
                    for out in range(units.shape[-1]):
                        if depthwise and out != channel:
                            continue
                        key = (*tap, channel, 0 if depthwise else out)
                        self._join(source, units[(*place, out)], kernel[key], (layer.kernel.path, key))
        self._bias(layer, units)
        return Twin(tensor, units)

    def pool(self, x: Twin, layer: Any) -> Twin:
        """Max-pooling (a path through each place of a window) and average pooling."""
        tensor = layer(x.tensor)
        units = self._units(layer.name, tuple(tensor.shape[1:]))
        ones = (1,) * len(layer.pool_size)
        for place, taps in _windows(x.units, units, layer.pool_size, layer.strides, ones, layer.padding):
            found = list(taps)
            factor = 1 / len(found) if "average" in layer.name else 1
            for _, at in found:
                for channel, source in enumerate(x.units[at]):
                    self._join(source, units[(*place, channel)], factor)
        return Twin(tensor, units)

    def batch_norm(self, x: Twin) -> Twin:
        layer = L.BatchNormalization()
        tensor = layer(x.tensor)
        self._set(layer)
        units = self._units(layer.name, x.units.shape)
        gamma, beta, mean, variance = (each.numpy().astype(float) for each in layer.variables)
        for place in np.ndindex(units.shape):
            c = (place[-1],)
            scale, key = gamma[c] / np.sqrt(variance[c] + layer.epsilon), (layer.gamma.path, c)
            self._join(x.units[place], units[place], scale, key)
            if self.constant is not None:
                self._join(self.constant, units[place], beta[c], (layer.beta.path, c))
                self._join(self.constant, units[place], mean[c] * scale, key, (layer.moving_mean.path, c))
        return Twin(tensor, units)

    def one_to_one(self, layer: Any, *xs: Twin, shape: tuple[int, ...] | None = None) -> Twin:
        """Activations, sums, and what only changes the shape."""
        tensor = layer([x.tensor for x in xs] if len(xs) > 1 else xs[0].tensor)
        units = self._units(layer.name, tuple(tensor.shape[1:]))
        for x in xs:
            for source, target in zip(x.units.ravel(), units.ravel(), strict=True):
                self._join(source, target)
        return Twin(tensor, units)

    def concat(self, *xs: Twin) -> Twin:
        layer = L.Concatenate()
        tensor = layer([x.tensor for x in xs])
        units = self._units(layer.name, tuple(tensor.shape[1:]))
        for source, target in zip(np.concatenate([x.units for x in xs], -1).ravel(), units.ravel(), strict=True):
            self._join(source, target)
        return Twin(tensor, units)

    def model(self, *outputs: Twin) -> Any:
        self.ends = {int(unit) for output in outputs for unit in output.units.ravel()}
        tensors = [output.tensor for output in outputs]
        return keras.Model(self.inputs, tensors if len(tensors) > 1 else tensors[0])

    def count(self) -> int:
        """How many paths there are: units only lead to later ones."""
        from_here = [0] * len(self.steps)
        for unit in reversed(range(len(self.steps))):
            from_here[unit] = (unit in self.ends) + sum(from_here[step.to] for step in self.steps[unit])
        return sum(from_here[unit] for unit in self.starts)

    def walk(self, groups: dict[str, Callable[[str], bool]] | None = None) -> Walk:
        """Every path from a start to an end, one after the other; `groups` say of a variable's path whether it is a
        member."""
        walk = Walk()
        trail: list[tuple[int, Step]] = []

        def visit(unit: int, product: float) -> None:
            if unit in self.ends:
                self._add(walk, trail, product, groups or {})
            for step in self.steps[unit]:
                trail.append((unit, step))
                visit(step.to, product * step.factor)
                trail.pop()

        for start in self.starts:
            visit(int(start), 1.0)
        return walk

    def _add(self, walk: Walk, trail: list[tuple[int, Step]], product: float, groups: dict[str, Any]) -> None:
        walk.total += product
        walk.paths += 1
        for unit, step in trail:
            layer, call = self.layers[step.to]
            walk.edges[self.layers[unit][0], layer, call] += product
            for key in step.keys:
                walk.weights[key] += product
        for name, member in groups.items():
            if any(member(key[0]) for _, step in trail for key in step.keys):
                walk.groups[name] += product


def _windows(
    inside: np.ndarray, outside: np.ndarray, size: Any, strides: Any, dilation: Any, padding: str
) -> Iterator[tuple[tuple[int, ...], list[tuple[tuple[int, ...], tuple[int, ...]]]]]:
    """For each place of the output: (place in the kernel, place in the input) wherever that is no padding."""
    lengths, new = inside.shape[:-1], outside.shape[:-1]
    before = [
        max((n - 1) * s + (k - 1) * d + 1 - length, 0) // 2 if padding == "same" else 0
        for n, s, k, d, length in zip(new, strides, size, dilation, lengths, strict=True)
    ]
    for place in np.ndindex(new):
        taps = []
        for tap in itertools.product(*map(range, size)):
            at = tuple(p * s + t * d - b for p, s, t, d, b in zip(place, strides, tap, dilation, before, strict=True))
            if all(0 <= a < length for a, length in zip(at, lengths, strict=True)):
                taps.append((tap, at))
        yield place, taps

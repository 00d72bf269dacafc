"""What an initializer gives: how much larger a layer's output is than its input, and a gradient behind it.

For weights drawn independently with mean 0, the values before the activation function are normal with variance
fan-in · std² · E[x²] (He et al. 2015, section 2.2), so that the output's second moment is E[f(z)²]; backward, each
element of the gradient is multiplied by f′(z), and its squared norm by fan-in · std² · E[f′(z)²]. The expectations are
sums over a fine grid: f may have kinks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

__all__ = ["FUNCTIONS", "RELU_LIKE", "expected_gains", "glorot_std", "he_std", "initial_std"]

_POINTS = np.linspace(-9, 9, 6000)  # an even number: none lies on a kink at 0
_WEIGHTS = np.exp(-(_POINTS**2) / 2) / np.exp(-(_POINTS**2) / 2).sum()
_STEP = 1e-5


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (1 + np.tanh(x / 2)))


def _hard_sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(x / 6 + 0.5, 0, 1))


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.logaddexp(x, 0))


def _elu(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.where(x > 0, x, np.expm1(np.minimum(x, 0))))


_ERF = np.vectorize(math.erf, otypes=[float])

FUNCTIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "elu": _elu,
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * _elu(np.minimum(x, 0))),
    "gelu": lambda x: x * (1 + _ERF(x / math.sqrt(2))) / 2,
    "silu": lambda x: x * _sigmoid(x),
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "softplus": _softplus,
    "hard_silu": lambda x: x * _hard_sigmoid(x),
    "sigmoid": _sigmoid,
    "hard_sigmoid": _hard_sigmoid,
    "tanh": np.tanh,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "softsign": lambda x: x / (1 + np.abs(x)),
}
"""Keras's activation functions with their default arguments, by name."""

RELU_LIKE = frozenset(
    {"relu", "relu6", "leaky_relu", "prelu", "elu", "selu", "gelu", "silu", "mish", "softplus", "hard_silu"}
)
"""Functions that pass about half of what comes in: He's initializer makes up for it."""


def he_std(fan_in: float) -> float:
    """He et al. 2015: √(2 / fan-in)."""
    return math.sqrt(2 / fan_in)


def glorot_std(fan_in: float, fan_out: float) -> float:
    """Glorot & Bengio 2010: √(2 / (fan-in + fan-out))."""
    return math.sqrt(2 / (fan_in + fan_out))


def initial_std(function: str, fans: tuple[float, float]) -> float:
    """The standard deviation of weights before an activation function: He's before relu and its like, else Glorot's.
    `fans` are (in, out)."""
    return he_std(fans[0]) if function in RELU_LIKE else glorot_std(*fans)


def expected_gains(function: str, fan_in: float, std: float, input_rms: float) -> tuple[float, float] | None:
    """Expected gains of a layer with random weights: (root mean square of the output / of the input, norm of the
    gradient at the input / at the output). None for a function that is not in `FUNCTIONS`, or an input of zeros.

    Args:
        function: the activation function's name.
        fan_in: how many inputs each output sums.
        std: of the weights.
        input_rms: the input's root mean square.
    """
    f = FUNCTIONS.get(function)
    deviation = math.sqrt(fan_in) * std * input_rms
    if f is None or not 0 < deviation < math.inf:
        return None
    z = deviation * _POINTS
    step = deviation * _STEP
    slopes = (f(z + step) - f(z - step)) / (2 * step)
    forward = math.sqrt(float(_WEIGHTS @ f(z) ** 2)) / input_rms
    return forward, math.sqrt(fan_in) * std * math.sqrt(float(_WEIGHTS @ slopes**2))

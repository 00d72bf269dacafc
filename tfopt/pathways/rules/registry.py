"""Which rule holds for which layer, and what each of its variables is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Literal, Protocol

import keras
import tensorflow as tf

from tfopt.pathways.nodes import is_data
from tfopt.pathways.plan import Plan
from tfopt.records.influence import Status

__all__ = ["Call", "Role", "Rule", "Tracer", "exactly", "role_of", "roles", "rule", "rule_for"]

Role = Literal["weight", "offset", "statistic", "unknown"]
"""A `weight` multiplies what comes in, an `offset` is added to it, a `statistic` is neither (a variance, a seed)."""


class Tracer(Protocol):
    """What a rule may ask of the trace that it is part of."""

    plan: Plan

    def constant(self, tensor: Any) -> Any: ...
    def gates(self, tensor: Any, value: Any) -> None: ...
    def in_halves(self) -> None: ...
    def gate_value(self, tensor: Any) -> Any | None: ...
    def depends(self, tensor: Any, on: Any) -> bool: ...
    def elementwise(self, name: str, function: Callable[..., Any], x: Any) -> Any: ...
    def ends_here(self) -> bool: ...
    def flows_in(self) -> bool: ...
    def mark(self, status: Status, reason: str) -> None: ...


@dataclass(frozen=True)
class Call:
    """One call of a layer or operation, for its rule.

    `proceed()` makes the call as it is, with the surrogate's weights; `free` says whether paths are summed (weights are
    |w|, inputs not negative, nothing is added) or contributions on real data.
    """

    layer: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    run: Callable[..., Any]
    tracer: Tracer

    @property
    def free(self) -> bool:
        """Whether this is the data-free pass."""
        return self.tracer.plan.free

    @property
    def leaves(self) -> list[Any]:
        """All arguments, flat, without what is None."""
        return [leaf for leaf in keras.tree.flatten((self.args, self.kwargs)) if leaf is not None]

    @property
    def tensors(self) -> list[Any]:
        """The floating-point tensors among the arguments that are no constants."""
        return [leaf for leaf in self.leaves if is_data(leaf)]

    @property
    def x(self) -> Any:
        """The first of them; where there is none, the first tensor, as floating-point numbers."""
        if self.tensors:
            return self.tensors[0]
        return next(tf.cast(leaf, self.tracer.plan.dtype) for leaf in self.leaves if tf.is_tensor(leaf))

    def proceed(self) -> Any:
        """The call as it is."""
        return self.run(*self.args, **self.kwargs)

    def value(self, variable: Any) -> Any:
        """A variable's or constant's value in this trace, in the dtype of the inputs."""
        return tf.cast(keras.ops.convert_to_tensor(variable), self.x.dtype)

    def constant(self, tensor: Any) -> Any:
        """Something that is added whatever comes in: it counts as a bias, or not at all."""
        return self.tracer.constant(tensor)


def exactly(number: Any, dtype: Any) -> Any:
    """A number or tensor in a dtype; `tf.cast` would round a number of Python's to float32 first."""
    return tf.cast(number, dtype) if tf.is_tensor(number) else tf.convert_to_tensor(number, dtype)


Function = Callable[[Call], Any]


@dataclass(frozen=True)
class Rule:
    """How a layer is called in a surrogate; how faithful that is; why it is not exact (empty where it is); whether it
    is spared the check on random inputs, which others' rules undergo; whether paths start in it."""

    apply: Function
    status: Status
    reason: str
    own: bool
    starts: bool


_RULES: dict[type, Rule] = {}
_ROLES: dict[type, Mapping[str, Role]] = {}

_ABOUT = frozenset({"__init__", "build", "get_config", "compute_output_shape", "compute_output_spec", "compute_mask"})
"""Methods that say what a layer is, not what it computes."""

_ROLES_BY_NAME: dict[str, Role] = {
    **dict.fromkeys(("bias", "recurrent_bias", "beta", "mean", "moving_mean", "offset"), "offset"),
    **dict.fromkeys(("variance", "moving_variance", "seed_generator_state", "count"), "statistic"),
    **dict.fromkeys(
        ("kernel", "recurrent_kernel", "depthwise_kernel", "pointwise_kernel", "embeddings", "gamma", "scale"), "weight"
    ),
}


def rule(
    *classes: type,
    status: Status = "exact",
    reason: str = "",
    own: bool = False,
    starts: bool = False,
) -> Callable[[Function], Function]:
    """Register a function as the rule of layer classes and their subclasses.

    The function takes a `Call` and returns what the layer returns. With `call.free` it must be linear in its inputs
    and monotone (no output falls when an input grows); otherwise the sum over inputs of input × gradient, plus what
    went through `call.constant`, must be the output. What does not hold is found by the certificates, which try the
    rule on random inputs and name the layer.

    Example:
        A layer that averages its input with a copy shifted in time needs no rule, all its terms are positive. One that
        multiplies by a learned gate does:

            from tfopt.pathways.rules import rule

            @rule(Gated, status="approximated", reason="gate frozen")
            def gated(call):
                gate = 0.5 if call.free else tf.stop_gradient(tf.sigmoid(call.x @ call.value(call.layer.gate)))
                return call.x @ call.value(call.layer.kernel) * gate

    Args:
        classes: layer classes, or those of `keras.ops` operations.
        status: how faithful the rule is: `exact`, `linearised` or `approximated`.
        reason: in a few words, where it is not exact.
        own: one of tfopt's rules, which its tests check.
        starts: what the layer takes are numbers of rows or categories, whatever their dtype: paths start in it.
    """

    def register(function: Function) -> Function:
        for each in classes:
            _RULES[each] = Rule(function, status, reason, own, starts)
        return function

    return register


def rule_for(kind: type) -> Rule | None:
    """The rule of a class or of the nearest class above it; not one of tfopt's own where the class was derived from a
    layer of Keras by somebody who gave it another `call`, or another of what `call` may use."""
    for ancestor in kind.__mro__:
        found = _RULES.get(ancestor)
        if found is not None:
            return None if found.own and _changed(kind, ancestor) else found
    return None


def _changed(kind: type, ancestor: type) -> bool:
    between = kind.__mro__[: kind.__mro__.index(ancestor)]
    return any(
        hasattr(ancestor, name) and isinstance(value, FunctionType | property) and name not in _ABOUT
        for each in between
        for name, value in vars(each).items()
    )


def roles(layer: type, names: Mapping[str, Role]) -> None:
    """Say what the variables of a layer class are, by their names."""
    _ROLES[layer] = dict(names)


def role_of(layer: Any, variable: Any) -> Role:
    """What a variable of a layer is: as said for its class, else by its name; `unknown` by a name that says nothing."""
    if not keras.backend.is_float_dtype(variable.dtype):
        return "statistic"
    said: Iterable[Mapping[str, Role]] = (_ROLES[kind] for kind in type(layer).__mro__ if kind in _ROLES)
    for names in (*said, _ROLES_BY_NAME):
        if variable.name in names:
            return names[variable.name]
    return "unknown"

"""What the name of an op tells by itself: its scope, its kind, and whether it belongs to a backward pass.

Foreign traces come without registered layers; all that is left are names such as
`jit(step)/transpose(jvp(Model))/dense/dot_general` (JAX) and `gradient_tape/model/dense/MatMul/MatMul_1` (TensorFlow).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from tfopt.records.trace import OpPhase
from tfopt.trace.scopes import GRADIENT_PARTS

__all__ = ["OpName", "forward_roots", "read_name", "without_calls"]

_TRANSFORM = re.compile(r"^(transpose|jvp)\((.*)\)$", re.DOTALL)
# Calls of functions that were inlined around an op: no scope of the model.
_CALLS = re.compile(r"^((Stateful)?PartitionedCall(_\d+)?/)+")
_NUMBERED = re.compile(r"_\d+$")


@dataclass(frozen=True)
class OpName:
    """`scope` are the parts before the op's own, without what only marks differentiation; `type` is the op's own part
    without its number. `phase` is `other` where the name does not tell."""

    scope: tuple[str, ...]
    type: str
    phase: OpPhase
    taped: bool  # below TensorFlow's gradient_tape


@lru_cache(maxsize=1 << 16)
def read_name(name: str) -> OpName:
    """Take a name apart: `jit(f)/transpose(jvp(net/dense))/dot_general` is a backward op in `jit(f)/net/dense`."""
    parts: list[str] = []
    transforms: set[str] = set()
    for part in _split(name):
        inner = part
        while (match := _TRANSFORM.match(inner)) is not None:
            transforms.add(match[1])
            inner = match[2]
        parts += _split(inner) if inner is not part else [part]
    taped = not GRADIENT_PARTS.isdisjoint(parts)
    scope = tuple(part for part in parts[:-1] if part not in GRADIENT_PARTS)
    phase: OpPhase = "backward" if taped or "transpose" in transforms else "forward" if transforms else "other"
    return OpName(scope, _NUMBERED.sub("", parts[-1]) if parts else "", phase, taped)


def without_calls(name: str) -> str:
    """`name` without the calls of the functions that its op was inlined from (`StatefulPartitionedCall/…`)."""
    return _CALLS.sub("", name)


def forward_roots(names: Iterable[OpName]) -> frozenset[str]:
    """The outermost scopes that a gradient tape went back through: what else runs in them is the forward pass."""
    return frozenset(name.scope[0] for name in names if name.taped and name.scope)


def _split(name: str) -> Iterator[str]:
    """The parts between slashes that stand outside of brackets; empty ones are left out."""
    depth = start = 0
    for at, sign in enumerate(name):
        if sign == "(":
            depth += 1
        elif sign == ")":
            depth = max(0, depth - 1)
        elif sign == "/" and not depth:
            if at > start:
                yield name[start:at]
            start = at + 1
    if len(name) > start:
        yield name[start:]

"""A step's graph as liveness needs it: ops that make values of known size, share them, or store them in variables.

Values are numbers. What an op does with memory is its `kind`, whatever its type computes:

- `compute` makes its outputs; the first may take over the memory of an input in `reuses` that nothing else needs.
- `share` gives its inputs on under other names: reshape, identity, a tensor of a list that stays in it.
- `free` makes values that take nothing of the step's memory: constants, arguments.
- `read` gives the present buffer of a variable (its input is the handle), `assign` puts its second input there,
  `update` changes it in place, or in a copy where somebody still needs the old value (`AssignAddVariableOp`).
- `push` makes a list of a list and one more tensor, `pop` gives both back, `copy` makes a list like its input anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Kind", "Op", "Program"]

Kind = Literal["compute", "share", "free", "read", "assign", "update", "push", "pop", "copy"]


@dataclass(frozen=True)
class Op:
    """One op. `sizes` are bytes per output, `after` positions of ops that must run first besides those that make its
    inputs, `scratch` bytes that it holds only while it runs, `cost` how long that takes, in bytes that are touched. A
    tensor that is pushed counts `weight` times, where a loop was cut short."""

    name: str
    kind: Kind = "compute"
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    reuses: tuple[int, ...] = ()
    scratch: int = 0
    cost: float = 0.0
    weight: float = 1.0


@dataclass(frozen=True)
class Program:
    """Ops in the order of their definition; `results` are values that outlive them, `variables` the bytes behind each
    handle (nothing behind one that is not among them). `unknown` counts outputs whose size nobody could tell (they
    count as nothing)."""

    ops: tuple[Op, ...]
    results: tuple[int, ...] = ()
    variables: Mapping[int, int] = field(default_factory=dict)
    unknown: int = 0

"""The facts of a model that a budget can hold, by name, and the limits that a configuration can set to each."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["COSTLY", "FACTS", "LIMITS", "FactKind", "Limit", "facts_for"]


@dataclass(frozen=True)
class FactKind:
    """One fact: its unit, which direction is `better`, and in a sentence `what` it is.

    `costly` ones are found where a limit asks for them, and their CPU seconds are kept. `of_step` ones depend on how
    the step is run (batch, mode, precision), `of_machine` ones on versions and the CPU as well. `verb` is the command
    that looks closer.
    """

    name: str
    what: str
    unit: Literal["", "bytes", "FLOPs", "share"] = ""
    better: Literal["less", "more"] = "less"
    verb: Literal["inspect", "profile", "influence"] = "inspect"
    costly: bool = False
    of_step: bool = False
    of_machine: bool = False


def _of_machine(name: str, what: str, verb: Literal["inspect", "profile"], unit: Literal["", "bytes"] = "") -> FactKind:
    return FactKind(name, what, unit, verb=verb, costly=True, of_step=True, of_machine=True)


FACTS: dict[str, FactKind] = {
    kind.name: kind
    for kind in (
        FactKind("params", "the numbers in its weights"),
        FactKind("trainable_params", "the numbers in its trainable weights"),
        FactKind("forward_flops", "operations of the forward pass of one step", "FLOPs", of_step=True),
        FactKind("step_flops", "operations of one step: forward, backward and update", "FLOPs", of_step=True),
        FactKind("file_bytes", "the size of its file or folder", "bytes"),
        FactKind("sparsity", "the share of exact zeros in floating-point weights of two axes or more", "share", "more"),
        FactKind("half_share", "the share of its floating-point weights that has 16 bits", "share", "more"),
        FactKind(
            "failed_certificates",
            "certificates of its influence report that are not met",
            verb="influence",
            costly=True,
            of_machine=True,
        ),
        _of_machine("graph_ops", "ops in the step's graph, those of a loop's body once", "profile"),
        _of_machine("outside_xla", "ops in the step's graph that XLA has no kernel for", "profile"),
        _of_machine("peak_bytes", "the memory of the step at its peak, estimated", "inspect", "bytes"),
        _of_machine("hlo_instructions", "instructions of the step as XLA has optimised it", "profile"),
        _of_machine("fusions", "fusions in the step as XLA has optimised it", "profile"),
        _of_machine("retraces", "tracings after the first: other contents, and a last smaller batch", "profile"),
    )
}
COSTLY = frozenset(name for name, kind in FACTS.items() if kind.costly)


@dataclass(frozen=True)
class Limit:
    """One key of a configuration. `sense` says which side of the number is allowed; a `relative` one is what the fact
    may lose against its reference: a fraction of it, of a share so much of the whole."""

    key: str
    fact: FactKind
    sense: Literal["max", "min"]
    relative: bool = False

    def bound(self, number: float, reference: float | None) -> float | None:
        """The value that is just allowed; None where that depends on a reference and there is none."""
        if not self.relative:
            return number
        if reference is None:
            return None
        allowed = number if self.fact.unit == "share" else number * reference
        return reference + allowed if self.sense == "max" else max(0.0, reference - allowed)


def _limits(kind: FactKind) -> Iterator[Limit]:
    yield Limit(f"max_{kind.name}", kind, "max")
    yield Limit(f"min_{kind.name}", kind, "min")
    if kind.better == "less":
        yield Limit(f"max_{kind.name}_increase", kind, "max", relative=True)
    else:
        yield Limit(f"max_{kind.name}_decrease", kind, "min", relative=True)


LIMITS: dict[str, Limit] = {limit.key: limit for kind in FACTS.values() for limit in _limits(kind)}


def facts_for(keys: Collection[str]) -> tuple[str, ...]:
    """The facts to find for these limits: all cheap ones, and of the costly ones those that a limit needs."""
    asked = {LIMITS[key].fact.name for key in keys if key in LIMITS}
    return tuple(name for name in FACTS if name not in COSTLY or name in asked)

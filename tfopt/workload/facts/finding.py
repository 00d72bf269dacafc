"""What a finder of facts is given, and how a fact is put together from ops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tfopt.model.layers import LayerNode
from tfopt.records.advice import Fact
from tfopt.workload.facts.ops import GraphOp, StepOps
from tfopt.workload.graph import StepGraph
from tfopt.workload.workload import Workload

__all__ = ["Finder", "TracedStep", "fact_of", "layers_of"]


@dataclass(frozen=True)
class TracedStep:
    """A step's live ops and its layers."""

    ops: StepOps
    tree: tuple[LayerNode, ...]

    @classmethod
    def of(cls, workload: Workload, graph: StepGraph) -> TracedStep:
        """The step of a workload whose graph was traced."""
        return cls(StepOps.of(graph, workload.scopes.table), workload.scopes.tree)


Finder = Callable[[TracedStep], Iterator[Fact]]


def layers_of(ops: Iterable[GraphOp]) -> tuple[str, ...]:
    """The layers that these ops work for, each once."""
    return tuple(dict.fromkeys(op.layer for op in ops if op.layer))


def fact_of(kind: str, ops: Iterable[GraphOp], detail: str = "", *, named: bool = False, **numbers: float) -> Fact:
    """A fact about `ops`, which it names if `named`."""
    found = tuple(ops)
    return Fact(
        kind=kind,
        count=len(found),
        layers=layers_of(found),
        numbers=numbers,
        detail=detail,
        ops=tuple(op.name for op in found) if named else (),
    )

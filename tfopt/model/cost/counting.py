"""Count the work of the ops of a graph: for layers without a closed form, and to check those that have one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tfopt.model.cost.ops import RULES, VIEWS, OpShapes
from tfopt.model.cost.work import Operand, UnknownShape
from tfopt.model.graphs import Body, bodies, live

__all__ = ["Count", "OpCounter"]

_WITHOUT_VALUES = ("variant", "resource")
_LISTS = ("TensorList", "TensorArray", "EmptyTensorList")  # what loops keep their results in


@dataclass
class Count:
    """Work of ops. `uncounted` says what was left out, or is a guess."""

    macs: int = 0
    other: int = 0
    bytes: int = 0
    backward: int = 0
    uncounted: dict[str, None] = field(default_factory=dict)

    @property
    def flops(self) -> int:
        """All forward operations."""
        return 2 * self.macs + self.other

    def add(self, more: Count, times: int = 1) -> None:
        """Add `times` as much as `more`."""
        self.macs += more.macs * times
        self.other += more.other * times
        self.bytes += more.bytes * times
        self.backward += more.backward * times
        self.uncounted.update(more.uncounted)


@dataclass(frozen=True)
class OpCounter:
    """Counts floating-point work of ops.

    `gradients` names the tensors that get a gradient: a matrix product then costs as much again for each such factor,
    other work as much again. `owners` is a mapping of graph id and op name: ops in it are somebody else's. `free` is
    what a length that a shape leaves open is taken for, where there is one such length.
    """

    gradients: frozenset[str] = frozenset()
    owners: Mapping[tuple[int, str], Any] = field(default_factory=dict)
    free: int | None = None

    def graph(self, graph: Any) -> Count:
        """The work of all live ops of a graph that are nobody's."""
        total = Count()
        for op in live(graph):
            if (id(graph), op.name) not in self.owners:
                total.add(self.op(op))
        return total

    def op(self, op: Any) -> Count:
        """The work of one op with that of the bodies it calls, each as often as it runs."""
        inside = bodies(op)
        return self._bodies(op, inside) if inside else self._alone(op)

    def _alone(self, op: Any) -> Count:
        count = Count()
        if not any(tensor.dtype.is_floating or tensor.dtype.is_complex for tensor in (*op.outputs, *op.inputs)):
            return count
        shapes = OpShapes(op.type, self._operands(op.inputs), self._operands(op.outputs), op.get_attr)
        rule = RULES.get(op.type)
        if rule is None and not op.type.startswith(_LISTS):
            count.uncounted[f"{op.type} ops"] = None
        try:
            count.macs, count.other = rule(shapes) if rule is not None else (0, 0)
            if op.type not in VIEWS:
                solid = (*shapes.inputs, *shapes.outputs)
                count.bytes = sum(operand.bytes for operand in solid if operand.dtype not in _WITHOUT_VALUES)
        except UnknownShape:
            count.uncounted["shapes that depend on values"] = None
        except Exception as error:  # a rule that does not know this way of calling the op
            count.uncounted[f"{op.type} ops ({type(error).__name__})"] = None
        if any(output.needs_gradient for output in shapes.outputs):
            count.backward = 2 * count.macs * sum(factor.needs_gradient for factor in shapes.inputs) + count.other
        return count

    def _operands(self, tensors: Any) -> tuple[Operand, ...]:
        return tuple(
            Operand(self._shape(tensor), tensor.dtype.name, tensor.name in self.gradients) for tensor in tensors
        )

    def _shape(self, tensor: Any) -> tuple[int | None, ...] | None:
        shape = None if tensor.shape.rank is None else tuple(tensor.shape)
        if shape is None or self.free is None or shape.count(None) != 1:
            return shape
        return tuple(self.free if length is None else length for length in shape)

    def _bodies(self, op: Any, inside: tuple[Body, ...]) -> Count:
        total, choices = Count(), list[Count]()
        for body in inside:
            count = self._within(op, body.graph).graph(body.graph)
            if body.alternative:
                choices.append(count)
            else:
                total.add(count, body.times or 1)
            if body.times is None:
                total.uncounted["loops of unknown length (counted as one turn)"] = None
        if choices:
            total.add(max(choices, key=lambda count: count.flops))
            total.uncounted["branches (the dearest is counted)"] = None
        return total

    def _within(self, op: Any, body: Any) -> OpCounter:
        """Of the tensors in a body, all are taken to get a gradient if a result of it does."""
        differentiated = any(tensor.name in self.gradients for tensor in op.outputs)
        names = (out.name for inner in body.get_operations() for out in inner.outputs) if differentiated else ()
        return OpCounter(frozenset(names), self.owners, self.free)

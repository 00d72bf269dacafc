"""A tree of name scopes from the names of ops alone, for traces that came without registered layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tfopt.records.trace import OpPhase, ScopeRow, TraceOpRow
from tfopt.trace.opnames import read_name

__all__ = ["scope_rows"]

_DEEPEST = 64  # parts of a name: what is deeper counts for the scope above it


class _Scope:
    """One scope while its ops are added up."""

    def __init__(self) -> None:
        self.children: dict[str, _Scope] = {}
        self.occurrences = 0
        self.own = 0.0
        self.parts: dict[OpPhase, float] = {"forward": 0.0, "backward": 0.0, "other": 0.0}

    @property
    def total(self) -> float:
        return sum(self.parts.values())


def scope_rows(ops: Iterable[TraceOpRow], total_ms: float) -> tuple[ScopeRow, ...]:
    """The scopes of `ops`, parents before children, larger before smaller; `total_ms` is what shares are of."""
    root = _Scope()
    for op in ops:
        scope = root
        for part in read_name(op.name).scope[:_DEEPEST]:
            scope = scope.children.setdefault(part, _Scope())
            scope.occurrences += op.occurrences
            scope.parts[op.phase] += op.time_ms
        scope.own += op.time_ms
    return tuple(_rows(root, (), total_ms))


def _rows(scope: _Scope, path: Sequence[str], total_ms: float) -> Iterable[ScopeRow]:
    for part, child in sorted(scope.children.items(), key=lambda item: (-item[1].total, item[0])):
        inside = (*path, part)
        yield ScopeRow(
            path="/".join(inside),
            depth=len(path),
            occurrences=child.occurrences,
            forward_ms=child.parts["forward"],
            backward_ms=child.parts["backward"],
            other_ms=child.parts["other"],
            own_ms=child.own,
            total_ms=child.total,
            share=child.own / total_ms if total_ms else 0.0,
            total_share=child.total / total_ms if total_ms else 0.0,
        )
        yield from _rows(child, inside, total_ms)

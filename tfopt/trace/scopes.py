"""From the name of an op to the layer and phase that made it, through the scopes registered while tracing.

A scope is a name prefix such as `my_model_1/dense_1` that was open while a layer's `call` was traced. Ops keep it
inside longer names: `gradient_tape/my_model_1/dense_1/MatMul/MatMul_1` (backward),
`my_model_1/lstm_1/while/body/_12/my_model_1/lstm_1/while/lstm_cell_1/MatMul` (an inlined loop body). So a name is
searched for the longest registered scope, beginning at any of its parts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tfopt.records.profile import Phase

__all__ = [
    "BACKWARD",
    "BRACKETED",
    "GRADIENT_PARTS",
    "IDLE",
    "INPUT",
    "LOSS",
    "OPTIMIZER",
    "UNATTRIBUTED",
    "Place",
    "ScopeTable",
]

# Rows that are not layers. No layer has such a path (`tfopt.model.layers` sees to it).
LOSS, OPTIMIZER, INPUT, BACKWARD = "(loss)", "(optimizer)", "(input)", "(backward)"
UNATTRIBUTED, IDLE = "(unattributed)", "(idle)"
BRACKETED = frozenset({LOSS, OPTIMIZER, INPUT, BACKWARD, UNATTRIBUTED, IDLE})

# The scopes of TensorFlow's gradients. No registered scope has such a part (`tfopt.workload.scope_names` sees to it).
GRADIENT_PARTS = frozenset({"gradient_tape", "gradients"})


@dataclass(frozen=True)
class Place:
    """Where an op's time belongs: a layer's path (or a bracketed row), None where only the phase is known."""

    layer: str | None
    phase: Phase


@dataclass
class ScopeTable:
    """The registered scopes, as a tree of name parts."""

    _root: dict[str, Any] = field(default_factory=dict)
    _cache: dict[str, Place | None] = field(default_factory=dict)

    def register(self, scope: str, place: Place) -> None:
        """Ops whose name holds `scope` belong to `place`. The first registration of a scope counts."""
        node = self._root
        for part in scope.strip("/").split("/"):
            node = node.setdefault(part, {})
        node.setdefault("", place)

    def place(self, name: str) -> Place | None:
        """The place of the op called `name`, None where no registered scope is in it.

        The longest scope wins; but a scope of the optimizer decides wherever it stands, since a layer's variable that
        is read inside the optimizer is the optimizer's work. Below a gradient, forward and loss become backward.
        """
        if name not in self._cache:
            self._cache[name] = self._search(name)
        return self._cache[name]

    def _search(self, name: str) -> Place | None:
        parts = name.split("/")
        found = [hit for start in range(len(parts)) if (hit := self._longest(parts, start)) is not None]
        gradient = not GRADIENT_PARTS.isdisjoint(parts) or any(place.phase == "backward" for _, place in found)
        candidates = [hit for hit in found if hit[1].phase == "optimizer"] or found
        if not candidates:
            return Place(None, "backward") if gradient else None
        place = max(candidates, key=lambda hit: (hit[1].layer is not None, hit[0]))[1]
        return Place(place.layer, "backward") if gradient and place.phase != "optimizer" else place

    def _longest(self, parts: list[str], start: int) -> tuple[int, Place] | None:
        node, best = self._root, None
        for length, part in enumerate(parts[start:], 1):
            if part not in node or part == "":
                break
            node = node[part]
            if "" in node:
                best = (length, node[""])
        return best

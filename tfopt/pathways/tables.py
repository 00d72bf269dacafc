"""The sums of a pass as rows of records."""

from __future__ import annotations

from collections import Counter

import numpy as np

from tfopt.pathways.nodes import INPUT
from tfopt.pathways.sums import Sums
from tfopt.records.influence import EdgeShare, LayerRule, UnitShares

__all__ = ["INPUT_NAME", "edge_shares", "layer_rules", "spread", "unit_shares"]

INPUT_NAME = "(input)"
_CARRIED = 0.8
_TOP = 10


def layer_rules(sums: Sums) -> tuple[LayerRule, ...]:
    """One row per layer that was called, in the order of their first calls; several calls are as one."""
    rows: dict[str, LayerRule] = {}
    for node in sums.nodes:
        before = rows.get(node.path)
        rows[node.path] = LayerRule(
            path=node.path,
            type=type(node.operation).__name__,
            calls=1 + (before.calls if before else 0),
            status=node.status,
            reasons=tuple(node.reasons),
        )
    return tuple(rows.values())


def edge_shares(sums: Sums) -> tuple[EdgeShare, ...]:
    """One row per edge, relative to the total, in the order of their targets."""
    into = Counter(edge.target for edge in sums.edges)
    return tuple(
        EdgeShare(
            sources=tuple(dict.fromkeys(_name(sums, source) for source in edge.sources or (INPUT,))),
            target=sums.nodes[edge.target].path,
            call=sums.nodes[edge.target].call,
            share=float(edge.value / sums.total) if sums.total else 0.0,
            partial=not edge.whole,
            merge=into[edge.target] > 1,
        )
        for edge in sums.edges
    )


def _name(sums: Sums, node: int) -> str:
    return INPUT_NAME if node == INPUT else sums.nodes[node].path


def unit_shares(sums: Sums) -> tuple[UnitShares, ...]:
    """One row per layer with weights; the units of several calls are added up where they are as many."""
    by_layer: dict[tuple[str, int], np.ndarray] = {}
    for node, values in sums.units.items():
        key = sums.nodes[node].path, len(values)
        by_layer[key] = by_layer[key] + values if key in by_layer else values
    return tuple(spread(path, values / sums.total) for (path, _), values in by_layer.items() if sums.total)


def spread(path: str, shares: np.ndarray) -> UnitShares:
    """How concentrated a layer's flow is; `shares` by unit, of the total, of any sign (magnitudes count)."""
    sizes = np.abs(shares)
    whole = float(sizes.sum())
    order = np.argsort(-sizes, kind="stable")
    fractions = sizes / whole if whole > 0 else np.zeros_like(sizes)
    positive = fractions[fractions > 0]
    reached = np.cumsum(fractions[order])
    carrying = int(np.searchsorted(reached, _CARRIED * (1 - 1e-12)) + 1) if whole > 0 else 0
    return UnitShares(
        path=path,
        units=len(shares),
        share=float(shares.sum()),
        effective=float(np.exp(-(positive * np.log(positive)).sum())) if whole > 0 else 0.0,
        carrying=carrying,
        carried=float(reached[carrying - 1]) if carrying else 0.0,
        top=tuple((int(unit), float(fractions[unit])) for unit in order[:_TOP] if fractions[unit] > 0),
        dead=int((sizes == 0).sum()),
    )

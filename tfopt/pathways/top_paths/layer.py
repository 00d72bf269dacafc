"""The strongest ways from layer to layer, estimated from how much flows along each edge.

The share of each edge is exact. That of a way is taken for the product of what its branch points pass on, as if they
did not depend on one another. They may: where the channels that one block writes are not those that the next one reads,
no path at all takes both blocks, and the estimate says otherwise. On residual networks with random weights the two
differ by some thousandths; a test has both cases.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tfopt.pathways.certificates import sourceless
from tfopt.pathways.nodes import INPUT
from tfopt.pathways.path_weights import ones, path_sums
from tfopt.pathways.plan import Plan
from tfopt.pathways.sums import Sums
from tfopt.pathways.tables import INPUT_NAME
from tfopt.pathways.top_paths.best import NO_PATH
from tfopt.pathways.top_paths.flow import END, strongest_flows
from tfopt.records.influence import StrongPath, StrongPaths

__all__ = ["layer_paths"]

_ROUNDING = 1e-9


def layer_paths(model: Any, k: int, input_shape: Sequence[str] = ()) -> StrongPaths:
    """The k paths of the largest estimated flow, for any k; see `top_paths`."""
    _, sums, _ = path_sums(model, Plan(free=True), ones(model, input_shape))
    reason = _prevents(sums)
    if reason:
        return StrongPaths(level="layer", paths=(), unavailable=reason)
    starts = {
        INPUT: float(sums.inputs.sum()),
        **{int(node): sums.flows[node] for node in np.flatnonzero(sourceless(sums))},
    }
    paths = []
    for share, nodes in strongest_flows(_edges(sums), starts, k):
        passed = [
            (INPUT_NAME, 1) if node == INPUT else (sums.nodes[node].path, sums.nodes[node].call) for node in nodes
        ]
        steps, calls = tuple((path, None) for path, _ in passed), tuple(call for _, call in passed)
        paths.append(StrongPath(steps=steps, calls=calls, flow=share))
    return StrongPaths(level="layer", paths=tuple(paths), unavailable="" if paths else NO_PATH)


def _prevents(sums: Sums) -> str:
    """What makes flows no shares of paths."""
    if not sums.total > 0 or not np.isfinite(sums.total):
        return NO_PATH
    for edge in sums.edges:
        if not edge.whole or len(edge.sources) != 1:
            return f"{sums.nodes[edge.target].path}: what it takes was computed outside of layers, from several of them"
        if not edge.value >= -_ROUNDING * sums.total:
            return f"{sums.nodes[edge.target].path}: what it takes has negative terms, which is no flow of paths"
    return ""


def _edges(sums: Sums) -> Iterator[tuple[int, int, float]]:
    """What flows along each edge, and to the outputs whatever flows along none."""
    left = np.append(sums.flows, sums.inputs.sum())  # INPUT is −1
    for edge in sums.edges:
        left[edge.sources[0]] -= edge.value
        yield edge.sources[0], edge.target, max(edge.value, 0.0)
    for node in np.flatnonzero(left > _ROUNDING * sums.total):
        yield (int(node) if node < len(sums.flows) else INPUT), END, float(left[node])

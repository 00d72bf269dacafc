"""The sums of a pass, after it has run: from the tensors of `summing` to numbers of nodes, edges and variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfopt.pathways.nodes import INPUT, Trial
from tfopt.pathways.reductions import relative_least
from tfopt.pathways.summing import Taken
from tfopt.pathways.sums import EdgeSum, Sums, Weight
from tfopt.pathways.tracing import Tracing

__all__ = ["read"]


def read(out: Mapping[str, Any], tracing: Tracing, taken: Taken, weights: Sequence[Weight], *, whole: bool) -> Sums:
    """What a pass gave."""
    free = tracing.plan.free
    numbers = {key: np.asarray(value) for key, value in out.items() if tf.is_tensor(value)}
    count = len(tracing.nodes)
    made_of = np.array([source.node for source in tracing.made], dtype=int)
    at_nodes = made_of != INPUT

    def by_node(key: str) -> np.ndarray:
        return np.bincount(made_of[at_nodes], numbers[key][at_nodes], count)

    def least(key: str) -> np.ndarray:
        if not free:
            return np.zeros(count)
        return _least_by(made_of[at_nodes], relative_least(numbers[key])[at_nodes], count)

    units: dict[int, np.ndarray] = {}
    for number, value in out["units"].items():
        units.setdefault(tracing.made[int(number)].node, np.asarray(value))
    variables, least_weights = np.zeros((2, len(weights)))
    connected, added = np.zeros((2, len(weights)), bool)
    chosen = list(taken.chosen)
    variables[chosen], connected[chosen] = numbers["weights"], taken.connected
    added[chosen] = [bool(each) for each in out["found"]]
    if free:
        doubtful = [number for place, number in enumerate(chosen) if place in taken.doubtful]
        least_weights[doubtful] = relative_least(numbers["weights_range"])
    return Sums(
        total=float(numbers["total"]),
        log_scale=float(numbers["log_scale"]),
        nodes=tuple(tracing.nodes),
        edges=tuple(_edge_sums(tracing, taken, numbers)),
        flows=by_node("made"),
        magnitudes=by_node("made_magnitude"),
        least_values=least("made_range"),
        least_gradients=least("made_gradient_range"),
        least_output=float(relative_least(numbers["output_range"]).min(initial=np.inf)) if free else 0.0,
        least_weights=least_weights,
        whole=whole,
        units=units,
        inputs=numbers["made"][~at_nodes],
        input_magnitudes=numbers["made_magnitude"][~at_nodes],
        variables=variables,
        added=added,
        connected=connected,
        tops=tuple(
            _flat_places(top, weights[number].variable.shape[-1:])
            for top, number in zip(out["tops"], chosen, strict=False)
        ),
        arrays=tuple(np.asarray(each) for each in out["arrays"]),
        trials=tuple(
            Trial(trial.node, *map(float, np.asarray(values)))
            for trial, values in zip(tracing.trials, out["trials"], strict=True)
        ),
        told={key: np.asarray(value) for key, value in out["told"].items()},
        added_by_node=numbers["added_by_node"] if len(numbers["added_by_node"]) else np.zeros(count),
        biases=float(numbers["biases"]),
        by_rules=float(numbers["by_rules"].sum()),
        by_rules_magnitude=float(numbers["by_rules_magnitude"].sum()),
    )


def _edge_sums(tracing: Tracing, taken: Taken, numbers: Mapping[str, np.ndarray]) -> list[EdgeSum]:
    """An edge whose copy's gradient was not taken is the only one from its source, and has that one's sums."""
    number_of = {id(source): number for number, source in enumerate(tracing.made)}
    split_number = {id(edge): number for number, edge in enumerate(taken.split)}
    least = {
        key: relative_least(numbers[key]) if tracing.plan.free else np.zeros(len(numbers[key.split("_")[0]]))
        for key in ("made_range", "made_gradient_range", "split_range", "split_gradient_range")
    }
    edges = []
    for edge in tracing.edges:
        key = "split" if id(edge) in split_number else "made"
        at = split_number[id(edge)] if key == "split" else number_of[id(edge.sources[0])]
        edges.append(
            EdgeSum(
                sources=tuple(source.node for source in edge.sources),
                target=edge.target,
                value=float(numbers[key][at]),
                magnitude=float(numbers[f"{key}_magnitude"][at]),
                least_value=float(least[f"{key}_range"][at]),
                least_gradient=float(least[f"{key}_gradient_range"][at]),
                whole=edge.whole,
            )
        )
    return edges


def _least_by(groups: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    least = np.full(count, np.inf)
    with np.errstate(invalid="ignore"):  # no gradient where no path is left: 0/0 stays NaN
        np.minimum.at(least, groups, values)
    return least


def _flat_places(top: Sequence[Any], width: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """What `largest` gives, with flat indices."""
    values, places, rows = (np.asarray(each) for each in top)
    (columns,) = width or (1,)
    return values, rows[places // columns] * columns + places % columns

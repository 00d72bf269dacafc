"""Path weights against every path walked one by one."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.integration.brute_force import Network, Twin
from tfopt.pathways.path_weights import path_scores, path_weights

L = keras.layers
EXACT = 1e-9
MOST_PATHS = 20_000


def _skip(n: Network) -> keras.Model:
    a = n.dense(n.input(4), 5, activation="relu")
    b = n.dense(n.dense(a, 3, activation="gelu"), 5)
    return n.model(n.dense(n.one_to_one(L.Add(), a, b), 3))


def _concat_and_batch_norm(n: Network) -> keras.Model:
    x = n.input(4)
    a = n.one_to_one(L.ReLU(), n.batch_norm(n.dense(x, 4)))
    b = n.batch_norm(n.dense(x, 2, use_bias=False))
    return n.model(n.dense(n.batch_norm(n.concat(a, b, x)), 2))


def _convolutions(n: Network) -> keras.Model:
    x = n.convolution(n.input(6, 5, 2), L.Conv2D(3, 3, strides=2, padding="same", activation="relu"))
    x = n.convolution(n.batch_norm(x), L.Conv2D(2, (2, 1), padding="valid"))
    x = n.pool(x, L.AveragePooling2D(2, strides=1, padding="same"))
    return n.model(n.dense(n.one_to_one(L.Flatten(), x), 2))


def _dilated_and_depthwise(n: Network) -> keras.Model:
    x = n.convolution(n.input(9, 2), L.Conv1D(3, 3, dilation_rate=2, padding="same"))
    x = n.convolution(x, L.DepthwiseConv1D(3, strides=2, padding="same"))
    return n.model(n.dense(x, 2))


def _max_pooling(n: Network) -> keras.Model:
    x = n.convolution(n.input(7, 7, 1), L.Conv2D(2, 3, padding="same"))
    x = n.pool(x, L.MaxPooling2D(3, strides=2, padding="same"))
    x = n.pool(n.convolution(x, L.Conv2D(2, 2)), L.MaxPooling2D(2, strides=1))
    return n.model(n.dense(n.one_to_one(L.Flatten(), x), 1))


def _shared(n: Network) -> keras.Model:
    layer = L.Dense(3, activation="relu")
    x = n.dense(n.input(3), 0, layer)
    y = n.dense(n.dense(x, 0, layer), 0, layer)
    return n.model(n.dense(n.one_to_one(L.Add(), x, y), 2))


def _inputs_and_outputs(n: Network) -> keras.Model:
    a, b = n.dense(n.input(3), 3), n.dense(n.input(2), 2, activation="softplus")
    c = n.concat(a, b)
    return n.model(n.dense(c, 2, activation="softmax"), n.dense(a, 1, activation="sigmoid"))


def _output_that_is_used(n: Network) -> keras.Model:
    a = n.dense(n.dense(n.input(3), 2), 3)
    return n.model(a, n.dense(a, 2))


def _many(n: Network) -> keras.Model:
    x = n.dense(n.input(5), 9)
    for _ in range(3):
        x = n.one_to_one(L.Add(), x, n.dense(x, 9, activation="tanh"))
    return n.model(n.dense(x, 2))


NETWORKS = (
    _skip, _concat_and_batch_norm, _convolutions, _dilated_and_depthwise, _max_pooling, _shared, _inputs_and_outputs,
    _output_that_is_used,
    _many,
)  # fmt: skip


def _compare(network: Network, model: keras.Model, biases: str = "exclude") -> None:
    """Total, every weight, every edge, and two groups that overlap on paths."""
    kernels = sorted({variable.path for variable in model.variables if "kernel" in variable.path})
    chosen = {"first": kernels[:1], "most": kernels[::2] + kernels[1:2], "all": kernels} if kernels else {}
    walk = network.walk({name: paths.__contains__ for name, paths in chosen.items()})
    report = path_weights(model, groups=chosen, biases=biases, top=10**6)  # type: ignore[arg-type]
    assert report.consistent, report.certificates
    assert report.log10_total is not None
    assert 10**report.log10_total == pytest.approx(walk.total, rel=EXACT)

    scores = {(row.variable, row.index): row.share for row in report.strongest}
    walked = {key: weight / walk.total for key, weight in walk.weights.items() if weight > 0 and len(key[1]) > 1}
    assert scores == pytest.approx(walked, rel=EXACT)
    total = {row.path: row.share for row in report.variables}
    for path in {name for name, _ in walk.weights}:
        whole = sum(weight for (name, _), weight in walk.weights.items() if name == path)
        assert total[path] == pytest.approx(whole / walk.total, rel=EXACT)
    edges: dict[tuple[str, str, int], float] = {}
    for edge in report.edges:
        (source,) = edge.sources
        key = source.rpartition("/")[2], edge.target.rpartition("/")[2], edge.call
        edges[key] = edges.get(key, 0) + edge.share
    flows = {key: flow / walk.total for key, flow in walk.edges.items() if key[0] != "(constant)"}
    assert edges == pytest.approx(flows, rel=EXACT)

    assert {group.name: group.share for group in report.groups} == pytest.approx(
        {name: walk.groups[name] / walk.total for name in chosen}, rel=EXACT
    )


@pytest.mark.parametrize("build", NETWORKS)
def test_every_path(build: Callable[[Network], keras.Model]) -> None:
    network = Network()
    model = build(network)
    assert network.count() < 120_000
    _compare(network, model)


@pytest.mark.parametrize("build", [_concat_and_batch_norm, _convolutions, _shared])
def test_every_path_with_biases(build: Callable[[Network], keras.Model]) -> None:
    network = Network(biases=True)
    _compare(network, build(network), "include")


def test_scores_are_arrays_of_the_same_shares() -> None:
    network = Network()
    model = _concat_and_batch_norm(network)
    walk = network.walk()
    scores = path_scores(model)
    assert {
        (path, index): float(array[index]) for path, array in scores.items() for index in np.ndindex(array.shape)
    } == (pytest.approx({key: weight / walk.total for key, weight in walk.weights.items()}, rel=EXACT))
    shapes = {variable.path: tuple(variable.shape) for variable in model.variables}
    assert all(array.shape == shapes[path] for path, array in scores.items())


def test_walks_are_not_trivial() -> None:
    """So that the comparison above is of many paths, and the walker counts what it says."""
    counts = {}
    for build in (_skip, _many):
        network = Network()
        build(network)
        counts[build] = network.count()
        if build is _skip:
            assert network.walk().paths == counts[build] == 4 * 5 * (1 + 3 * 5) * 3
    assert counts[_many] == 5 * 9 * 10**3 * 2


_STEPS = st.lists(
    st.tuples(st.sampled_from(["dense", "norm", "add", "concat", "conv", "pool"]), *[st.integers(0, 5)] * 3),
    min_size=2,
    max_size=6,
)


def _built(network: Network, flat: bool, steps: list[tuple[str, int, int, int]], outputs: int) -> keras.Model:
    """A network of drawn steps: what each does, to which earlier tensor, with which other one, how large."""
    made: list[Twin] = [network.input(3) if flat else network.input(5, 2)]
    for kind, at, other, size in steps:
        x = made[-1 - at % min(3, len(made))]
        like = [each for each in made if each.units.shape == x.units.shape and each is not x]
        beside = [each for each in made if each.units.shape[:-1] == x.units.shape[:-1] and each is not x]
        if kind == "add" and like:
            made.append(network.one_to_one(L.Add(), x, like[other % len(like)]))
        elif kind == "concat" and beside:
            made.append(network.concat(x, beside[other % len(beside)]))
        elif kind == "norm":
            made.append(network.batch_norm(x))
        elif kind == "conv" and not flat:
            width, padding = min(1 + size % 3, x.units.shape[0]), ("same", "valid")[other % 2]
            made.append(network.convolution(x, L.Conv1D(1 + at % 3, width, strides=1 + size % 2, padding=padding)))
        elif kind == "pool" and not flat:
            made.append(network.pool(x, L.MaxPooling1D(2, strides=1 + size % 2, padding="same")))
        else:
            made.append(network.dense(x, 1 + size % 3, activation=("relu", "silu")[other % 2]))
    return network.model(*made[-outputs:])


@settings(
    max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
)
@given(st.integers(0, 10**6), st.booleans(), _STEPS, st.integers(1, 2))
def test_every_path_of_drawn_networks(
    seed: int, flat: bool, steps: list[tuple[str, int, int, int]], outputs: int
) -> None:
    network = Network(seed=seed)
    model = _built(network, flat, steps, outputs)
    if network.count() <= MOST_PATHS:
        _compare(network, model)

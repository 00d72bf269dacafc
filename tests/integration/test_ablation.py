"""What `ablate` measures is what setting weights to zero by hand does; and what it says about scores is true."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from tfopt.errors import InputError, UsageError
from tfopt.pathways.ablation import ablate
from tfopt.pathways.samples import samples_of
from tfopt.pathways.switches import Level, Switched
from tfopt.pathways.unit_scores import SCORES, Subject, scored

BATCH = 5


def network() -> keras.Model:
    """Convolutions with BatchNormalization (of random statistics) and a skip, a dense layer, classes."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, padding="same", name="a")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(name="a_bn")(layers.MaxPooling2D()(x)))
    y = layers.BatchNormalization(name="b_bn")(layers.Conv2D(4, 3, padding="same", name="b")(x))
    x = layers.Flatten()(layers.Add(name="merge")([x, layers.Activation("sigmoid")(y)]))
    x = layers.Dense(5, activation="sigmoid", name="fc")(x)
    model = keras.Model(inputs, layers.Dense(3, activation="softmax", name="classes")(x), name="net")
    model.compile(loss="sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(rng.uniform(0.3, 1.2, variable.shape) * rng.choice([-1, 1], variable.shape))
    for name in ("a_bn", "b_bn"):
        model.get_layer(name).moving_variance.assign(rng.uniform(0.5, 2, 4))
    return model


def samples(count: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.standard_normal((count, 6, 6, 2)).astype("float32"), rng.integers(0, 3, count)


def on(model: keras.Model, x: Any, y: Any, *, level: Level = "unit", batch_size: int = BATCH) -> Switched:
    return Switched(model, samples_of(model, x, y, batch_size=batch_size), level=level)


@pytest.fixture(scope="module")
def switched() -> Switched:
    return on(network(), *samples())


def at(switched: Switched, layer: str) -> int:
    return next(each.start for each in switched.switches if each.path == f"net/{layer}")


def test_units_are_those_of_hidden_layers(switched: Switched) -> None:
    found = {each.path: (each.width, each.final) for each in switched.switches}
    assert found == {"net/a": (4, False), "net/b": (4, False), "net/fc": (5, False), "net/classes": (3, True)}
    assert list(switched.candidates) == list(range(13))


def test_intact_is_what_keras_evaluates(switched: Switched) -> None:
    model, (x, y) = network(), samples()
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    loss, accuracy = model.evaluate(x, y, batch_size=BATCH, verbose=0)
    intact = switched.without()
    assert intact.loss == pytest.approx(loss, rel=1e-5)
    assert intact.accuracy == pytest.approx(accuracy, abs=1e-6)


def by_hand(change: Any) -> float:
    model, (x, y) = network(), samples()
    change(model)
    return float(np.mean(keras.losses.sparse_categorical_crossentropy(y, model(x, training=False))))


def test_a_unit_before_batch_normalization_is_off_behind_it(switched: Switched) -> None:
    def change(model: keras.Model) -> None:
        for variable in (model.get_layer("a_bn").gamma, model.get_layer("a_bn").beta):
            variable.assign(variable.numpy() * np.array([1, 0, 1, 1]))

    assert switched.without([at(switched, "a") + 1]).loss == pytest.approx(by_hand(change), rel=1e-5)


def test_units_are_off_behind_their_activation(switched: Switched) -> None:
    """sigmoid(0) is a half: the weights that lead out are set to zero, not those that lead in."""

    def change(model: keras.Model) -> None:
        kernel = model.get_layer("classes").kernel
        kernel.assign(kernel.numpy() * np.array([[0], [1], [1], [0], [1]]))

    start = at(switched, "fc")
    assert switched.without([start, start + 3]).loss == pytest.approx(by_hand(change), rel=1e-5)


def test_a_unit_is_off_on_its_way_into_a_merge_alone(switched: Switched) -> None:
    """What `a` gives to the merge stays when the same channel of `b` is off."""
    model, (x, y) = network(), samples()
    first = keras.Model(model.input, model.get_layer("merge").input)
    skip, branch = first(x, training=False)
    tail_in = keras.Input(skip.shape[1:])
    z = tail_in
    for layer in model.layers[model.layers.index(model.get_layer("merge")) + 1 :]:
        z = layer(z)
    without = keras.ops.multiply(branch, np.array([1, 1, 0, 1], "float32"))
    outputs = keras.Model(tail_in, z)(skip + without, training=False)
    expected = float(np.mean(keras.losses.sparse_categorical_crossentropy(y, outputs)))
    assert switched.without([at(switched, "b") + 2]).loss == pytest.approx(expected, rel=1e-5)


def test_branches_are_edges_into_merges() -> None:
    model, (x, y) = network(), samples()
    branches = on(model, x, y, level="branch")
    assert [(each.path, each.edge) for each in branches.switches] == [("net/merge", 0), ("net/merge", 1)]

    def change(model: keras.Model) -> None:  # what follows the merge sees the skip alone, since a sigmoid is positive
        model.get_layer("b_bn").gamma.assign(np.zeros(4))
        model.get_layer("b_bn").beta.assign(np.full(4, -200.0))

    assert branches.without([1]).loss == pytest.approx(by_hand(change), rel=1e-5)
    report = ablate(model, x, y, level="branch", count=1)
    assert {row.units for row in report.rows} == {1}
    assert report.candidates == 2


def test_the_order_of_samples_and_of_sets_changes_nothing(switched: Switched) -> None:
    x, y = samples()
    order = np.random.default_rng(5).permutation(len(x))
    other = on(network(), x[order], y[order], batch_size=7)
    sets = [[0, 5], [3], [12, 1, 7]]
    forward = [switched.without(each).loss for each in sets]
    backward = [other.without(each).loss for each in reversed(sets)][::-1]
    assert forward == pytest.approx(backward, rel=1e-6)


def test_weights_stay_byte_identical_whatever_happens() -> None:
    model, (x, y) = network(), samples()
    before = [variable.numpy().tobytes() for variable in model.weights]
    ablate(model, x, y, count=3, scores=tuple(SCORES))

    def broken(y_true: Any, y_pred: Any) -> Any:
        raise RuntimeError("broken loss")

    with pytest.raises(RuntimeError, match="broken loss"):
        ablate(model, x, y, count=3, loss=broken)
    assert [variable.numpy().tobytes() for variable in model.weights] == before
    assert model(x).shape == (12, 3)
    assert keras.layers.Layer.__call__.__qualname__ == "Layer.__call__"


def ladder() -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """Each of 16 inputs counts by its own weight on its way to the sum that is the target."""
    sizes = np.linspace(0.1, 3.1, 16)
    inputs = keras.Input((16,))
    hidden = layers.Dense(16, activation="relu", name="hidden")(inputs)
    model = keras.Model(inputs, layers.Dense(1, name="sum")(hidden), name="ladder")
    model.compile(loss="mean_squared_error")
    model.set_weights([np.diag(sizes).astype("float32"), np.zeros(16), np.ones((16, 1)), np.zeros(1)])
    x = np.random.default_rng(0).uniform(0, 1, (64, 16)).astype("float32")
    return model, x, np.asarray(model(x))


def test_a_perfect_score_is_called_better() -> None:
    model, x, y = ladder()
    report = ablate(model, x, y, count=5, scores=("path", "magnitude"))
    assert [verdict.ranking for verdict in report.verdicts] == ["better", "better"]
    weakest, strongest = (report.rows[0].change, report.rows[1].change)
    assert weakest is not None
    assert strongest is not None
    assert 0 < weakest < strongest
    assert report.intact == pytest.approx(0, abs=1e-10)
    assert report.intact_accuracy is None
    assert "the path score ranks well here" in report.verdict
    assert report.warning == ""


def test_a_misleading_score_is_called_backwards() -> None:
    """Large weights whose units are kept shut by their biases: paths know nothing of biases."""
    model, x, _ = ladder()
    kernel, _, *rest = model.get_weights()
    sizes = np.diag(kernel)
    model.set_weights([kernel, np.where(sizes > 1.6, -4.0, 0.0).astype("float32"), *rest])
    report = ablate(model, x, np.asarray(model(x)), count=8, scores=("path",))
    assert report.verdicts[0].ranking == "backwards"


def test_random_numbers_are_not_called_better() -> None:
    model, x, y = ladder()
    report = ablate(model, x, y, count=5, scores=("random",), seed=1)
    assert report.verdicts[0].ranking == "no better"


def test_targets_that_mean_nothing_give_no_verdict() -> None:
    for model, x, y in ((network(), samples(60)[0], np.arange(60) % 3), ladder()):
        random = y if y.ndim == 1 else np.random.default_rng(7).permutation(y)
        report = ablate(model, x, random, count=3)
        assert report.verdicts[0].ranking == "unknown"
        assert "shuffled targets" in report.warning


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 7}, "7 of 13 units"),
        ({"count": 0}, "0 of 13 units"),
        ({"count": 3, "scores": ("best",)}, "no score called best"),
        ({"level": "branch", "count": 1, "scores": ("magnitude",)}, "is of units"),
        ({"draws": 1}, "1 random draw"),
    ],
)
def test_what_cannot_be_asked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ablate(network(), *samples(), **options)


def test_targets_are_needed_and_as_many_as_samples() -> None:
    x, y = samples()
    with pytest.raises(UsageError, match="needs targets"):
        ablate(network(), x, None)
    with pytest.raises(InputError, match="y 11"):
        ablate(network(), x, y[1:])


def test_scores_are_of_the_units_that_switches_are_of() -> None:
    """Σ|w| by hand; a gated layer's unit has four gates, a separable convolution's the second step alone."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((7, 3))
    x = layers.SeparableConv1D(4, 2, name="separable")(inputs)
    x = layers.Conv1DTranspose(6, 2, name="transposed")(x)
    x = layers.LSTM(5, name="lstm")(x)
    model = keras.Model(inputs, layers.Dense(1, name="out")(x), name="m")
    x, y = np.ones((3, 7, 3), "float32"), np.ones((3, 1), "float32")
    switched = on(model, x, y)
    subject = Subject(model, switched.samples, None, "unit", switched.switches)
    separable, transposed, lstm, out = (layer.get_weights() for layer in model.layers[1:])
    wanted = [
        np.abs(separable[1]).sum((0, 1)),
        np.abs(transposed[0]).sum((0, 2)),
        sum(np.abs(kernel[:, gate * 5 : gate * 5 + 5]).sum(0) for kernel in lstm[:2] for gate in range(4)),
        np.abs(out[0]).sum(0),
    ]
    np.testing.assert_allclose(scored("magnitude", subject), np.concatenate(wanted), rtol=1e-6)
    paths = scored("path", subject)
    assert paths.shape == (16,)
    assert paths[15] == pytest.approx(1)
    assert paths[10:15].sum() == pytest.approx(1)

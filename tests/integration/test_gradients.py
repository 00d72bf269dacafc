"""`tfopt gradients` and `tfopt gradcheck` on models: numbers against plain TensorFlow's, and wrong gradients found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfopt
from bench.small_models import SMALL, Halving, batch, cnn, mlp, transformer
from tfopt.cli.main import main
from tfopt.errors import InputError, RunFailed, UsageError
from tfopt.modified.checking import check_gradients
from tfopt.modified.measuring import measure
from tfopt.modified.parametrization import parametrize
from tfopt.modified.transforms import Transform
from tfopt.modified.untracked import untracked
from tfopt.records.gradcheck import GradcheckRecord
from tfopt.records.gradients import GradientsRecord

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, while saving


@pytest.fixture(autouse=True)
def seeded() -> None:
    keras.utils.set_random_seed(0)


def _verdicts(model: keras.Model, **options: Any) -> dict[str, str]:
    x, y = batch(model)
    return {each.path: each.verdict for each in check_gradients(model, (x, y, None), **options).checks}


def _through(*between: Any) -> keras.Model:
    """A dense layer, then these, then the head."""
    inputs = x = keras.Input((6,))
    for layer in (layers.Dense(4, name="first"), *between, layers.Dense(3, activation="softmax", name="head")):
        x = layer(x)
    model = keras.Model(inputs, x)
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize("name", SMALL)
def test_gradients_agree_with_differences(name: str) -> None:
    """To 1e-6 in float64, with dropout, and the model is left as it was."""
    model = SMALL[name]()
    before = [variable.numpy() for variable in model.variables]
    x, y = batch(model)
    checked = check_gradients(model, (x, y, None), directions=1)
    assert {each.verdict for each in checked.checks} <= {"agrees", "rounding"}
    assert sum(each.verdict == "agrees" for each in checked.checks) >= len(model.trainable_variables) - 1
    assert checked.lowered == ()
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


@pytest.mark.parametrize("word", ["scale=0.5", "low-rank=2", "tanh"])
def test_gradients_agree_through_transforms(word: str) -> None:
    model = mlp()
    made = parametrize(model, word)
    for factor in made.factors:
        factor.assign(factor.numpy() + np.random.default_rng(0).standard_normal(factor.shape))
    x, y = batch(model)
    checks = check_gradients(model, (x, y, None), modified=made, directions=1).checks
    assert {each.verdict for each in checks} == {"agrees"}
    assert sum(each.of == "factor" for each in checks) == len(made.factors)


@pytest.mark.parametrize("word", ["threshold=0.2", "ste-threshold=0.2", "fake-quant=4"])
def test_surrogates_are_checked_with_respect_to_what_they_make(word: str) -> None:
    model = mlp()
    x, y = batch(model)
    checks = check_gradients(model, (x, y, None), modified=parametrize(model, word), directions=1).checks
    assert [each.verdict for each in checks] == ["agrees"] * len(checks)
    assert {each.path for each in checks if each.of == "modified weight"} == {
        f"{name}/kernel" for name in ("first", "second", "head")
    }


def test_wrong_gradients_are_found() -> None:
    """What lies before the layer is wrong by half of it, what follows is right."""
    verdicts = _verdicts(_through(Halving()))
    assert verdicts == {
        "first/kernel": "disagrees",
        "first/bias": "disagrees",
        "head/kernel": "agrees",
        "head/bias": "agrees",
    }


def test_a_gradient_that_lacks_a_part_is_found() -> None:
    """Along itself it is right; only a random direction shows what is missing."""
    halved = layers.Lambda(lambda x: tf.concat([tf.stop_gradient(x[:, :2]), x[:, 2:]], -1))
    verdicts = _verdicts(_through(halved))
    assert (verdicts["first/kernel"], verdicts["head/kernel"]) == ("disagrees", "agrees")


def test_no_gradient_is_told_from_no_effect() -> None:
    stopped = _verdicts(_through(layers.Lambda(tf.stop_gradient)))
    assert (stopped["first/kernel"], stopped["head/kernel"]) == ("no gradient", "agrees")
    cut = _verdicts(_through(layers.Lambda(tf.zeros_like)))
    assert (cut["first/kernel"], cut["head/bias"]) == ("no effect", "agrees")


def test_an_edge_exactly_here_is_no_error() -> None:
    """Dead inputs and zero biases: ReLU at exactly zero, whose derivative is anything between 0 and 1."""
    model = _through(layers.ReLU())
    x, y = batch(model)
    checks = check_gradients(model, (tf.zeros_like(x), y, None)).checks
    verdicts = {each.path: each.verdict for each in checks}
    assert verdicts["first/bias"] == "kink"
    assert verdicts["head/bias"] == "agrees"


def test_many_edges_exactly_here_are_no_error_and_hide_none() -> None:
    """Of units whose slopes have any signs, so that the gradient, of none of them, need not be between the sides."""
    for seed, wrong in ((0, False), (2, False), (0, True), (1, True)):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((6,))
        hidden = layers.Dense(8, activation="relu", name="first")(inputs)
        outputs = layers.Dense(3, activation="softmax", name="head")(Halving()(hidden) if wrong else hidden)
        model = keras.Model(inputs, outputs)
        model.compile("sgd", "sparse_categorical_crossentropy")
        x = np.zeros((4, 6), "float32")
        x[0] = np.random.default_rng(seed).standard_normal(6)
        checks = check_gradients(model, (x, np.array([0, 1, 1, 1]), None), directions=6).checks
        verdicts = {each.path: each.verdict for each in checks}
        assert verdicts["first/bias"] == ("disagrees" if wrong else "kink")
        assert verdicts["head/kernel"] == "agrees"


def test_a_loss_that_bends_within_every_step_is_undecided() -> None:
    """Of which the gradient is right: no difference could tell."""
    verdicts = _verdicts(_through(layers.Lambda(lambda x: x + tf.sin(3e10 * x))))
    assert (verdicts["first/kernel"], verdicts["head/kernel"]) == ("undecided", "agrees")


def test_an_edge_nearby_is_no_error() -> None:
    """Closer than the first steps go: smaller ones are tried."""
    model = _through(layers.ReLU())
    model.get_layer("first").bias.assign([1.0, -1.0, 1.0, 1e-6])
    x, y = batch(model)
    checks = check_gradients(model, (tf.zeros_like(x), y, None)).checks
    assert {each.path: each.verdict for each in checks}["first/bias"] == "agrees"


@pytest.mark.parametrize("wrong", [False, True])
def test_a_small_loss_of_large_numbers_is_judged_by_their_rounding(wrong: bool) -> None:
    """As of a model that has learned its data: the loss is 1e-10, what it is the difference of is 1."""
    inputs = keras.Input((6,))
    hidden = layers.BatchNormalization(name="norm")(layers.Dense(4, name="first")(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="head")(Halving()(hidden) if wrong else hidden))
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).standard_normal((8, 6)).astype("float32")
    y = model(x, training=True).numpy() + np.float32(1e-5)
    checks = check_gradients(model, (x, y, None)).checks
    verdicts = {each.path: each.verdict for each in checks}
    assert verdicts["first/bias"] == "rounding"  # BatchNormalization takes it away again
    before, behind = ({verdicts[name] for name in names} for names in (("norm/gamma",), ("head/kernel", "head/bias")))
    assert before == ({"disagrees"} if wrong else {"agrees"})
    assert behind <= {"agrees", "rounding"}


def test_quantized_layers_are_said_to_pass_on_no_derivative() -> None:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(4, name="first"), layers.Dense(2, name="head")])
    model.compile("sgd", "mse")
    model.get_layer("first").quantize("int8")
    notes = tfopt.gradcheck(model, directions=1).notes
    assert any("first; what is rounded there" in note.message for note in notes)


def test_states_of_recurrent_layers_are_put_back() -> None:
    """Which Keras does not list among a model's variables."""
    inputs = keras.Input(batch_shape=(2, 3, 4))
    lstm = layers.LSTM(3, stateful=True)
    model = keras.Model(inputs, layers.Dense(1)(lstm(inputs)))
    model.compile("sgd", "mse")
    record = tfopt.gradcheck(model, directions=1)
    assert record.run.batch_size == 2
    assert {each.verdict for each in record.checks} <= {"agrees", "rounding"}
    assert not any(np.asarray(state).any() for state in lstm.states)


def test_weights_that_layers_write_are_put_back() -> None:
    """SpectralNormalization divides a trainable kernel by its norm, in training."""
    model = _through(layers.SpectralNormalization(layers.Dense(4)))
    x, y = batch(model)
    before = model.get_weights()
    measure(model, (x, y, None), model.trainable_variables, None, xla=False)
    for own, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(own, other)


def test_losses_of_layers_are_enough() -> None:
    inputs = keras.Input((6,))
    model = keras.Model(inputs, layers.Dense(2, activity_regularizer="l2")(inputs))
    model.compile("sgd")
    record = tfopt.gradcheck(model, directions=1)
    assert record.run.loss == "of add_loss"
    assert {each.verdict for each in record.checks} == {"agrees"}


def test_functions_of_the_user_are_judged_by_what_they_pass_on() -> None:
    """One that passes no gradient is a step; one that says it is a surrogate is believed, and otherwise found wrong."""
    for word, of, verdict, said in (
        ("tensorflow:round", "modified weight", "agrees", "tensorflow:round: what it passes on is no derivative"),
        (f"{__name__}:SURROGATE", "modified weight", "agrees", "coarse: what it passes on is no derivative"),
        (f"{__name__}:coarse", "weight", "disagrees", "is checked as its derivative"),
    ):
        record = tfopt.gradcheck(mlp(), modify=[word], include=["first/kernel"], directions=1)
        check = next(each for each in record.checks if each.path == "first/kernel")
        assert (check.of, check.verdict) == (of, verdict), word
        assert any(said in note.message for note in record.notes), word


coarse = tf.grad_pass_through(lambda weight: tf.round(3 * weight) / 3)
SURROGATE = Transform("coarse", coarse, gradient="surrogate")


def test_coarser_ops_are_named() -> None:
    model = _through(layers.Lambda(lambda x: tf.cast(tf.cast(x, "float32") * 1.5, x.dtype), name="coarse"))
    x, y = batch(model)
    lowered = check_gradients(model, (x, y, None)).lowered
    assert len(lowered) == 1
    assert "coarse" in lowered[0]


def test_a_loss_that_is_never_the_same_is_refused() -> None:
    model = _through(layers.Lambda(lambda x: x + tf.random.normal(tf.shape(x), dtype=x.dtype)))
    with pytest.raises(RunFailed, match="differs from one evaluation to the next"):
        _verdicts(model)


def test_a_loss_that_is_no_number_is_refused() -> None:
    model = mlp()
    model.get_layer("second").bias.assign(np.full(4, np.nan))
    with pytest.raises(RunFailed, match="the loss is nan"):
        _verdicts(model)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_sizes_are_those_of_plain_tensorflow(policy: str, tmp_path: Path) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        model = transformer()
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile("sgd", "sparse_categorical_crossentropy")
    x, y = batch(model)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    record = tfopt.gradients(model, data=str(tmp_path / "data.npz"))
    with tf.GradientTape() as tape:
        loss = model.compute_loss(x, y, model(x, training=True))
        scaled = model.optimizer.scale_loss(loss)
    scale = float(model.optimizer.scale_loss(1.0))
    assert record.loss == pytest.approx(float(loss), rel=1e-3)
    for row, gradient in zip(record.variables, tape.gradient(scaled, model.trainable_variables), strict=True):
        dense = tf.convert_to_tensor(gradient).numpy() / scale
        assert row.gradient is not None
        assert row.gradient.norm == pytest.approx(np.linalg.norm(dense), rel=0.02, abs=1e-6), row.path
        assert row.gradient.largest == pytest.approx(abs(dense).max(), rel=0.02, abs=1e-6)
    table = next(row for row in record.variables if row.path == "embedding/embeddings")
    unused = 7 - len(np.unique(x))
    assert table.gradient is not None
    assert table.gradient.zeros == 6 * unused


def test_nothing_changes_where_nothing_is_modified() -> None:
    """The second pass draws the same dropout; what differs is the modification alone."""
    record = tfopt.gradients(cnn(), modify=["scale=1"], batch_size=4)
    assert record.loss == record.loss_after
    assert all(row.gradient == row.after for row in record.variables)
    assert {row.path for row in record.variables if row.modified} == {
        f"{name}/kernel" for name in ("conv", "depthwise", "head")
    }


def test_no_gradient_is_named_and_strange_ones_are_counted() -> None:
    record = tfopt.gradients(_through(layers.Lambda(tf.stop_gradient)), batch_size=4)
    rows = {row.path: row for row in record.variables}
    assert rows["first/kernel"].gradient is None
    assert any("first/kernel, first/bias: no gradient" in note.message for note in record.notes)
    model = mlp()
    model.get_layer("second").bias.assign(np.full(4, np.inf))
    strange = tfopt.gradients(model, batch_size=4)
    assert strange.loss is None
    assert all(row.gradient is not None and row.gradient.norm is None for row in strange.variables[:2])
    rounded = tfopt.gradients(mlp(), modify=["tensorflow:round"], include=["first/*"], batch_size=4)
    assert [row.path for row in rounded.variables if row.after is None] == ["first/kernel", "first/bias"]
    assert any("no gradient passes the modification of first/kernel" in note.message for note in rounded.notes)


class Raw(layers.Layer):
    """A layer with variables that Keras does not see."""

    def __init__(self) -> None:
        super().__init__(name="raw")
        self.gain, self.more = tf.Variable(1.0), {"offsets": [tf.Variable(0.0)]}
        self.inner = tf.Module()
        self.inner.scale = self.gain

    def call(self, inputs: Any) -> Any:
        return inputs * self.gain + self.more["offsets"][0]


def test_raw_variables_are_found() -> None:
    power = tf.Variable(1.0)
    model = _through(Raw(), layers.Lambda(lambda x: x * power, name="closed"))
    names = [name.partition("/")[2] for name in untracked(model)]
    assert names == ["raw.gain", "raw.more", "raw.inner", "closed.function"]
    assert not any(untracked(build()) for build in SMALL.values())
    record = tfopt.gradients(_through(Raw()), batch_size=4)
    assert len(record.untracked) == 3
    assert any("raw tf.Variables that Keras does not track" in note.message for note in record.notes)


def test_the_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Records come back from files, and a wrong gradient is exit code 1."""
    good, bad, out = tmp_path / "good.keras", tmp_path / "bad.keras", tmp_path / "out.json"
    mlp().save(good)
    keras.saving.register_keras_serializable("tests")(Halving)
    _through(Halving()).save(bad)
    assert main(["gradients", str(good), "--batch-size", "4", "--modify", "relu", "-q", "-o", str(out)]) == 0
    assert msgspec.json.decode(out.read_bytes(), type=GradientsRecord).run.modify == ("relu",)
    for file, code in ((good, 0), (bad, 1)):
        assert main(["gradcheck", str(file), "-q", "--force", "-o", str(out)]) == code
        assert bool(msgspec.json.decode(out.read_bytes(), type=GradcheckRecord).failed) == bool(code)
    assert main(["gradcheck", str(bad), "-q"]) == 1
    assert "2 of 4 gradients wrong" in capfd.readouterr().out


def test_what_cannot_be_differentiated_is_refused() -> None:
    frozen = mlp()
    frozen.trainable = False
    with pytest.raises(InputError, match="no trainable weights"):
        tfopt.gradients(frozen)
    with pytest.raises(UsageError, match="--include chooses what --modify modifies"):
        tfopt.gradcheck(mlp(), include=["*"])
    with pytest.raises(UsageError, match="unknown modification"):
        tfopt.gradients(mlp(), modify=["halve"])

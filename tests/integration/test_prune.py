"""`tfopt prune` as a whole: what is in the file that it wrote, what it refuses, and what it leaves as it was."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import tfopt
from tests.integration.test_real_models import USABLE
from tfopt.errors import InputError, RunFailed, UsageError
from tfopt.pruning.against import Against
from tfopt.records.pruning import PruningRecord

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras, while saving
    pytest.mark.usefixtures("unoptimized"),
]
KERNELS = 8 * 24 + 24 * 24 + 24 * 4


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the comparison of the two files, which takes processes of its own and has a test of its own."""
    monkeypatch.setattr("tfopt.pruning.writing.against", lambda *args, **options: Against(None))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model that knows its data, `model.keras`, and these data, `train.npz`."""
    folder = tmp_path_factory.mktemp("pruned")
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 300)
    x = (np.eye(4)[y] @ rng.normal(size=(4, 8)) + 0.3 * rng.normal(size=(300, 8))).astype("float32")
    np.savez(folder / "train.npz", x=x, y=y)
    model = net()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=15, verbose=0)
    model.save(folder / "model.keras")
    return folder


@pytest.fixture
def here(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of its own with these files."""
    for file in kept.iterdir():
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def net() -> Any:
    """Eight numbers, four classes."""
    return keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(24, activation="relu", name="one"),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(0.2),
            layers.Dense(24, activation="relu", name="two"),
            layers.Dense(4, activation="softmax", name="head"),
        ],
        name="net",
    )


def zeros(model: Any) -> int:
    """In the kernels."""
    return sum(int(np.sum(each.numpy() == 0)) for each in model.weights if each.name == "kernel")


def test_all_of_it(here: Path) -> None:
    """The file that is written, the numbers that are told of it, and the files that are left."""
    record = tfopt.prune(
        "model.keras",
        sparsity=0.7,
        criterion="taylor",
        data="train.npz",
        finetune=2,
        recalibrate_bn=True,
        compress=True,
        max_time=6,
        samples=40,
    )
    assert record.output == "model-pruned.keras"
    pruned, dense = (keras.saving.load_model(each) for each in (record.output, "model.keras"))
    removed = round(0.7 * KERNELS)
    assert zeros(pruned) == sum(row.zeros for row in record.variables) == removed
    assert sum(row.removed for row in record.variables) == removed
    assert sum(row.zeros_before for row in record.variables) == 0
    assert record.after is not None
    for model, told in ((dense, record.before), (pruned, record.after)):
        assert told.params == model.count_params()
        assert told.nonzero == sum(int(np.count_nonzero(each.numpy())) for each in model.weights)
    assert record.before.file_bytes == (here / "model.keras").stat().st_size
    assert record.after.file_bytes == Path(record.output).stat().st_size
    assert all(info.compress_type == zipfile.ZIP_DEFLATED for info in zipfile.ZipFile(record.output).infolist())
    assert record.after.deflated_bytes == pytest.approx(record.after.file_bytes, rel=0.05)
    with np.load("train.npz") as data:
        x, y = data["x"], data["y"]
    assert record.drift is not None
    accuracy = next(each for each in record.drift.metrics if each.name == "accuracy")
    own = [
        float(model.evaluate(x[: accuracy.samples], y[: accuracy.samples], verbose=0)[1]) for model in (dense, pruned)
    ]
    assert (accuracy.reference, accuracy.variant) == pytest.approx(tuple(own))
    assert accuracy.difference == pytest.approx(own[1] - own[0], abs=1e-6)
    # Where everything else takes its time, too, six seconds may not do.
    assert record.latency is not None or any("after 6 s" in note.message for note in record.notes)
    assert record.run.samples == 40
    assert [epoch.sparsity for epoch in record.epochs] == [removed / KERNELS] * 2
    assert any("--eval-data" in note.hint for note in record.notes)
    assert {file.name for file in here.iterdir()} == {"model.keras", "train.npz", record.output}


@pytest.mark.usefixtures("alone")
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(here: Path) -> None:
    """By a schedule, with dropout: bit for bit; and the checkpoint is of this run alone."""

    def pruned(output: str, progress: Callable[[str, float | None], None] = lambda *told: None, **more: Any) -> Any:
        options: dict[str, Any] = {"sparsity": 0.8, "data": "train.npz", "finetune": 3, "schedule": "cubic", "steps": 2}
        record = tfopt.prune("model.keras", output=output, progress=progress, **{**options, **more})
        return record, keras.saving.load_model(output)

    def interrupting(stage: str, done: float | None) -> None:
        if stage.startswith("fine-tuning, epoch 3"):
            raise KeyboardInterrupt

    record, whole = pruned("whole.keras")
    with pytest.raises(KeyboardInterrupt) as interrupt:
        pruned("parts.keras", interrupting)
    assert "--resume" in interrupt.value.__notes__[0]
    with pytest.raises(UsageError, match="checkpoint of a run that did not end"):
        pruned("parts.keras")
    with pytest.raises(UsageError, match="other data or options"):
        pruned("parts.keras", resume=True, sparsity=0.9)
    data = (here / "train.npz").read_bytes()
    with np.load("train.npz") as arrays:
        np.savez("train.npz", x=arrays["x"], y=arrays["y"][::-1])
    with pytest.raises(UsageError, match="other data or options"):
        pruned("parts.keras", resume=True)
    (here / "train.npz").write_bytes(data)
    resumed, parts = pruned("parts.keras", resume=True)
    for one, other in zip(whole.variables, parts.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    assert resumed.epochs == record.epochs
    assert not list(here.glob("*.checkpoint"))
    with pytest.raises(UsageError, match="nothing to resume"):
        pruned("more.keras", resume=True)


@pytest.mark.usefixtures("alone")
def test_a_collapse_is_told_and_not_written(here: Path) -> None:
    record = tfopt.prune("model.keras", threshold=50.0)
    assert record.output is None
    assert "net/one, net/two, net/head" in record.collapsed[0]
    assert "no path" in record.collapsed[1]
    assert [row.removed for row in record.variables] == [row.size for row in record.variables]
    assert [each.sparsity for each in record.suggestions] == [0.5, 0.8]
    assert {file.name for file in here.iterdir()} == {"model.keras", "train.npz"}
    half = tfopt.prune("model.keras", threshold=record.suggestions[0].threshold, dry_run=True)
    assert sum(row.removed for row in half.variables) == KERNELS / 2
    assert (half.output, half.collapsed) == (None, ())
    assert tfopt.prune("model.keras", threshold=50.0, force=True, output="gone.keras").output == "gone.keras"
    assert zeros(keras.saving.load_model("gone.keras")) == KERNELS


def test_what_had_no_path_before_has_not_collapsed() -> None:
    """The first layer leads to one unit only, the last comes from the other; of its numbers zeros go first."""
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2, name="first"), layers.Dense(2, name="last")])
    first, last = (each.kernel for each in model.layers)
    first.assign([[1, 0], [2, 0]])
    last.assign([[0, 0], [1, 2]])
    record = tfopt.prune(model, sparsity=0.5, dry_run=True)
    assert (record.collapsed, record.path_total) == ((), None)
    assert any("none did before" in note.message for note in record.notes)
    last.assign([[0.1, 0], [1, 2]])
    lost = tfopt.prune(model, sparsity=0.5, dry_run=True)
    assert lost.collapsed == ("no path is left from the inputs to the outputs",)
    np.testing.assert_array_equal(last.numpy(), np.array([[0.1, 0], [1, 2]], "float32"))


@pytest.mark.usefixtures("alone")
def test_the_input_is_replaced_only_by_force(here: Path) -> None:
    before = (here / "model.keras").read_bytes()
    with pytest.raises(UsageError, match=r"model\.keras is the model itself"):
        tfopt.prune("model.keras", sparsity=0.5, output="model.keras")
    assert (here / "model.keras").read_bytes() == before
    record = tfopt.prune("model.keras", sparsity=0.5, output="model.keras", force=True)
    assert record.before.file_bytes == len(before)
    assert zeros(keras.saving.load_model("model.keras")) == KERNELS / 2


@pytest.mark.usefixtures("alone")
def test_a_model_object_is_left_as_it_was(here: Path) -> None:
    model = keras.saving.load_model("model.keras")
    before = [variable.numpy() for variable in (*model.variables, *model.optimizer.variables)]
    record = tfopt.prune(model, nm="2:4", data="train.npz", finetune=1, recalibrate_bn=True)
    for variable, value in zip((*model.variables, *model.optimizer.variables), before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert record.output == "net-pruned.keras"
    assert not any("--eval-data" in note.hint for note in record.notes)  # there is no metric
    pruned = keras.saving.load_model("net-pruned.keras")
    kernel = pruned.get_layer("two").kernel.numpy()
    assert (np.count_nonzero(kernel.reshape(6, 4, 24), axis=1) <= 2).all()
    assert not np.array_equal(pruned.get_layer("norm").moving_mean, model.get_layer("norm").moving_mean)


def test_sensitivity_is_the_metric_of_a_model_pruned_so(here: Path) -> None:
    record = tfopt.prune("model.keras", sensitivity=True, data="train.npz", samples=300)
    model = keras.saving.load_model("model.keras")
    with np.load("train.npz") as data:
        x, y = data["x"], data["y"]
    told = {(point.path, point.sparsity): point.value for point in record.sensitivity}
    assert record.sensitivity_metric == "accuracy on 300 samples"
    assert told["head/kernel", 0.0] == pytest.approx(model.evaluate(x, y, verbose=0)[1])
    kernel = model.get_layer("head").kernel
    values = kernel.numpy()
    kernel.assign(np.where(np.argsort(np.argsort(np.abs(values), axis=None)).reshape(values.shape) < 72, 0, values))
    assert told["head/kernel", 0.75] == pytest.approx(model.evaluate(x, y, verbose=0)[1])
    assert (record.output, record.after, sum(row.removed for row in record.variables)) == (None, None, 0)


@keras.saving.register_keras_serializable("tests")
class Forgetful(layers.Layer):
    """Its factor is not in its configuration."""

    factor = 1.0

    def call(self, inputs: Any) -> Any:
        return self.factor * inputs


@pytest.mark.usefixtures("alone")
def test_a_file_that_computes_something_else_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    keras.saving.register_keras_serializable("tests")(Forgetful)  # the registry is put back between tests
    model = keras.Sequential([keras.Input((8,)), layers.Dense(4), Forgetful()])
    model.layers[-1].factor = 2.0
    with pytest.raises(RunFailed, match="once written, computes other outputs"):
        tfopt.prune(model, sparsity=0.5)
    assert list(tmp_path.iterdir()) == []


def _nan(model: Any) -> None:
    model.get_layer("two").kernel.assign(np.full((24, 24), np.nan))


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (_nan, {}, "NaN"),
        (lambda model: model.get_layer("two").quantize("int8"), {}, "quantized"),
        (None, {"include": ("nothing/*",)}, "no weight of net is like nothing"),
        (None, {"exclude": ("*",)}, "nothing of net is left to prune"),
        (None, {"criterion": "fisher", "data": "wide.npz"}, "(9,)"),
        (None, {"finetune": 1, "data": "wide.npz"}, "(9,)"),
        (None, {"finetune": 1, "data": "missing.npz"}, "does not exist"),
        (None, {"criterion": "snip", "data": "blind.npz"}, "no array y"),
        (None, {"finetune": 2, "data": "train.npz", "lr": 1e30}, "not finite in epoch"),
        (None, {"imports": ("no_such_module",)}, "no_such_module"),
        (None, {"eval_data": "blind.npz"}, "no array y"),
        (None, {"eval_data": "odd.npz"}, "the loss of the first batch of odd.npz failed"),
        (None, {"eval_data": "endless:batches"}, "never ends"),
    ],
)
def test_what_cannot_be_pruned(change: Any, options: dict[str, Any], message: str, here: Path) -> None:
    """One error with a hint, and nothing written but what was there."""
    np.savez("wide.npz", x=np.zeros((40, 9), "float32"), y=np.zeros(40, int))
    np.savez("blind.npz", x=np.zeros((40, 8), "float32"))
    np.savez("odd.npz", x=np.zeros((40, 8), "float32"), y=np.zeros((40, 3)))
    (here / "endless.py").write_text(
        "import tensorflow as tf\ndef batches():\n    one = tf.zeros((4, 8)), tf.zeros(4)\n"
        "    return tf.data.Dataset.from_tensors(one).repeat()\n"
    )
    model: Any = "model.keras"
    if change is not None:
        model = keras.saving.load_model(model)
        change(model)
    files = {file.name for file in here.iterdir()}
    with pytest.raises((InputError, UsageError, RunFailed)) as raised:
        tfopt.prune(model, sparsity=0.5, **options)
    assert message in raised.value.message
    assert raised.value.hint
    assert "--mode" not in raised.value.hint
    left = {file.name for file in here.iterdir()} - {"__pycache__"}
    assert left == files


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("name", USABLE)
def test_real_models(name: str, real_models: Path, tmp_path: Path) -> None:
    """Pruned, saved, loaded again and, within that, run."""
    output = tmp_path / "pruned.keras"
    record: PruningRecord = tfopt.prune(str(real_models / name), sparsity=0.8, output=output, compress=True)
    size = sum(row.size for row in record.variables)
    assert sum(row.removed for row in record.variables) == round(0.8 * size)
    assert all(row.zeros >= row.removed for row in record.variables)
    assert record.after is not None
    assert record.after.file_bytes is not None
    assert record.before.file_bytes is not None
    assert record.after.file_bytes < record.before.file_bytes


@pytest.mark.usefixtures("alone")
def test_several_inputs_and_outputs_are_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    left, right = keras.Input((3,), name="left"), keras.Input((4,), name="right")
    joined = layers.Concatenate()([left, right])
    heads = [layers.Dense(2, activation="softmax", name="kind")(joined), layers.Dense(1, name="size")(joined)]
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {"left": rng.normal(size=(40, 3)), "right": rng.normal(size=(40, 4))}
    np.savez("both.npz", **arrays, kind=rng.integers(0, 2, 40), size=rng.normal(size=(40, 1)))
    record = tfopt.prune(keras.Model([left, right], heads), sparsity=0.5, data="both.npz", finetune=1)
    assert [row.removed for row in record.variables] == [row.zeros for row in record.variables]
    assert sum(row.removed for row in record.variables) == round(0.5 * 7 * 3)
    assert record.epochs[0].loss is not None
    assert any("not compiled" in note.message for note in record.notes)

"""Names that mean harm, end to end: a saved model full of them, through the command line, in every format and back."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from rich.cells import cell_len

import tfopt
from tests.integration.profiled import profiled
from tfopt.model.layers import layer_tree
from tfopt.report.escape import from_csv_cell, from_exact
from tfopt.trace.scopes import BRACKETED

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, while saving

# What Keras lets through when it builds, saves and loads: anything but `/`, line-end NUL and halves of surrogate pairs.
NAMES = (
    "\x1b[31mred\x1b]0;owned\x07", "[red]x[bold]", "=cmd()", "+1", "@SUM", "a|b", "a\\|b", "two\nlines", "line\n",
    "tab\there", "cr\rhere", "abc\u202edcba", "zero\u200bwidth", "e\u0301", "卷积层🙂", "长" * 60,
    "n" * 10_240, "n n" * 3_000,
    "(idle)", "(loss)", "(optimizer)", "own ops", "12 more", "..", ".", "-x", "100%s%d", "back\\slash", r"\x1b[31m",
    "back`tick``", "<b>html<&amp;", "a::b", "a:b", "a b", "a_b", "a?b", "♥", "♦", "gradients", "gradient_tape",
    "tfopt_loss", "while", "PartitionedCall", "_under", "a#2", "semi;colon", "'quote", '"', "{{node}}", "$HOME",
    " lead ",
)  # fmt: skip


def hostile() -> keras.Model:
    """A layer of every name, and a nested model with layers of the same names."""
    inputs = keras.Input((4,), name="in put|\x1b[2J")
    inner = keras.Sequential([keras.Input((4,)), *(layers.Dense(4, name=name) for name in NAMES[:3])], name="(loss)#2")
    x = inner(inputs)
    for name in NAMES:
        x = layers.Dense(4, name=name)(x)
    model = keras.Model(inputs, {"out|`\n": x}, name="(idle)")
    loss = keras.losses.MeanSquaredError(name="my loss ☃\x1b[0m")
    model.compile(
        keras.optimizers.Adam(name="opt ☃|"), {"out|`\n": loss}, metrics=[keras.metrics.MeanSquaredError(name="m [é]")]
    )
    return model


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A folder with a run of the hostile model in every machine format, and the paths of the model's layers."""
    folder = tmp_path_factory.mktemp("=a `b` [red]\x1b[31m")
    model = hostile()
    model.save(folder / "model.keras")
    os.rename(folder / "model.keras", os.fsencode(folder) + b"/-x \xff|`\x1b[2J.keras")
    outputs = [part for suffix in ("json", "csv", "md", "txt") for part in ("-o", f"-r\n.{suffix}")]
    file = os.fsdecode(b"-x \xff|`\x1b[2J.keras")
    done = _tfopt(
        folder, "profile", "--steps", "2", "--trace-steps", "2", "--batch-size", "4", "--top", "0", *outputs, "--", file
    )
    assert done.returncode == 0, done.stderr
    _check_screen(done.stdout)
    _check_screen(done.stderr)
    return folder, [node.path for node in layer_tree(model)]


def _tfopt(folder: Path, *arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tfopt", *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
        **settings,
    )


def _check_screen(text: str) -> None:
    assert all(line.isprintable() for line in text.split("\n"))


def _on_a_terminal(folder: Path, *arguments: str) -> str:
    """What a command writes to a terminal of 80 columns, less its colours."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tfopt", *arguments], cwd=folder, env=environment, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = b""
    try:
        while chunk := os.read(ours, 65536):
            written += chunk
    except OSError:  # Linux says so when the other end is closed
        pass
    os.close(ours)
    assert process.wait() == 0, written
    return re.sub(r"\x1b\[[0-9;]*m", "", written.decode()).replace("\r\n", "\n")


def test_json_holds_every_name(run: tuple[Path, list[str]]) -> None:
    folder, paths = run
    record = json.loads((folder / "-r\n.json").read_bytes())
    rows = [row["path"] for row in record["layers"]]
    assert rows[: len(paths)] == paths
    assert paths[0] == "(idle)#2"
    assert set(rows[len(paths) :]) <= BRACKETED
    assert len(set(rows)) == len(rows)
    assert sum(row["share"] for row in record["layers"]) == pytest.approx(1)
    assert all(row["self_ms"] > 0 for row in record["layers"][2 : len(paths)] if row["type"] == "Dense")
    assert record["run"]["inputs"][0]["name"] == "in put|\x1b[2J"
    assert record["coverage"]["attributed"] >= 0.94
    assert {op["layer"] for op in record["ops"]} <= set(rows)


def test_csv_holds_every_name(run: tuple[Path, list[str]]) -> None:
    folder, paths = run
    text = (folder / "-r\n.csv").read_text()
    _check_screen(text)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [from_csv_cell(row["path"]) for row in rows][: len(paths)] == paths


def test_markdown_holds_every_name(run: tuple[Path, list[str]]) -> None:
    folder, paths = run
    text = (folder / "-r\n.md").read_text()
    _check_screen(text)
    table = text.partition("## Layers")[2].partition("## Bottleneck")[0].strip().splitlines()
    cells = [re.split(r"(?<!\\)\|", line)[1].strip() for line in table[2:]]
    assert {len(re.split(r"(?<!\\)\|", line)) for line in table} == {len(table[0].split("|"))}
    names = {_code(cell) for cell in cells if "`" in cell}
    assert {path.rpartition("/")[2] for path in paths} <= names


def _code(cell: str) -> str:
    """The text of the code span in a table's cell."""
    found = re.search(r"(`+)(.*)\1$", cell, re.DOTALL)
    assert found is not None
    inside = found[2].replace(r"\|", "|")
    padded = len(inside) > 2 and inside[0] == inside[-1] == " "
    return from_exact(inside[1:-1] if padded else inside)


@pytest.mark.parametrize("by", ["layer", "op", "type", "phase"])
def test_a_terminal_of_80_columns_shows_it(run: tuple[Path, list[str]], by: str) -> None:
    folder, _ = run
    text = _on_a_terminal(folder, "report", "--by", by, "--top", "0")
    _check_screen(text)
    body = text.partition("\nsaved ")[0]  # below are commands to copy, which are not broken
    assert [line for line in body.splitlines() if cell_len(line) > 80] == []


def test_a_pipe_is_no_wider_than_it_must(run: tuple[Path, list[str]]) -> None:
    folder, _ = run
    done = _tfopt(folder, "report")
    _check_screen(done.stdout)
    assert max(map(len, done.stdout.splitlines())) < 5_000
    assert done.stderr == ""


def test_errors_are_two_lines_whatever_the_name(tmp_path: Path) -> None:
    done = _tfopt(tmp_path, "profile", "./\x1b[31m[red]\n\u202e" + "x" * 200)
    assert done.returncode == 3
    _check_screen(done.stderr)
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["error", "help"]


NO_SCOPE = "my model"
CALLS: dict[str, Callable[[keras.Model, np.ndarray, np.ndarray], Any]] = {
    "path_weights": lambda model, x, y: tfopt.path_weights(model),
    "relevance": lambda model, x, y: tfopt.relevance(model, x),
    "weight_saliency": lambda model, x, y: tfopt.weight_saliency(model, x, y),
    "top_paths": lambda model, x, y: tfopt.top_paths(model, 2),
    "health": lambda model, x, y: tfopt.health(model, x, y),
    "gradients": lambda model, x, y: tfopt.gradients(model),
    "gradcheck": lambda model, x, y: tfopt.gradcheck(model),
    "functional_call": lambda model, x, y: tf.function(lambda: tfopt.functional_call(model, {}, x))(),
    "profile": lambda model, x, y: tfopt.profile(model, steps=2, trace_steps=1),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_model_whose_name_is_no_scope(name: str) -> None:
    """TensorFlow refuses such a name at the root of a graph, and Keras then keeps it for all layers to come."""
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2, name="ein Würfel")], name=NO_SCOPE)
    model.compile("sgd", "mse")
    found = CALLS[name](model, np.ones((3, 4), "float32"), np.ones((3, 2), "float32"))
    assert name != "profile" or found.influence is not None
    new = layers.Dense(1, name="new")
    new.build((None, 1))
    assert new.kernel.path == "new/kernel"


def _twins(heavy: str, light: str) -> keras.Model:
    inputs = keras.Input((256,))
    x = layers.Dense(512, name=heavy)(layers.Dense(256, name=light)(inputs))
    x = layers.Dense(512, name=f"{heavy} 2")(x)
    return keras.Model(inputs, layers.Dense(1, name=f"{light} 2")(x), name="twins")


@pytest.mark.parametrize("xla", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize(("heavy", "light"), [("a b", "a_b"), ("♥", "♦"), ("gradients", "gradient_tape")])
def test_names_with_one_scope_keep_their_own_time(heavy: str, light: str, xla: bool) -> None:
    model = _twins(heavy, light)
    model.compile("sgd", "mse")
    record = profiled(model, steps=2, batch_size=256, xla=xla)
    rows = {row.path.removeprefix("twins/"): row for row in record.layers}
    assert rows[f"{heavy} 2"].total_ms > 2 * rows[f"{light} 2"].total_ms
    for name in (heavy, light, f"{heavy} 2", f"{light} 2"):
        assert rows[name].forward_ms > 0
        assert rows[name].backward_ms > 0
    assert record.coverage.attributed >= 0.94

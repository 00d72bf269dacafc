"""Duels between real models in real worker processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import cast

import keras
import numpy as np
import pytest

from tfopt.errors import InputError, RunFailed
from tfopt.workload.duel import Contestant, duel, listening
from tfopt.workload.duel.blocks import Arm, fight
from tfopt.workload.duel.messages import Done, Message, Pair, Task
from tfopt.workload.options import Options
from tfopt.workload.workload import Runner

LAYERS = """
import os, signal, time
import keras
import tensorflow as tf

@keras.saving.register_keras_serializable("odd")
class Crash(keras.layers.Layer):
    calls = 0
    def call(self, x):
        def act(values):
            Crash.calls += 1
            if Crash.calls > 3:
                os.kill(os.getpid(), signal.SIGSEGV)
            return values
        return tf.ensure_shape(tf.numpy_function(act, (x,), tf.float32), x.shape)

@keras.saving.register_keras_serializable("odd")
class Hang(keras.layers.Layer):
    def call(self, x):
        def act(values):
            print("a word on standard output")
            time.sleep(1000)
        return tf.ensure_shape(tf.numpy_function(act, (x,), tf.float32), x.shape)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models: a plain one, one that ends its process after some steps, one that never ends its first."""
    folder = tmp_path_factory.mktemp("duel")
    (folder / "odd_layers.py").write_text(LAYERS)
    namespace: dict[str, type[keras.layers.Layer]] = {}
    exec(LAYERS, namespace)
    for name, layer in {"plain": keras.layers.ReLU, "crash": namespace["Crash"], "hang": namespace["Hang"]}.items():
        model = keras.Sequential([keras.Input((8,)), layer(), keras.layers.Dense(2)])
        model.compile("sgd", "mse")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras's own
            model.save(folder / f"{name}.keras")
    return folder


def _contestant(folder: Path, name: str, label: str = "", **options: object) -> Contestant:
    return Contestant(label or name, str(folder / f"{name}.keras"), Options(**options), imports=("odd_layers",))  # type: ignore[arg-type]


def test_a_duel(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder))  # the workers look for modules where this process does
    np.savez(folder / "forty.npz", x=np.ones((40, 8), "float32"), y=np.ones((40, 2), "float32"))
    stages: list[str] = []
    outcome = duel(
        _contestant(folder, "plain"),
        [
            _contestant(folder, "plain", "half", batch_size=16),
            _contestant(folder, "missing"),
            _contestant(folder, "plain", "unknown", optimizer="nonsense"),
            _contestant(folder, "plain", "large", batch_size=64, data=str(folder / "forty.npz")),
            _contestant(folder, "plain", "forward", loss="mse", mode="infer"),
            _contestant(folder, "crash"),
        ],
        min_processes=2,
        max_processes=2,
        progress=lambda stage, done: stages.append(stage),
    )
    half, missing, unknown, large, forward, crash = outcome.results
    assert (large.verdict, "has no batch of 64, but one of 40 examples" in large.reason) == ("REFUSED", True)
    assert forward.wall is not None
    assert [note.message for note in outcome.notes] == ["--loss: unused, since inference has neither"]
    assert half.wall is not None
    assert half.cpu is not None
    # A step of so small a model takes about as long for half as many examples: each takes about twice the time. By CPU
    # time, which two processes tell on a busy machine as well.
    assert 1.2 < half.cpu.ratio < 3.4
    assert (half.wall.processes, half.cpu.processes) == (2, 2)
    assert half.wall.low is not None
    assert half.wall.low < half.wall.ratio
    assert (missing.verdict, missing.reason[:12]) == ("REFUSED", "no such file")
    assert (unknown.verdict, "nonsense" in unknown.reason) == ("REFUSED", True)
    assert crash.verdict == "CRASHED"
    assert "signal 11" in crash.reason
    plain, *arms = outcome.timings
    assert plain.wall_ms is not None
    assert plain.prepare_s is not None
    assert plain.compile_s is not None
    assert 0 < plain.wall_ms / 1000 < plain.compile_s < 60
    assert [timing.examples_per_step for timing in (plain, arms[0])] == [32.0, 16.0]
    assert "worker 2/2: half, measuring" in stages
    assert not any(stage.startswith("worker 3") for stage in stages)


class Sleeper:
    """A step of 20 ms and one example."""

    def __init__(self) -> None:
        self.examples = 0

    def __call__(self) -> None:
        self.examples += 1
        time.sleep(0.02)


@pytest.mark.parametrize(("slow_ms", "more"), [(140.0, 0), (21.0, 2)])
def test_the_one_step_that_warmed_a_slow_arm_up_is_a_pair_where_it_is_far_apart(slow_ms: float, more: int) -> None:
    said: list[Message] = []
    base, arm = (Arm(label, cast(Runner, Sleeper()), 3.0, on_cpu=False) for label in ("base", "arm"))
    task = Task(Contestant("base", "m", Options()), (), pairs=2, precision=9.0, pair_seconds=1.0, seed="")
    fight(base, replace(arm, slow=(slow_ms, slow_ms)), task, said.append)
    assert arm.run.examples == more
    assert len([message for message in said if isinstance(message, Pair)]) == (more or 1)
    assert said[-1] == Done("arm", early=not more)


def test_an_arm_that_hangs_and_the_time_that_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(listening, "_OF_REST", 0.25)  # a busy machine takes long to load TensorFlow twice
    started = time.monotonic()
    outcome = duel(_contestant(folder, "plain"), [_contestant(folder, "hang")], max_seconds=60)
    assert time.monotonic() - started < 60
    assert outcome.results[0].verdict == "HUNG"
    assert outcome.results[0].reason.endswith("while compiling")
    assert outcome.timings[0].prepare_s is not None


def test_a_baseline_that_crashes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder))
    with pytest.raises(RunFailed, match=r"crash: the process was ended by signal 11.* while warming up"):
        duel(_contestant(folder, "crash"), [_contestant(folder, "plain")])
    with pytest.raises(InputError, match="no such file"):
        duel(_contestant(folder, "missing"), [_contestant(folder, "plain")])


INTERRUPTED = """
import json, sys, msgspec
from tfopt.cli.signals import interruptible
from tfopt.workload.duel import Contestant, duel, listening
from tfopt.workload.options import Options

def say(stage, done):
    print(json.dumps(stage), flush=True)

with interruptible():
    arm = Contestant("same", sys.argv[1], Options())
    outcome = duel(Contestant("plain", sys.argv[1], Options()), [arm], progress=say)
    result = outcome.results[0]
    heavy = [name for name in ("tensorflow", "keras") if name in sys.modules]
    print(json.dumps([outcome.interrupted, result.wall.processes, heavy]), flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_duel_keeps_what_it_has_and_leaves_no_process(folder: Path, number: signal.Signals) -> None:
    """Interrupted while the second worker starts; killed, it cannot keep anything, but its worker ends all the same."""
    command = [sys.executable, "-c", textwrap.dedent(INTERRUPTED), str(folder / "plain.keras")]
    stage = "worker 2/12: loading TensorFlow" if number is signal.SIGINT else "worker 1/12: loading TensorFlow"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while json.loads(process.stdout.readline()) != stage:
            assert process.poll() is None
        workers = _children(process.pid)
        assert len(workers) == 1
        process.send_signal(number)
        last = process.stdout.read().splitlines()[-1:]
    if number is signal.SIGINT:
        assert json.loads(last[0]) == [True, 1, []]
    for _ in range(100):
        if not any(Path(f"/proc/{worker}").exists() for worker in workers):
            break
        time.sleep(0.1)
    else:
        pytest.fail("a worker is still there")


def _children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return found

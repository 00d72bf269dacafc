"""What does tfopt cost beyond the steps themselves? CPU seconds of `tfopt profile` against a bare script.

    python -m bench.overhead [--rounds 5]

The bare script imports TensorFlow, loads the model, makes a plain `tf.function` step and runs as many steps, five of
them under `tf.profiler`. Whole processes, interleaved; median of the differences. Goal: at most 1.0 s. What the
summary of influence adds is in `bench.influence`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

MODELS = {"cnn": 32, "mobilenetv2": 16}
GOAL = 1.0

BARE = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np, tensorflow as tf, keras
path, size, untraced, traced, logs = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
model = keras.models.load_model(path)
x = tf.random.normal((size, *model.inputs[0].shape[1:]))
y = tf.constant(np.random.randint(0, model.outputs[0].shape[-1], size))
model.optimizer.build(model.trainable_variables)

@tf.function(autograph=False)
def step(x, y):
    with tf.GradientTape() as tape:
        loss = model.compute_loss(x, y, model(x, training=True))
    model.optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
    return loss

for _ in range(11):
    step(x, y).numpy()
tf.profiler.experimental.start(logs)
for number in range(traced):
    with tf.profiler.experimental.Trace("train", step_num=number, _r=1):
        step(x, y).numpy()
tf.profiler.experimental.stop()
for _ in range(untraced - 11):
    step(x, y).numpy()
"""


def main() -> None:
    """Print tfopt's own CPU seconds for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        paths = _save_models(Path(folder))
        print(f"{'model':14} {'tfopt':>8} {'bare':>8} {'own CPU':>9}   goal ≤ {GOAL} s")
        for name, size in MODELS.items():
            pairs = [_pair(paths[name], size, Path(folder)) for _ in range(rounds)]
            own = statistics.median(ours - bare for ours, bare in pairs)
            ours, bare = (statistics.median(side) for side in zip(*pairs, strict=True))
            print(f"{name:14} {ours:7.2f}s {bare:7.2f}s {own:8.2f}s   {'met' if own <= GOAL else 'missed'}")


def _save_models(folder: Path) -> dict[str, Path]:
    code = "import sys; from bench.zoo import ZOO; [ZOO[n]().save(f'{sys.argv[1]}/{n}.keras') for n in sys.argv[2:]]"
    root = str(Path(__file__).resolve().parent.parent)
    subprocess.run(
        [sys.executable, "-c", code, str(folder), *MODELS],
        check=True,
        env={**os.environ, "PYTHONPATH": root},
        stderr=subprocess.DEVNULL,
    )
    return {name: folder / f"{name}.keras" for name in MODELS}


def _pair(path: Path, size: int, folder: Path) -> tuple[float, float]:
    record = folder / "record.json"
    profile = ["-m", "tfopt", "profile", str(path), "--batch-size", str(size), "--steps", "20", "--no-influence"]
    ours = _cpu_seconds([*profile, "--run-dir", str(folder / "runs"), "-o", str(record), "--force"])
    step = json.loads(record.read_text())["step"]
    untraced = 1 + step["warmup_steps"] + step["samples"]
    bare = _cpu_seconds(["-c", BARE, str(path), str(size), str(untraced), "5", str(folder / "bare")])
    return ours, bare


def _cpu_seconds(arguments: list[str]) -> float:
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments[:4])} … exited with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()

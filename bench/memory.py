"""Is the memory of a step what tfopt says? The estimate against TensorFlow's counter, each model in a fresh process.

    python -m bench.memory [--xla] [--only NAME ...]

Measured: weights and slots plus what a step adds to the memory in use (peak − current, the median of 3 steps). The
estimate is taken without what nobody counts, tensors below 256 KiB; `step` compares only what the step adds. The first
six models helped to find the rules, the others did not; those of the folder TFOPT_REAL_MODELS run if it is there.
Goals: graph within 25 % on 5 of the first six; XLA within 5 %, and its bound before compiling not above.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tfopt.workload.runtime import import_tensorflow

import_tensorflow()

from bench import strangers  # noqa: E402
from bench.zoo import ZOO  # noqa: E402
from tfopt.errors import TfoptError  # noqa: E402
from tfopt.report import units  # noqa: E402
from tfopt.workload.options import Options  # noqa: E402
from tfopt.workload.peak.fresh import measured  # noqa: E402
from tfopt.workload.workers.contestant import Contestant  # noqa: E402

TUNED = {"mlp": 512, "cnn": 64, "mobilenetv2": 16, "transformer": 64, "lstm": 512, "unet": 32}
HELD_OUT = {"resnet50": 8, "rnn": 1024, "gru": 512, "nested_shared": 512, "subclassed": 512, "embeddings": 64,
            "captioner": 32}  # fmt: skip
REAL_BATCH = 256
GRAPH_GOAL, XLA_GOAL, NEEDED = 0.25, 0.05, 5


def main() -> None:
    """Print one line per model, then whether the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--xla", action="store_true")
    parser.add_argument("--only", nargs="*", help="names of models")
    arguments = parser.parse_args()
    goal = XLA_GOAL if arguments.xla else GRAPH_GOAL
    print(f"{'model':32} {'batch':>5} {'measured':>9} {'estimate':>9} {'error':>7} {'step':>7}  goal ±{goal:.0%}")
    errors = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, file, size in _models(Path(folder), arguments.only):
            error = _line(name, file, size, arguments.xla, goal)
            if error is not None:
                errors[name] = error
    tuned = {name: error for name, error in errors.items() if name in TUNED}
    for label, group in (("tuned", tuned), ("held out", {k: v for k, v in errors.items() if k not in tuned})):
        within = sum(abs(error) <= goal for error in group.values())
        print(f"{label}: {within} of {len(group)} within {goal:.0%}")
    if tuned:
        needed = len(tuned) if arguments.xla else min(NEEDED, len(tuned))
        within = sum(abs(error) <= goal for error in tuned.values())
        print(
            f"wanted {needed} of the first {len(tuned)}, measured {within}: {'met' if within >= needed else 'missed'}"
        )


def _models(folder: Path, only: list[str] | None) -> Iterator[tuple[str, Path, int]]:
    for name, size in {**TUNED, **HELD_OUT}.items():
        if only is None or name in only:
            file = folder / f"{name}.keras"
            ZOO[name]().save(file)
            yield name, file, size
    real = strangers.folder("models")
    for file in sorted(real.glob("*")) if real.is_dir() else ():
        if file.suffix in (".keras", ".h5") and (only is None or file.name in only):
            yield file.name, file, REAL_BATCH


def _line(name: str, file: Path, size: int, xla: bool, goal: float) -> float | None:
    """The relative error of the estimate, None where there is none."""
    options = Options(batch_size=size, xla=xla or None)
    imports = ("bench.zoo",) if name in ZOO else ()
    try:
        answer = measured(Contestant(name, str(file), options, imports=imports))
    except TfoptError as error:
        print(f"{name:32} {size:5}  {error.message[:80]}")
        return None
    memory = answer.estimate
    if memory.estimate_bytes is None or not answer.added_bytes:
        print(f"{name:32} {size:5}  no estimate")
        return None
    state, added = memory.weight_bytes + memory.slot_bytes, int(statistics.median(answer.added_bytes))
    estimate = memory.estimate_bytes - memory.uncounted_bytes
    error = estimate / (state + added) - 1
    step = f"{(estimate - state) / added - 1:+7.1%}" if added else f"{'–':>7}"
    bound = answer.bound and answer.bound.estimate_bytes
    below = "" if bound is None else f"  bound {units.size(bound)}: {'met' if bound <= state + added else 'missed'}"
    print(
        f"{name:32} {size:5} {units.size(state + added):>9} {units.size(estimate):>9} {error:+7.1%} {step}  "
        f"{'met' if abs(error) <= goal else 'missed'}{below}",
        flush=True,
    )
    return error


if __name__ == "__main__":
    main()

"""Does the table predict what happens when a layer goes or comes again? Layers of whole networks are removed or
doubled; the table of the plain network predicts the new step time, and both networks are measured side by side.

    python -m bench.ablation [--rounds 20] [--mode graph|xla] [--markdown FILE] [MODEL ...]

Per case: the share of the step that the layers have in the table, the measured change of the interleaved steps with
its 95 % interval, and the error, predicted / measured - 1. Wall time, since shares are shares of it. Goals: the median
error is at most 15 %, and 90 % of the cases are within 30 % or within the measurement's own interval; `own` is at least
90 % of op time in graph and 60 % under XLA.
"""

from __future__ import annotations

import argparse
import fnmatch
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tfopt.workload.runtime import import_tensorflow

import_tensorflow()

import keras  # noqa: E402

import tfopt  # noqa: E402
from bench.zoo import ZOO  # noqa: E402
from tfopt.records.profile import ProfileRecord  # noqa: E402
from tfopt.workload.device import place  # noqa: E402
from tfopt.workload.options import Options  # noqa: E402
from tfopt.workload.timing import finished, median_interval  # noqa: E402
from tfopt.workload.workload import prepare  # noqa: E402

BATCH = {
    "mlp": 256,
    "nested_shared": 256,
    "subclassed": 1024,
    "embeddings": 128,
    "captioner": 16,
    "mobilenetv2": 8,
    "resnet50": 4,
}
USUAL_BATCH = 32
BLOCK_SECONDS = 0.1
OWN_GOALS = {"graph": 0.90, "xla": 0.60}
MEDIAN_GOAL, WITHIN_GOAL, MANY = 0.15, 0.30, 0.90


@dataclass(frozen=True)
class Case:
    """Do `action` to the layers of `model` whose name fits `layers` (a glob pattern).

    `remove` hands their input on, `double` applies a second layer to their output, `skip` has the model built without.
    """

    model: str
    action: Literal["remove", "double", "skip"]
    layers: str


CASES = (
    Case("mlp", "remove", "drop_*"),
    Case("mlp", "double", "drop_*"),
    Case("mlp", "double", "fc_[12]"),
    Case("cnn", "remove", "bn_*"),
    Case("cnn", "double", "conv_2"),
    Case("cnn", "remove", "act_*"),
    Case("mobilenetv2", "double", "*_BN"),
    Case("mobilenetv2", "double", "block_[24578]_depthwise"),
    Case("mobilenetv2", "remove", "*_relu"),
    Case("resnet50", "double", "*_bn"),
    Case("resnet50", "double", "*_2_conv"),
    Case("transformer", "remove", "attention_*"),
    Case("transformer", "remove", "norm_*"),
    Case("transformer", "double", "attention_*"),
    Case("lstm", "double", "lstm_1"),
    Case("lstm", "remove", "lstm_1"),
    Case("gru", "double", "gru_1"),
    Case("gru", "remove", "gru_1"),
    Case("unet", "double", "bottom"),
    Case("unet", "remove", "refine_*"),
    Case("nested_shared", "remove", "block"),
    Case("nested_shared", "remove", "shared"),
    Case("embeddings", "skip", "table_3"),
    Case("embeddings", "skip", "table_[12]"),
    Case("subclassed", "skip", "dense_1"),
    Case("captioner", "remove", "lstm"),
    Case("captioner", "double", "lstm"),
    Case("captioner", "double", "conv_2"),
)


@dataclass(frozen=True)
class Outcome:
    """What one case gave; times in ms of a step's wall time, `predicted` and `measured` are changes of it."""

    model: str
    mode: str
    case: str
    own: float
    idle: float
    overhead: float
    step_ms: float
    predicted_ms: float
    measured_ms: float
    low_ms: float
    high_ms: float

    @property
    def error(self) -> float:
        return abs(self.predicted_ms / self.measured_ms - 1)

    @property
    def fits(self) -> bool:
        return self.error <= WITHIN_GOAL or self.low_ms <= self.predicted_ms <= self.high_ms


def main() -> None:
    """Print predicted and measured changes, and how often they agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=list(dict.fromkeys(case.model for case in CASES)))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--mode", choices=list(OWN_GOALS), action="append")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables of docs/accuracy.md")
    arguments = parser.parse_args()
    outcomes: list[Outcome] = []
    modes = arguments.mode or list(OWN_GOALS)
    for mode in modes:
        head = f"{'model':13} {'mode':5} {'change':30} {'own':>5} {'idle':>5} {'step':>8} {'predicted':>10}"
        print(f"{head} {'measured':>9}  {'95 % interval':18} error", flush=True)
        for model in arguments.models:
            outcomes += _of_model(model, mode, arguments.rounds)
            keras.backend.clear_session()
    _summary(outcomes)
    if arguments.markdown:
        arguments.markdown.write_text("\n\n".join(_table(mode, outcomes) for mode in modes) + "\n")


def _of_model(model: str, mode: str, rounds: int) -> list[Outcome]:
    plain = ZOO[model]()
    record = tfopt.profile(plain, xla=mode == "xla", batch_size=BATCH.get(model, USUAL_BATCH), steps=20, trace_steps=10)
    run = _runner(plain, model, mode)
    return [_of_case(case, mode, plain, record, run, rounds) for case in CASES if case.model == model]


def _of_case(
    case: Case, mode: str, plain: keras.Model, record: ProfileRecord, run: Callable[[], Any], rounds: int
) -> Outcome:
    chosen = [row for row in record.layers if fnmatch.fnmatchcase(row.path.rpartition("/")[2], case.layers)]
    sign = 1 if case.action == "double" else -1
    pairs = _interleaved(run, _runner(_changed(plain, case), case.model, mode), rounds)
    measured, low, high = median_interval([second - first for first, second in pairs])
    step = median_interval([first for first, _ in pairs])[0]
    found = record.coverage
    outcome = Outcome(
        case.model,
        mode,
        f"{case.action} {case.layers}",
        found.own / (found.own + found.inferred + found.unattributed),
        found.idle,
        record.step.overhead,
        step,
        sign * sum(row.total_share for row in chosen) * step,
        measured,
        low,
        high,
    )
    print(
        f"{outcome.model:13} {mode:5} {outcome.case:30} {outcome.own:5.0%} {outcome.idle:5.0%} {step:8.2f}"
        f" {outcome.predicted_ms:10.2f} {measured:9.2f}  [{low:7.2f}, {high:7.2f}]"
        f" {outcome.predicted_ms / measured - 1:+6.0%}{'' if outcome.fits else '  missed'}",
        flush=True,
    )
    return outcome


def _changed(model: keras.Model, case: Case) -> keras.Model:
    """A network like `model`, with the layers of `case` left out or applied again with weights of their own."""

    def call(layer: Any, *arguments: Any, **options: Any) -> Any:
        if not fnmatch.fnmatchcase(layer.name, case.layers):
            return layer(*arguments, **options)
        if case.action == "remove":
            return arguments[0]
        again = type(layer).from_config({**layer.get_config(), "name": f"{layer.name}_again"})
        result = layer(*arguments, **options)
        return again(result, *([result] * (len(arguments) - 1)), **options)

    if case.action == "skip":
        return ZOO[case.model](skip=case.layers)
    changed = keras.models.clone_model(model, call_function=call)
    changed.compile(model.optimizer.name, model.loss)
    return changed


def _runner(model: keras.Model, name: str, mode: str) -> Callable[[], Any]:
    options = Options(xla=mode == "xla", batch_size=BATCH.get(name, USUAL_BATCH))
    run = prepare(model, options, place("cpu")).runner()
    for _ in range(10):
        finished(run())
    return lambda: finished(run())


def _interleaved(first: Callable[[], Any], second: Callable[[], Any], rounds: int) -> list[tuple[float, float]]:
    """Per round the step time of both in ms: the least of a block of steps each, in random order."""
    order, pairs = random.Random(0), []
    for _ in range(rounds):
        times = [0.0, 0.0]
        for side in order.sample((0, 1), 2):
            times[side] = _least((first, second)[side])
        pairs.append((times[0], times[1]))
    return pairs


def _least(run: Callable[[], Any]) -> float:
    until, least = time.perf_counter() + BLOCK_SECONDS, float("inf")
    while least == float("inf") or time.perf_counter() < until:
        started = time.perf_counter_ns()
        run()
        least = min(least, (time.perf_counter_ns() - started) / 1e6)
    return least


def _table(mode: str, outcomes: list[Outcome]) -> str:
    """The outcomes of a mode as a table in Markdown; a cross marks what fits neither goal."""
    lines = [
        f"### {mode}\n",
        "| network | change | own | idle | step ms | predicted ms | measured ms | 95 % interval | error |",
        "|:--|:--|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for of in (outcome for outcome in outcomes if outcome.mode == mode):
        lines.append(
            f"| {of.model} | `{of.case}` | {of.own:.0%} | {of.idle:.0%} | {of.step_ms:.1f} | {of.predicted_ms:+.2f} "
            f"| {of.measured_ms:+.2f} | {of.low_ms:+.2f} to {of.high_ms:+.2f} "
            f"| {of.predicted_ms / of.measured_ms - 1:+.0%}{'' if of.fits else ' ✗'} |"
        )
    return "\n".join(lines)


def _summary(outcomes: list[Outcome]) -> None:
    for mode, goal in OWN_GOALS.items():
        of_mode = [outcome for outcome in outcomes if outcome.mode == mode]
        if not of_mode:
            continue
        middle = statistics.median(outcome.error for outcome in of_mode)
        fitting = sum(outcome.fits for outcome in of_mode) / len(of_mode)
        own = {outcome.model: outcome.own for outcome in of_mode}
        print(f"\n{mode}: {len(of_mode)} cases")
        print(f"  median error {middle:.0%}, goal {MEDIAN_GOAL:.0%}: {_verdict(middle <= MEDIAN_GOAL)}")
        print(f"  within {WITHIN_GOAL:.0%} or the interval {fitting:.0%}, goal {MANY:.0%}: {_verdict(fitting >= MANY)}")
        for model, share in own.items():
            print(f"  own, {model}: {share:.0%}, goal {goal:.0%}: {_verdict(share >= goal)}")


def _verdict(met: bool) -> str:
    return "met" if met else "missed"


if __name__ == "__main__":
    main()

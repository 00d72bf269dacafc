"""Run a workload's step: first call, warm-up, untraced steps, traced steps."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfopt.records.base import finite
from tfopt.records.profile import StepInfo
from tfopt.report.progress import ProgressCallback
from tfopt.workload.capture import Capture, capture
from tfopt.workload.failures import StepUnsound, explained
from tfopt.workload.peak.measure import added_bytes
from tfopt.workload.timing import Samples, finished, measure, median_interval, warm_up
from tfopt.workload.workload import Workload

__all__ = ["Measurement", "measure_step"]


@dataclass(frozen=True)
class Measurement:
    """What running a step gave: seconds of the first call, warm-up steps, untraced samples, and the trace.

    `skipped_steps` is None where it cannot be told; `added_bytes` is what the untraced steps added to the memory in
    use at their peak, None where TensorFlow counts nothing. `examples_per_step` is the mean over the untraced steps,
    `waits_ms` has the time that each of these waited for data, `traced_waits_ms` that of the traced ones.
    """

    compile_s: float
    warm_steps: int
    samples: Samples
    examples_per_step: float
    waits_ms: tuple[float, ...]
    traced_waits_ms: tuple[float, ...]
    trace: Capture
    skipped_steps: int | None
    added_bytes: int | None

    def step_info(self, workload: Workload) -> StepInfo:
        """The record of the step's time."""
        median, low, high = median_interval(self.samples.wall_ms)
        traced = float(np.median(self.trace.wall_ms))
        losses = self.samples.results if workload.step.gives_loss else ()
        retraces = workload.step.retraces()
        return StepInfo(
            median_ms=median,
            low_ms=low,
            high_ms=high,
            p95_ms=float(np.quantile(self.samples.wall_ms, 0.95)),
            cpu_ms=float(np.median(self.samples.cpu_ms)),
            samples=len(self.samples.wall_ms),
            warmup_steps=self.warm_steps,
            compile_s=self.compile_s,
            retraces=len(retraces),
            retrace_causes=retraces,
            examples_per_s=self.examples_per_step / median * 1000.0,
            input_ms=float(np.median(self.waits_ms)),
            input_mean_ms=float(np.mean(self.waits_ms)),
            recording_ms=self._recording_ms(),
            traced_ms=traced,
            overhead=traced / median - 1.0,
            skipped_steps=self.skipped_steps,
            last_loss=finite(losses[-1]) if losses else None,
            nonfinite_losses=sum(finite(loss) is None for loss in losses),
        )

    def _recording_ms(self) -> float:
        """What recording adds to a step. The least of each kind, since other work on the machine only ever adds."""
        traced = np.subtract(self.trace.wall_ms, self.traced_waits_ms).min()
        return max(0.0, float(traced - np.subtract(self.samples.wall_ms, self.waits_ms).min()))


def measure_step(
    workload: Workload, steps: int | None, trace_steps: int | None, folder: Path, progress: ProgressCallback
) -> Measurement:
    """Time the step untraced, then trace it into `folder`. Raises RunFailed where the step fails."""
    run = workload.runner()
    before = workload.updates()
    progress("running the first step" if workload.step.eager else "compiling", None)
    with explained("the first step", StepUnsound):
        started = time.perf_counter()
        finished(run())
        compile_s = time.perf_counter() - started
    with explained("the step"):
        progress("warming up", 0.0)
        warm_steps = warm_up(run)
        before_samples = run.examples
        with added_bytes(workload.step.device) as added:
            samples = measure(run, steps, lambda done: progress("measuring", done))
        count = len(samples.wall_ms)
        examples, waits = (run.examples - before_samples) / count, tuple(run.waits_ms[-count:])
        progress("tracing", 0.0)
        trace = capture(run, trace_steps, folder)
    skipped = _skipped(workload, 1 + warm_steps + count + trace.executed, before)
    traced_waits = tuple(run.waits_ms[-len(trace.wall_ms) :])
    return Measurement(compile_s, warm_steps, samples, examples, waits, traced_waits, trace, skipped, added.bytes)


def _skipped(workload: Workload, executed: int, before: int | None) -> int | None:
    """Updates that loss scaling skipped: steps that ran, less updates that the optimizer made.

    A model's own `train_step` may update as often as it likes, so that nothing follows from the number.
    """
    if before is None:
        return 0
    return executed - ((workload.updates() or 0) - before) if workload.step.gives_loss else None

"""What a reader of a profile should be told besides the numbers: a list of small rules, each a function of records."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tfopt.records.base import Note
from tfopt.records.profile import Coverage, PrecisionInfo, RunInfo, StepInfo

__all__ = ["remarks"]

Rule = Callable[[RunInfo, StepInfo, Coverage, PrecisionInfo], Iterator[Note]]

_SHOWN = 3
_NOTABLE = 0.10


def remarks(run: RunInfo, step: StepInfo, coverage: Coverage, precision: PrecisionInfo) -> tuple[Note, ...]:
    """All notes that apply, in the order of `RULES`."""
    return tuple(note for rule in RULES for note in rule(run, step, coverage, precision))


def _eager(run: RunInfo, step: StepInfo, coverage: Coverage, precision: PrecisionInfo) -> Iterator[Note]:
    if run.eager and run.mode == "train":
        yield Note(
            message="eager: the backward pass is one row, since its ops do not say which layer they belong to",
            hint="leave --eager out to see backward layer by layer",
        )


def _retraced(run: RunInfo, step: StepInfo, coverage: Coverage, precision: PrecisionInfo) -> Iterator[Note]:
    if step.retraces:
        cause = step.retrace_causes[0]
        yield Note(
            message=f"the step was traced {step.retraces + 1} times: {cause.argument} changed from {cause.before} to "
            f"{cause.after}",
            hint="keep shapes and dtypes fixed: drop the last partial batch, pad to one length",
        )


def _stayed_float32(run: RunInfo, step: StepInfo, coverage: Coverage, precision: PrecisionInfo) -> Iterator[Note]:
    names = precision.float32_ops
    if names:
        total = sum(precision.compute_ops.values())
        shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
        yield Note(
            message=f"{len(names)} of {total} matrix products and convolutions stayed float32: {shown}",
            hint="layers with a dtype of their own keep it; build them with the policy you want",
        )


def _skipped(run: RunInfo, step: StepInfo, coverage: Coverage, precision: PrecisionInfo) -> Iterator[Note]:
    if step.skipped_steps:
        yield Note(
            message=f"loss scaling skipped {step.skipped_steps} updates: gradients overflowed float16",
            hint="a few at the start are normal while the scale settles; mixed_bfloat16 needs no scaling",
        )


def _nonfinite(run: RunInfo, step: StepInfo, coverage: Coverage, precision: PrecisionInfo) -> Iterator[Note]:
    if step.nonfinite_losses:
        yield Note(
            message=f"the loss was NaN or infinite in {step.nonfinite_losses} of {step.samples} steps",
            hint="check the data (--data) and the precision; times are valid all the same",
        )


def _overhead(run: RunInfo, step: StepInfo, coverage: Coverage, precision: PrecisionInfo) -> Iterator[Note]:
    if abs(step.overhead) > _NOTABLE:
        yield Note(
            message=f"tracing changed the step by {step.overhead:+.0%}: step times come from untraced steps, "
            "shares from traced ones",
            hint="",
        )


def _unplaced(run: RunInfo, step: StepInfo, coverage: Coverage, precision: PrecisionInfo) -> Iterator[Note]:
    if coverage.unattributed > _NOTABLE:
        yield Note(message=f"{coverage.unattributed:.0%} of the step belongs to ops of no known layer", hint="")


RULES: tuple[Rule, ...] = (_eager, _retraced, _stayed_float32, _skipped, _nonfinite, _overhead, _unplaced)

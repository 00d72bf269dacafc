"""What a reader of a profile should be told besides the numbers: small rules, each a function of the record."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tfopt.records.base import Note
from tfopt.records.profile import ProfileRecord
from tfopt.report import units
from tfopt.wording import listed

__all__ = ["remarks"]

Rule = Callable[[ProfileRecord], Iterator[Note]]

_NOTABLE = 0.10
_ROUGH = "recording took half of a traced step or more: shares are rough, layers of many short ops may look too large; "


def remarks(record: ProfileRecord) -> tuple[Note, ...]:
    """All notes that apply, in the order of `RULES`."""
    return tuple(note for rule in RULES for note in rule(record))


def _eager(record: ProfileRecord) -> Iterator[Note]:
    if record.run.eager and record.run.mode == "train":
        yield Note(
            message="eager: the backward pass is not split by layer, since its ops do not say which one they belong to",
            hint="leave --eager out to see backward layer by layer",
        )


def _stayed_float32(record: ProfileRecord) -> Iterator[Note]:
    names = record.precision.float32_ops
    if names:
        total = sum(record.precision.compute_ops.values())
        yield Note(
            message=f"{len(names)} of {total} matrix products and convolutions stayed float32: {listed(names)}",
            hint="these ops are cast inside their layers, whatever the policy",
        )


def _skipped(record: ProfileRecord) -> Iterator[Note]:
    if record.step.skipped_steps:
        yield Note(
            message=f"loss scaling skipped {record.step.skipped_steps} updates: gradients overflowed float16",
            hint="a few at the start are normal while the scale settles; mixed_bfloat16 needs no scaling",
        )


def _nonfinite(record: ProfileRecord) -> Iterator[Note]:
    step = record.step
    if step.nonfinite_losses:
        yield Note(
            message=f"the loss was NaN or infinite in {step.nonfinite_losses} of {step.samples} steps",
            hint="check the data (--data), the learning rate and the precision; times are valid all the same",
        )


def _bursts(record: ProfileRecord) -> Iterator[Note]:
    step = record.step
    if step.input_mean_ms - step.input_ms > _NOTABLE * step.median_ms:
        yield Note(
            message=f"waiting for data varies: {step.input_ms:.1f} ms in the median step, which the tables show, "
            f"{step.input_mean_ms:.1f} ms on average",
            hint="some batches are slow to make: prefetch more of them, or make them in parallel",
        )


def _not_on_cpu(record: ProfileRecord) -> Iterator[Note]:
    if not record.run.device.startswith("CPU"):
        yield Note(
            message=f"tables show what the host does, not the kernels on {record.run.device}",
            hint="tfopt report on the run's .xplane.pb shows the kernels",
        )


def _overhead(record: ProfileRecord) -> Iterator[Note]:
    overhead = record.step.overhead
    if overhead > _NOTABLE:
        yield Note(
            message=f"tracing made the step longer ({units.added(overhead)}): step times come from untraced steps, "
            "shares from traced ones, less at most a microsecond for each op that ran",
            hint=(_ROUGH if overhead >= 1 else "") + "a larger --batch-size makes ops longer and the shares surer",
        )


def _cheap_ops_missing(record: ProfileRecord) -> Iterator[Note]:
    if not record.trace.every_op and not record.run.eager and not record.run.xla:
        yield Note(
            message="this TensorFlow records no cheap ops: their time counts as idle",
            hint="use a TensorFlow version that tfopt is tested with",
        )


def _unplaced(record: ProfileRecord) -> Iterator[Note]:
    share = record.coverage.unattributed
    if share > _NOTABLE:
        yield Note(message=f"{units.percent(share)} of the step belongs to ops of no known layer", hint="")


def _nothing_ran(record: ProfileRecord) -> Iterator[Note]:
    if record.coverage.attributed == 0 and record.coverage.unattributed < _NOTABLE:
        yield Note(message="no layer ran an op: there is nothing to compute in this model", hint="")


def _above_the_peak(record: ProfileRecord) -> Iterator[Note]:
    """Only where the time is surely the layer's own: caches carry no layer above the peak."""
    above = [row for row in record.layers if row.bound == "compute" and (row.roof_share or 0) > 1 + _NOTABLE]
    sure = [row for row in above if row.inferred_ms < _NOTABLE * row.self_ms]
    if sure:
        fastest = max(sure, key=lambda row: row.roof_share or 0)
        yield Note(
            message=f"{fastest.path} computes at {units.percent(fastest.roof_share or 0)} of this machine's measured "
            "peak: the machine was busy when it was measured, or the kernel leaves out products with padding",
            hint="measure the peak anew with --recalibrate",
        )


RULES: tuple[Rule, ...] = (
    _eager,
    _stayed_float32,
    _skipped,
    _nonfinite,
    _bursts,
    _not_on_cpu,
    _overhead,
    _cheap_ops_missing,
    _unplaced,
    _nothing_ran,
    _above_the_peak,
)

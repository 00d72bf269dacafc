"""Does the candidate still compute what the baseline does? Gates on outputs of one batch, and on metrics of data.

A metric fails only where its paired interval says so; one whose interval reaches over the limit is INCONCLUSIVE, and
whatever could not be compared is an ERROR: nothing passes by being absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import msgspec

from tfopt.records.check import Gate, GateVerdict
from tfopt.records.check_settings import AccuracySettings
from tfopt.records.comparison import Drift, MetricDrift, OutputDrift
from tfopt.wording import counted

__all__ = ["accuracy_gates", "defaulted"]

_METRIC_DROP, _COSINE = 0.01, 0.99


@dataclass(frozen=True)
class _Measure:
    """A number of an output, its key among the settings, and which way it may not go."""

    key: str
    fact: Literal["max_rel", "cosine", "agreement"]
    words: str
    most: bool = False

    def breaks(self, value: float, limit: float) -> bool:
        """Whether `value` is on the wrong side of `limit`."""
        return value > limit if self.most else value < limit


_MEASURES = (
    _Measure("max_rel", "max_rel", "the largest difference / the baseline's largest value", most=True),
    _Measure("min_cosine", "cosine", "the cosine with the baseline's output"),
    _Measure("min_agreement", "agreement", "the share of decisions that are the baseline's"),
)


def defaulted(settings: AccuracySettings, drift: Drift, *, data: bool) -> AccuracySettings:
    """`settings`, or where they limit nothing, the limits that fit what could be compared."""
    if any(value is not None for key, value in msgspec.structs.asdict(settings).items() if key != "samples"):
        return settings
    if not data:
        return msgspec.structs.replace(settings, min_cosine=_COSINE)
    decides = any(metric.name == "accuracy" for metric in drift.metrics)
    return msgspec.structs.replace(
        settings, **{"max_accuracy_drop" if decides or not drift.metrics else "max_loss_increase": _METRIC_DROP}
    )


def accuracy_gates(drift: Drift, itself: Drift, settings: AccuracySettings) -> tuple[Gate, ...]:
    """A gate per limit and output. `drift` is the candidate's, `itself` the baseline's in a second run of the same."""
    return (*_output_gates(drift, itself, settings), *_metric_gates(drift, settings))


def _output_gates(drift: Drift, itself: Drift, settings: AccuracySettings) -> Iterator[Gate]:
    """By the baseline's outputs, so that none can be missing unnoticed."""
    candidate = {output.name: output for output in drift.outputs}
    for measure in _MEASURES:
        limit = getattr(settings, measure.key)
        if limit is None:
            continue
        told = [output for output in itself.outputs if measure.fact != "agreement" or output.agreement is not None]
        if not told:
            nothing = "decides anything: its loss tells" if itself.outputs else "could be compared"
            yield _gate(measure.key, measure.fact, "ERROR", None, limit, f"no output of the baseline {nothing}")
        for again in told:
            found = candidate.get(again.name)
            value = None if found is None else getattr(found, measure.fact)
            verdict, message = _output_verdict(measure, limit, found, again)
            yield _gate(measure.key, measure.fact, verdict, value, limit, f"{again.name}: {message}")


def _output_verdict(
    measure: _Measure, limit: float, found: OutputDrift | None, again: OutputDrift
) -> tuple[GateVerdict, str]:
    if again.reference_nonfinite:
        return "ERROR", f"NaN or infinite in the baseline: {counted(again.reference_nonfinite, 'value')}"
    if found is None:
        return "FAIL", "the candidate has no such output of this shape"
    if found.nonfinite:
        return "FAIL", f"NaN or infinite, and not in the baseline: {counted(found.nonfinite, 'value')}"
    value, noise = (getattr(one, measure.fact) for one in (found, again))
    if value is None or noise is None:
        return "ERROR", f"{measure.words} is no number: all values of one side are zero"
    message = f"{measure.words} is {value:.4g}, {'at most' if measure.most else 'at least'} {limit:g} allowed"
    if not measure.breaks(value, limit):
        return "PASS", message
    if measure.breaks(noise, limit):
        return "INCONCLUSIVE", f"{message}; the baseline differs as much from itself ({noise:.4g})"
    return "FAIL", message


def _metric_gates(drift: Drift, settings: AccuracySettings) -> Iterator[Gate]:
    """By metric: accuracy as the share of samples lost, any other as a loss, of which more is worse."""
    for key, what in (("max_accuracy_drop", "accuracy"), ("max_loss_increase", "loss")):
        limit = getattr(settings, key)
        if limit is None:
            continue
        chosen = [metric for metric in drift.metrics if (metric.name == "accuracy") == (what == "accuracy")]
        if not chosen:
            message = f"no sample was compared: the data has none with targets, or the model no {what}"
            yield _gate(key, what, "ERROR", None, limit, message)
        for metric in chosen:
            verdict, worse, message = _metric_verdict(metric, limit)
            of = f"{metric.name} of {metric.output} over {counted(metric.samples, 'sample')}"
            yield _gate(key, metric.name, verdict, worse, limit, f"{of}: {message}")


def _metric_verdict(metric: MetricDrift, limit: float) -> tuple[GateVerdict, float | None, str]:
    """FAIL iff the whole interval is worse than allowed, PASS iff none of it is."""
    if metric.nonfinite:
        broken = metric.variant is None and metric.reference is not None
        message = f"NaN or infinite on {counted(metric.nonfinite, 'sample')}"
        return ("FAIL" if broken else "ERROR"), None, message
    scale = -1.0 if metric.name == "accuracy" else abs(metric.reference or 0.0)
    if not metric.samples or metric.difference is None:
        return "ERROR", None, "nothing could be compared"
    if not scale:
        return "ERROR", None, f"the baseline's is 0, of which no increase is a share (now {metric.variant:.4g})"
    worse = metric.difference / scale
    if metric.low is None or metric.high is None:
        return "INCONCLUSIVE", worse, "too few samples for an interval"
    low, high = sorted((metric.low / scale, metric.high / scale))
    message = f"worse by {_signed(worse)} [{_signed(low)}, {_signed(high)}], {_signed(limit)} allowed"
    if low > limit:
        return "FAIL", worse, message
    if high > limit:
        return "INCONCLUSIVE", worse, f"{message}: more samples would tell"
    return ("IMPROVED" if high < 0 else "PASS"), worse, message


def _signed(share: float) -> str:
    return f"{100 * share + 0.0:+.2f} %"


def _gate(key: str, fact: str, verdict: GateVerdict, value: float | None, limit: float, message: str) -> Gate:
    return Gate(
        kind="accuracy",
        name=key,
        fact=fact,
        verdict=verdict,
        value=value,
        limit=limit,
        unit="" if fact == "cosine" else "share",
        message=message,
    )

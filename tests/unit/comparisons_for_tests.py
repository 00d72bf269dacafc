"""Comparisons for tests: one of a network in four variants, and one whose names mean harm."""

from __future__ import annotations

import math
from typing import Any

from records_for_tests import HOSTILE

from tfopt.profiling.ranking import break_even, rank, span_of
from tfopt.profiling.verdicts import drift_notes, verdict
from tfopt.records.advice import Advice
from tfopt.records.base import Note
from tfopt.records.comparison import (
    Arm,
    BreakEven,
    ComparisonRecord,
    ComparisonRun,
    Drift,
    GradientDrift,
    MetricDrift,
    OutputDrift,
)
from tfopt.records.duel import ArmTiming, DuelResult, Interval, Verdict

CAUSE = Advice(
    id="depthwise-xla",
    severity="high",
    message="17 depthwise convolutions have no fast kernel under XLA on CPU",
    action="leave XLA off",
)


def interval(ratio: float, half: float, processes: int = 4) -> Interval:
    return Interval(
        ratio=ratio, low=ratio - half, high=ratio + half, processes=processes, pairs=6 * processes, log_ratios=()
    )


def result(label: str, verdict: Verdict, ratio: float = 1.0, half: float = 0.01, **more: Any) -> DuelResult:
    """A result by wall time; of arms that failed without any ratio."""
    known = interval(ratio, half) if verdict not in ("CRASHED", "HUNG", "REFUSED", "NOT RUN") else None
    told = math.expm1(max(half, math.log1p(0.05)) + half) if known is not None else None
    ended = "failed" if known is None else "time" if verdict == "INCONCLUSIVE" else "decided"
    given = {"wall": known, "cpu": known, "clock": "wall", "resolvable": told, "ended": ended, **more}
    return DuelResult(label=label, baseline="graph", verdict=verdict, tolerance=0.05, **given)


def timing(label: str, wall_ms: float | None, compile_s: float = 4.0, examples: float = 32.0) -> ArmTiming:
    known = wall_ms is not None
    return ArmTiming(
        label=label,
        wall_ms=wall_ms,
        cpu_ms=wall_ms * 1.8 if wall_ms is not None else None,
        prepare_s=1.5 if known else None,
        compile_s=compile_s if known else None,
        examples_per_step=examples if known else 0.0,
        blocks=24 if known else 0,
        device="CPU" if known else None,
    )


def arm(label: str, result: DuelResult | None, timing: ArmTiming, **more: Any) -> Arm:
    given = {"model": "m.keras", "variant": label, "program": "graph", "precision": "float32", "device": "auto"}
    return Arm(label=label, result=result, timing=timing, batch_size=32, **{**given, **more})


def run(**more: Any) -> ComparisonRun:
    given: dict[str, Any] = {
        "mode": "train",
        "data": "synthetic",
        "device": "CPU",
        "threads": 2,
        "cpu": "Example CPU",
        "seed": 0,
        "clock": None,
        "tolerance": 0.05,
        "max_seconds": 300.0,
        "seconds": 241.5,
        "interrupted": False,
        "command": "tfopt compare m.keras",
        "started_at": "2026-11-21T10:00:00+00:00",
        "tfopt": "0.1.0",
        "python": "3.11.9",
        "tensorflow": "2.21.0",
        "keras": "3.15.1",
    }
    return ComparisonRun(**{**given, **more})


def gradient(layer: str, relative: float | None, **more: Any) -> GradientDrift:
    cosine = None if relative is None else 1 - relative**2 / 2
    given = {"layer": layer, "type": "Dense", "values": 4096, "cosine": cosine, "nonfinite": 0, "underflow": 0}
    return GradientDrift(relative_l2=relative, **{**given, **more})


def output(name: str = "probabilities", max_abs: float = 0.0, **more: Any) -> OutputDrift:
    given = {"shape": (16, 10), "cosine": 1 - max_abs, "agreement": 1.0, "nonfinite": 0, "max_rel": max_abs * 2}
    return OutputDrift(name=name, max_abs=max_abs, **{**given, **more})


def drift(label: str, relative: float | None, *layers: GradientDrift, **more: Any) -> Drift:
    given: dict[str, Any] = {
        "reference": "graph",
        "batch_size": 16,
        "outputs": (output(max_abs=(relative or 0.0) / 10),),
        "reference_loss": 2.25,
        "loss": 2.25 + (relative or 0.0) / 50,
        "gradient": gradient("", relative),
        "layers": layers,
    }
    return Drift(label=label, **{**given, **more})


def closed(arms: list[Arm], drifts: tuple[Drift, ...], **more: Any) -> ComparisonRecord:
    """A record whose ranks, break-even steps and sentences follow from its arms, the baseline first."""
    baseline = arms[0]
    spans = [span_of(interval(1, 0), False)] + [
        span_of(one.result.wall, one.result.early) if one.result is not None else None for one in arms[1:]
    ]
    assert baseline.timing is not None
    ranked = [
        Arm(**{**{name: getattr(one, name) for name in Arm.__struct_fields__}, "rank": place, "break_even": even})
        for one, place, even in zip(
            arms,
            rank(spans, 0.05),
            [
                None,
                *(
                    break_even(baseline.timing, one.timing, span)
                    for one, span in zip(arms[1:], spans[1:], strict=True)
                    if one.timing
                ),
            ],
            strict=True,
        )
    ]
    ranked.sort(key=lambda one: (one.rank is None, one.rank))
    return ComparisonRecord(
        run=run(**more),
        baseline=baseline.label,
        verdict=verdict(ranked, baseline.label),
        resolvable=max(
            (
                one.result.resolvable
                for one in arms[1:]
                if one.result and one.result.resolvable and not one.result.early
            ),
            default=None,
        ),
        arms=tuple(ranked),
        drifts=drifts,
        notes=tuple(drift_notes(drifts)),
    )


def four() -> ComparisonRecord:
    """XLA is slow for a known reason, bfloat16 is faster, float16 skipped steps, and one arm crashed."""
    return closed(
        [
            arm("graph", None, timing("graph", 142.6)),
            arm(
                "xla",
                result("xla", "SLOWER", 7.5, 0.3, early=True),
                timing("xla", 1069.0, 31.0),
                program="xla",
                causes=(CAUSE,),
            ),
            arm(
                "mixed_bfloat16",
                result("mixed_bfloat16", "FASTER", 0.82, 0.02),
                timing("mixed_bfloat16", 117.0, 6.0),
                precision="mixed_bfloat16",
            ),
            arm(
                "mixed_float16",
                result("mixed_float16", "INCONCLUSIVE", 1.03, 0.06),
                timing("mixed_float16", 146.0, 6.5),
                precision="mixed_float16",
            ),
            arm(
                "xla+float16",
                result("xla+float16", "CRASHED", reason="the process was ended by signal 11 while compiling"),
                timing("xla+float16", None),
                program="xla",
                precision="float16",
            ),
        ],
        (
            drift("graph", 0.0, gradient("m/dense", 0.0), gradient("m/logits", 0.0)),
            drift("xla", 4.1e-6, gradient("m/dense", 5.2e-6), gradient("m/logits", 3.1e-7)),
            drift(
                "mixed_bfloat16",
                0.024,
                gradient("m/dense", 0.031, underflow=12),
                gradient("m/logits", 0.0045),
                metrics=(
                    MetricDrift(
                        name="accuracy",
                        output="probabilities",
                        reference=0.975,
                        variant=0.973,
                        difference=-0.002,
                        low=-0.0068,
                        high=0.0028,
                        samples=1000,
                        method="Bonett-Price",
                    ),
                ),
                steps=5,
            ),
            drift(
                "mixed_float16",
                0.002,
                gradient("m/dense", 0.0021, underflow=120),
                gradient("m/logits", None, nonfinite=40),
                steps=5,
                skipped_steps=3,
                loss_scale=4096.0,
            ),
            Drift(label="xla+float16", reference="graph", batch_size=0, failure="the process was ended by signal 11"),
        ),
    )


def hostile() -> ComparisonRecord:
    """Two models with names that mean harm, the second with other weights."""
    first, second = HOSTILE["ansi"], HOSTILE["long"]
    labels = (f"{first} graph", f"{second} graph")
    return closed(
        [
            arm(labels[0], None, timing(labels[0], 5.0), model=first, variant="graph"),
            arm(labels[1], result(labels[1], "SAME", 1.01, 0.01), timing(labels[1], 5.05), model=second),
        ],
        (
            Drift(
                label=labels[1],
                reference=labels[0],
                weights="different",
                batch_size=16,
                outputs=(output(HOSTILE["markup"], 0.31, agreement=None),),
                layers=(gradient(HOSTILE["pipe"], 0.5, type=HOSTILE["formula"]),),
                random_ops=("RandomStandardNormal",),
                notes=(Note(message=HOSTILE["newline"]),),
            ),
            drift(labels[1], None, reference=labels[1]),
        ),
        data=HOSTILE["wide"],
        interrupted=True,
    )


COMPARISONS = {"compared": four, "compared-hostile": hostile}
NEVER = BreakEven(kind="never", extra_s=27.0)

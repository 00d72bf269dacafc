"""Records of prunings for tests: what was written, what collapsed, what is only asked, and names that mean harm."""

from __future__ import annotations

import msgspec
from records_for_tests import HOSTILE, flat

from tfopt.records.base import Note
from tfopt.records.comparison import Drift, MetricDrift, OutputDrift
from tfopt.records.duel import ArmTiming, DuelResult, Interval
from tfopt.records.pruning import (
    Epoch,
    LeftAlone,
    PrunedVariable,
    PruningRecord,
    PruningRun,
    SensitivityPoint,
    Sizes,
    Suggestion,
)

__all__ = ["PRUNINGS", "pruning"]

RUN = PruningRun(
    threshold=None,
    threshold_mode=None,
    sparsity=0.8,
    nm=None,
    criterion="fisher",
    scope="global",
    schedule="cubic",
    steps=2,
    finetune=3,
    lr=1e-4,
    recalibrate_bn=True,
    data="train.npz",
    eval_data="valid.npz",
    loss="sparse_categorical_crossentropy",
    batch_size=32,
    samples=256,
    dry_run=False,
    force=False,
    device="CPU",
    threads=2,
    seed=7,
    command="tfopt prune model.keras --sparsity 0.8",
    started_at="2026-11-21T14:00:00+00:00",
    seconds=93.5,
    tfopt="0.1.0",
    python="3.11.9",
    tensorflow="2.21.0",
    keras="3.15.1",
)


def weight(layer: str, shape: tuple[int, ...], removed: int, *, type: str = "Dense", dense: str = "") -> PrunedVariable:
    """A row: of a tenth of what is removed the numbers were zero before."""
    size = 1
    for length in shape:
        size *= length
    return PrunedVariable(
        path=f"{layer.rpartition('/')[2]}/kernel",
        layer=layer,
        type=type,
        shape=shape,
        size=size,
        zeros_before=removed // 10,
        removed=removed,
        zeros=removed,
        dense=dense,
    )


def _timing(label: str, ms: float) -> ArmTiming:
    return ArmTiming(
        label=label, wall_ms=ms, cpu_ms=2 * ms, prepare_s=0.5, compile_s=0.2, examples_per_step=32.0, blocks=24
    )


def pruning() -> PruningRecord:
    """Everything that a written pruning may have."""
    rows = (
        weight("net/conv", (3, 3, 16, 32), 2304, type="Conv2D"),
        weight("net/body/wide", (64, 128), 8100),
        weight("net/body/thin", (30, 10), 0, dense="4 does not divide its 30 inputs"),
        weight("net/head", (128, 10), 224),
    )
    accuracy = MetricDrift(
        name="accuracy",
        output="head",
        reference=0.9785,
        variant=0.9741,
        difference=-0.0044,
        low=-0.0091,
        high=0.0002,
        samples=1792,
        method="Bonett-Price",
    )
    loss = msgspec.structs.replace(
        accuracy, name="sparse_categorical_crossentropy", reference=0.0812, variant=0.0935, difference=0.0123
    )
    interval = Interval(ratio=1.01, low=0.98, high=1.04, processes=4, pairs=24)
    return PruningRecord(
        model=flat().model,
        run=RUN,
        output="model-pruned.keras",
        before=Sizes(params=14_500, nonzero=14_490, file_bytes=64_000, deflated_bytes=58_000),
        after=Sizes(params=14_500, nonzero=3_862, file_bytes=64_100, deflated_bytes=19_800),
        variables=rows,
        left_alone=(
            LeftAlone(reason="biases", variables=3, size=170, zeros=10),
            LeftAlone(reason="depthwise kernels", variables=1, size=144, zeros=0),
        ),
        path_total=3.4,
        epochs=tuple(
            Epoch(number=at, sparsity=share, loss=0.3 / at, metrics={"accuracy": 0.9 + at / 100, "top 2": None})
            for at, share in enumerate((0.7, 0.8, 0.8), 1)
        ),
        drift=Drift(
            label="after",
            reference="before",
            weights="different",
            batch_size=32,
            outputs=(
                OutputDrift(
                    name="head", shape=(32, 10), max_abs=0.2, max_rel=0.2, cosine=0.987, agreement=0.97, nonfinite=0
                ),
            ),
            metrics=(accuracy, loss),
        ),
        latency=DuelResult(
            label="after",
            baseline="before",
            verdict="SAME",
            clock="wall",
            tolerance=0.05,
            wall=interval,
            cpu=interval,
            resolvable=0.03,
            ended="decided",
        ),
        timings=(_timing("before", 3.2), _timing("after", 3.23)),
        notes=(Note(message="the model is not compiled; assumed: the optimizer Adam", hint="choose with --loss"),),
    )


def collapsed() -> PruningRecord:
    """A threshold that takes everything from one weight and nearly everything from another."""
    rows = (weight("net/conv", (3, 3, 16, 32), 4608, type="Conv2D"), weight("net/head", (128, 10), 1279))
    return msgspec.structs.replace(
        pruning(),
        run=msgspec.structs.replace(
            RUN,
            threshold=0.5,
            threshold_mode="absolute",
            sparsity=None,
            criterion="magnitude",
            scope=None,
            schedule="one-shot",
            steps=1,
            finetune=0,
            lr=None,
            recalibrate_bn=False,
            data="synthetic",
            eval_data=None,
            samples=0,
            seed=0,
        ),
        output=None,
        after=None,
        variables=rows,
        collapsed=("net/conv has no weight left", "no path leads from the inputs to the outputs"),
        path_total=None,
        suggestions=(Suggestion(sparsity=0.5, threshold=0.0412), Suggestion(sparsity=0.8, threshold=0.0897)),
        epochs=(),
        drift=None,
        latency=None,
        timings=(),
        notes=(),
    )


def sensitivity() -> PruningRecord:
    """Nothing removed; one value is not finite."""
    shares = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95)
    curves = {"conv/kernel": (0.98, 0.98, 0.97, 0.9, 0.4, None), "wide/kernel": (0.98, 0.98, 0.98, 0.98, 0.97, 0.95)}
    return msgspec.structs.replace(
        collapsed(),
        run=msgspec.structs.replace(
            RUN, sparsity=None, scope=None, schedule="one-shot", steps=1, finetune=0, lr=None, recalibrate_bn=False
        ),
        variables=(weight("net/conv", (3, 3, 16, 32), 0, type="Conv2D"), weight("net/wide", (64, 128), 0)),
        collapsed=(),
        suggestions=(),
        sensitivity=tuple(
            SensitivityPoint(path=path, sparsity=share, value=value)
            for path, values in curves.items()
            for share, value in zip(shares, values, strict=True)
        ),
        sensitivity_metric="accuracy on 256 samples",
    )


def hostile() -> PruningRecord:
    """Names that try to act."""
    names = tuple(HOSTILE.values())
    plain = pruning()
    return msgspec.structs.replace(
        plain,
        run=msgspec.structs.replace(RUN, data=HOSTILE["ansi"], eval_data=HOSTILE["markup"], loss=HOSTILE["pipe"]),
        output=HOSTILE["newline"],
        variables=tuple(
            msgspec.structs.replace(weight(f"=HYPERLINK(1)/{name}", (30, 30), 10 * at), type=name, dense=name)
            for at, name in enumerate(names)
        ),
        left_alone=tuple(LeftAlone(reason=name, variables=1, size=3, zeros=0) for name in names),
        collapsed=names,
        epochs=(Epoch(number=1, sparsity=0.8, loss=None, metrics=dict.fromkeys(names, 0.5)),),
        drift=msgspec.structs.replace(
            plain.drift,
            metrics=tuple(
                msgspec.structs.replace(plain.drift.metrics[0], name=name, output=name) for name in names[:2]
            ),
        )
        if plain.drift
        else None,
        sensitivity=tuple(SensitivityPoint(path=name, sparsity=0.5, value=0.9) for name in names),
        sensitivity_metric=HOSTILE["bidi"],
        notes=tuple(Note(message=name, hint=name) for name in names),
    )


PRUNINGS = {
    "pruning": pruning,
    "pruning-collapsed": collapsed,
    "pruning-sensitivity": sensitivity,
    "pruning-hostile": hostile,
}

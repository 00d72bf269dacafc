"""Influence records for tests: a residual network without data and with it, one that is not certified, one whose names
mean harm."""

from __future__ import annotations

from functools import partial

import msgspec
from records_for_tests import HOSTILE, flat
from records_for_tests import hostile as hostile_run

from tfopt.records.ablation import AblationReport, AblationRow, AblationVerdict
from tfopt.records.base import Note
from tfopt.records.health import (
    ActivationHealth,
    Gain,
    HealthReport,
    HealthWarning,
    LayerHealth,
    VariableHealth,
)
from tfopt.records.influence import (
    Certificate,
    EdgeShare,
    GroupShare,
    InfluenceInfo,
    InfluenceRecord,
    LayerContribution,
    LayerRule,
    PathReport,
    RelevanceReport,
    StrongPath,
    StrongPaths,
    StrongWeight,
    UnitShares,
    VariableShare,
)
from tfopt.records.influence_summary import InfluenceSummary
from tfopt.records.profile import InputInfo, ProfileRecord

__all__ = ["INFLUENCES", "PROFILES", "edge", "full", "hostile", "plain", "rule", "spread", "uncertain"]

ROOT = "net/"


def rule(path: str, type: str, status: str = "exact", *reasons: str) -> LayerRule:
    """What a layer was taken for."""
    return LayerRule(path=path, type=type, calls=1, status=status, reasons=reasons)  # type: ignore[arg-type]


def edge(source: str, target: str, share: float, merge: bool = False, call: int = 1) -> EdgeShare:
    """One way; several sources are separated by `|`."""
    return EdgeShare(sources=tuple(source.split("|")), target=target, call=call, share=share, merge=merge)


def spread(path: str, units: int, carrying: int, share: float = 1.0, dead: int = 0) -> UnitShares:
    """`carrying` equal units carry 80 %."""
    return UnitShares(
        path=path,
        units=units,
        share=share,
        effective=1.25 * carrying,
        carrying=carrying,
        carried=0.8,
        top=tuple((7 * at + 1, 0.8 / carrying) for at in range(min(3, carrying))),
        dead=dead,
    )


def _certificates(at_fault: str | None) -> tuple[Certificate, ...]:
    bad = Certificate(name="non-negativity", value=0.39, limit=1e-12, met=False, layer=at_fault)
    return (
        Certificate(name="euler", value=2.2e-16, limit=1e-8, met=True),
        Certificate(name="additivity", value=9e-15, limit=1e-8, met=True),
        bad if at_fault is not None else Certificate(name="non-negativity", value=0.0, limit=1e-12, met=True),
    )


def _blocks(number: int) -> tuple[list[LayerRule], list[EdgeShare]]:
    """A convolution, `number` residual blocks, each less even than the one before, and a head."""
    rules, edges = [rule(f"{ROOT}stem", "Conv2D")], [edge("(input)", f"{ROOT}stem", 1.0)]
    before = f"{ROOT}stem"
    for at in range(1, number + 1):
        names = [f"{ROOT}block_{at}_{part}" for part in ("conv", "relu", "project", "add")]
        skip = 0.5 - 0.07 * at
        rules += [rule(names[0], "Conv2D"), rule(names[1], "ReLU", "linearised", "clipped relu")]
        rules += [rule(names[2], "Conv2D"), rule(names[3], "Add")]
        edges += [edge(before, names[0], 1 - skip), edge(names[0], names[1], 1 - skip)]
        edges += [edge(names[1], names[2], 1 - skip), edge(before, names[3], skip, merge=True)]
        edges += [edge(names[2], names[3], 1 - skip, merge=True)]
        before = names[3]
    rules.append(rule(f"{ROOT}head", "Dense"))
    edges.append(edge(before, f"{ROOT}head", 1.0))
    return rules, edges


def _paths(at_fault: str | None = None) -> PathReport:
    rules, edges = _blocks(5)
    rules.append(rule(f"{ROOT}se", "Multiply", "approximated", "gate frozen"))
    rules.append(rule(f"{ROOT}odd", "Odd", "as is"))
    return PathReport(
        log10_total=24.05,
        consistent=at_fault is None,
        certificates=_certificates(at_fault),
        layers=tuple(rules),
        variables=(
            VariableShare(
                path="stem/kernel", layer=f"{ROOT}stem", shape=(3, 3, 3, 16), share=1, calls=1, status="weight"
            ),
        ),
        units=(
            spread(f"{ROOT}stem", 16, 12),
            spread(f"{ROOT}block_1_conv", 1280, 41, dead=3),
            spread(f"{ROOT}block_1_project", 16, 10, share=0.57),
            *(spread(f"{ROOT}block_{at}_conv", 96, 60 + at) for at in (2, 3, 4, 5)),
            spread(f"{ROOT}block_5_project", 96, 65),
        ),
        edges=tuple(edges),
        strongest=tuple(
            StrongWeight(variable="stem/kernel", index=(0, at, 2, 5), share=0.03 / at) for at in range(1, 5)
        ),
        groups=(GroupShare(name="head", share=1.0, variables=1, elements=160),),
    )


def _record(**parts: object) -> InfluenceRecord:
    return InfluenceRecord(
        model=flat().model,
        run=InfluenceInfo(
            mode="both" if "relevance" in parts else "data-free",
            batch_size=32 if "relevance" in parts else 0,
            samples=256 if "relevance" in parts else 0,
            inputs=(InputInfo(name="image", shape=(256, 32, 32, 3), dtype="float32", values="from x.npz"),),
            data="x.npz" if "relevance" in parts else "synthetic",
            seed=0,
            threads=2,
            command="tfopt influence model.keras" + (" --data x.npz" if "relevance" in parts else ""),
            started_at="2026-11-21T14:00:00+00:00",
            tfopt="0.1.0",
            python="3.11.9",
            tensorflow="2.21.0",
            keras="3.15.1",
        ),
        **parts,  # type: ignore[arg-type]
    )


def _strongest() -> StrongPaths:
    ends = (
        (("(input)", 1), (f"{ROOT}stem", 5)),
        ((f"{ROOT}block_1_project", 5), (f"{ROOT}block_5_add", 5), (f"{ROOT}head", 3)),
    )
    paths = tuple(
        StrongPath(
            steps=(*ends[0], *((f"{ROOT}block_1_{part}", at) for part in ("conv", "relu")), *ends[1]),
            log10_weight=1.5 - 0.1 * at,
        )
        for at in range(4)
    )  # fmt: skip
    return StrongPaths(level="unit", paths=paths)


def plain() -> InfluenceRecord:
    """Without data."""
    return _record(paths=_paths(), strongest=_strongest())


def _relevance(root: str = ROOT) -> RelevanceReport:
    rules, edges = _blocks(5)
    return RelevanceReport(
        target="logit of the predicted class",
        samples=256,
        result_mean=4.2,
        inputs=0.9,
        biases=0.1,
        unattributed=0.0,
        unattributed_share=1e-12,
        cancellation=3.4,
        consistent=True,
        certificates=_certificates(None)[:1],
        rules=tuple(rules),
        layers=tuple(
            LayerContribution(path=row.path, type=row.type, call=1, share=1.0, magnitude=2.0, bias=bias)
            for row, bias in zip(rules[:7], (0.2, -0.15, 0.03, 0.0, 0.01, 0.008, 0.002), strict=True)
        ),
        units=(spread(f"{ROOT}block_1_conv", 1280, 12), spread(f"{ROOT}stem", 16, 3)),
        edges=tuple(msgspec.structs.replace(one, share=1.5 - 2 * one.share) for one in edges),
    )


def _health() -> HealthReport:
    return HealthReport(
        samples=256,
        loss=2.3,
        forward_gain=0.41,
        backward_gain=1.3,
        forward=Gain(mean=0.41, median=0.45, steps=6, expected=1.0),
        backward=Gain(mean=1.3, median=1.2, steps=6),
        loss_function="categorical_crossentropy",
        layers=(
            LayerHealth(
                path=f"{ROOT}stem", type="Conv2D", input_rms=1.0, output_rms=0.4, gradient_rms=0.1, forward_gain=0.4,
                backward_gain=1.2,
            ),
        ),
        activations=(
            ActivationHealth(
                path=f"{ROOT}block_1_relu", function="relu6", zero=0.6, dead=0.2, saturated=0.0, gradient_flow=0.6
            ),
        ),
        variables=(VariableHealth(path="stem/kernel", norm=2.0, gradient_norm=0.02, ratio=0.01),),
        warnings=(
            HealthWarning(
                id="dead-units", severity="warning", message="20 % of the units of block_1_relu are dead",
                evidence="zero on all 256 samples", hint="lower the learning rate, or use leaky_relu",
                layers=(f"{ROOT}block_1_relu",),
            ),
            HealthWarning(id="vanishing", severity="problem", message="the signal fades", evidence="gain 0.41"),
        ),
    )  # fmt: skip


def _ablation() -> AblationReport:
    return AblationReport(
        metric="categorical_crossentropy",
        samples=256,
        intact=0.4,
        intact_accuracy=0.93,
        rows=(
            AblationRow(chosen="weakest", score="path", units=10, metric=0.41, change=0.01, accuracy=0.93),
            AblationRow(chosen="strongest", score="path", units=10, metric=2.4, change=2.0, accuracy=0.53),
            AblationRow(
                chosen="random", score="random", units=10, metric=0.9, change=0.5, deviation=0.2, draws=5,
                accuracy=0.81, accuracy_deviation=0.06,
            ),
        ),
        verdicts=(AblationVerdict(score="path", ranking="better", sentence="The weakest 10 cost little."),),
    )  # fmt: skip


def full() -> InfluenceRecord:
    """Everything that can be asked for."""
    note = Note(message="the model is not compiled; assumed: the loss mean_squared_error, since its output is linear")
    return _record(
        paths=_paths(),
        relevance=_relevance(),
        strongest=_strongest(),
        health=_health(),
        ablation=_ablation(),
        notes=(note,),
    )


def uncertain() -> InfluenceRecord:
    """Not certified, without paths, with terms that cancel."""
    relevance = msgspec.structs.replace(
        _relevance(), cancellation=340.0, consistent=False, certificates=_certificates("x")
    )
    return _record(
        paths=_paths(f"{ROOT}odd"),
        relevance=relevance,
        strongest=StrongPaths(level="unit", paths=(), unavailable="odd (Odd) has no rule for single paths"),
    )


def hostile() -> InfluenceRecord:
    """Names that try to act."""
    names = list(HOSTILE.values())
    rules = tuple(rule(name, f"Layer{name}", "as is") for name in names)
    edges = [edge("(input)", names[0], 1.0)]
    for at in range(1, len(names)):
        edges.append(edge(names[at - 1], names[at], 0.6, merge=True))
        edges.append(edge(names[at - 2] if at > 1 else "(input)", names[at], 0.4, merge=True))
    report = msgspec.structs.replace(
        _paths(names[0]),
        layers=rules,
        edges=tuple(edges),
        units=tuple(spread(name, 9, 3 + at) for at, name in enumerate(names)),
        strongest=tuple(StrongWeight(variable=f"{name}/w", index=(1,), share=0.1) for name in names),
        groups=tuple(GroupShare(name=name, share=0.1, variables=1, elements=2) for name in names),
    )
    steps = tuple((name, at) for at, name in enumerate(names))
    warning = HealthWarning(
        id="x", severity="note", message=f"look at {names[0]}", evidence=names[1], hint=names[4], layers=tuple(names)
    )
    record = _record(
        paths=report,
        relevance=msgspec.structs.replace(
            _relevance(),
            target=names[0],
            rules=rules,
            layers=tuple(
                LayerContribution(path=name, type="x", call=2, share=1.0, magnitude=1.0, bias=0.1) for name in names
            ),
        ),
        strongest=StrongPaths(level="layer", paths=(StrongPath(steps=steps, flow=0.3),)),
        health=msgspec.structs.replace(_health(), warnings=(warning,)),
        ablation=msgspec.structs.replace(_ablation(), metric=names[0], verdict=names[2]),
    )
    run = msgspec.structs.replace(record.run, data=names[0], command=f"tfopt influence {names[0]}")
    return msgspec.structs.replace(record, model=hostile_run().model, run=run, notes=hostile_run().notes)


INFLUENCES = {
    "influence": plain,
    "influence-full": full,
    "influence-uncertain": uncertain,
    "influence-hostile": hostile,
}


def influenced(made: InfluenceRecord) -> ProfileRecord:
    """A profile that has the short of an influence record."""
    health = made.health
    summary = InfluenceSummary(
        paths=made.paths,
        samples=None if health is None else health.samples,
        warnings=() if health is None else health.warnings,
    )
    return msgspec.structs.replace(flat(), influence=summary)


PROFILES = {
    name.replace("influence", "influenced", 1): partial(influenced, make()) for name, make in INFLUENCES.items()
}

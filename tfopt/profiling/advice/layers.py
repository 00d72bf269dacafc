"""Layers that take longer than what they do should: dear activations, and layers far off their peers or the roof."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from statistics import median

from tfopt.profiling.advice.commands import profile_with
from tfopt.profiling.advice.shares import NOTABLE, is_product, severity_of, within
from tfopt.profiling.advice.wording import listed
from tfopt.records.advice import Advice
from tfopt.records.profile import LayerRow, OpRow, ProfileRecord
from tfopt.report.units import percent

__all__ = ["dear_activation", "far_off_the_roof"]

_OFF = 4  # times further from the roof than its peers
_LOW = 0.1  # of the roof
_PEERS = 3
_WORTH_A_LOOK = 0.1  # of the step

# What activations are made of, forward and backward (`keras.activations`).
_ELEMENTWISE = frozenset(
    (
        *("Mul", "Add", "AddV2", "Sub", "RealDiv", "Neg", "Square", "Pow", "Maximum", "Minimum", "Select", "SelectV2"),
        *("Erf", "Erfc", "Exp", "Expm1", "Log1p", "Reciprocal", "Tanh", "Sigmoid", "Softplus", "Softsign"),
        *("Elu", "Selu", "Relu", "Relu6", "LeakyRelu"),
        *("TanhGrad", "SigmoidGrad", "SoftplusGrad", "SoftsignGrad", "EluGrad", "SeluGrad", "ReluGrad", "Relu6Grad"),
        "LeakyReluGrad",
    )
)
_EXACT_GELU = ("Erf", "Erfc")
_CHEAPER = (0.4, 1.3)  # of an activation's time: what a ReLU saves, which is merged with the product


def dear_activation(record: ProfileRecord) -> Iterator[Advice]:
    """Product layers whose activation takes longer than the product, with what they add to it."""
    if record.facts is None or record.run.xla or record.run.eager:  # under XLA it is fused with the product
        return
    names = {layer: fact.detail for fact in record.facts.all("activation") for layer in fact.layers}
    found: dict[str, float] = {}
    exact = False
    for path, ops in _ops_of(record, names).items():
        products = sum(share for op, share in ops if is_product(op))
        own = [(op, share) for op, share in ops if op.type.removeprefix("_Mkl") in _ELEMENTWISE]
        share = sum(share for _, share in own)
        if share > products > 0 and share >= NOTABLE:
            found[path] = share
            exact = exact or any(op.type in _EXACT_GELU for op, _ in own)
    if found:
        share = sum(found.values())
        layers = tuple(sorted(found, key=lambda path: -found[path]))
        called = ", ".join(dict.fromkeys(names[path] for path in layers))
        yield Advice(
            id="dear-activation",
            severity=severity_of(share),
            message=f"{percent(share)} of the step: the activation ({called}) of {listed(layers)} takes longer than "
            "the product",
            action="try relu, or gelu with approximate=True" if exact else "try relu",
            evidence={"share": share, "layers": len(found)},
            gain_low=share * _CHEAPER[0],
            gain_high=min(1.0, share * _CHEAPER[1]),
            layers=layers,
        )


def _ops_of(record: ProfileRecord, layers: Collection[str]) -> Mapping[str, Sequence[tuple[OpRow, float]]]:
    """The forward and backward ops of these layers with the share of each that is the layer's."""
    ops: dict[str, list[tuple[OpRow, float]]] = defaultdict(list)
    for op in record.ops:
        for part in op.placed:
            if part.layer in layers and part.phase in ("forward", "backward"):
                ops[part.layer].append((op, op.share * part.fraction))
    return ops


def far_off_the_roof(record: ProfileRecord, told: Collection[str] = ()) -> Iterator[Advice]:
    """The layer that takes longest beyond what its arithmetic and traffic need, where others come nearer to it.

    `told` are layers of which, and of what is inside them, something else is known.
    """
    reaching = {row: row.roof_share for row in record.layers if row.roof_share}
    off = [
        (row, reached, peers, who)
        for row, reached in reaching.items()
        if row.share >= _WORTH_A_LOOK and reached < _LOW and not within(row.path, told)
        for peers, who in _peers(row, reaching)
        if peers > _OFF * reached
    ]
    if off:
        row, reached, peers, who = max(off, key=lambda found: found[0].share)
        yield Advice(
            id="off-the-roof",
            severity=severity_of(row.share / 2),
            message=f"{percent(row.share)} of the step: {listed([row.path])} ({row.type}) takes {1 / reached:,.0f} "
            f"times what its arithmetic and memory traffic need, {who} {1 / peers:,.1f} times",
            action="look at its ops",
            evidence={"share": row.share, "roof_share": reached, "peers_roof_share": peers},
            gain_low=0.0,
            gain_high=row.share * (1 - reached / peers),
            command=profile_with(record, "--by", "op"),
            layers=(row.path,),
        )


def _peers(row: LayerRow, reaching: Mapping[LayerRow, float]) -> Iterator[tuple[float, str]]:
    """How near to their roofs layers of the same type come, or all others where these are few, and how to call them;
    nothing where all are few."""
    others = [other for other in reaching if other is not row]
    same = [other for other in others if other.type == row.type]
    compared, who = (same, f"other {row.type} layers") if len(same) >= _PEERS else (others, "other layers")
    if len(compared) >= _PEERS:
        yield median(reaching[other] for other in compared), who

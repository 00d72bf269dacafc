"""Layers that take longer than what they do should: dear activations, and layers far off their peers or the roof."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from statistics import median

from tfopt.profiling.advice.commands import profile_with
from tfopt.profiling.advice.shares import NOTABLE, severity_of
from tfopt.profiling.advice.wording import listed, percent
from tfopt.records.advice import Advice
from tfopt.records.profile import LayerRow, ProfileRecord

__all__ = ["dear_activation", "far_off_the_roof"]

_OFF = 4  # times further from the roof than its peers
_LOW = 0.1  # of the roof
_PEERS = 3
_WORTH_A_LOOK = 0.1  # of the step

_PRODUCT_LAYERS = (
    *("Dense", "EinsumDense", "Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
    *("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"),
)
_PRODUCTS = ("MatMul", "Conv", "Einsum")
# What activations are made of, forward and backward (`keras.activations`).
_ELEMENTWISE = frozenset(
    (
        *("Mul", "Add", "AddV2", "Sub", "RealDiv", "Neg", "Square", "Pow", "Maximum", "Minimum", "Select", "SelectV2"),
        *("Erf", "Erfc", "Exp", "Expm1", "Log1p", "Reciprocal", "Tanh", "Sigmoid", "Softplus", "Softsign", "Softmax"),
        *("Elu", "Selu", "Relu", "Relu6", "LeakyRelu"),
        *("TanhGrad", "SigmoidGrad", "SoftplusGrad", "SoftsignGrad", "EluGrad", "SeluGrad", "ReluGrad", "Relu6Grad"),
        "LeakyReluGrad",
    )
)
_CHEAPER = (0.4, 1.3)  # of an activation's time: what a ReLU saves, which is merged with the product


def dear_activation(record: ProfileRecord) -> Iterator[Advice]:
    """Product layers whose activation takes longer than the product."""
    if record.run.xla:  # there it is fused with the product
        return
    found = {}
    for path, (products, others) in _split(record).items():
        if others > products and others >= NOTABLE:
            found[path] = others
    if found:
        share = sum(found.values())
        layers = tuple(sorted(found, key=lambda path: -found[path]))
        yield Advice(
            id="dear-activation",
            severity=severity_of(share),
            message=f"{percent(share)} of the step: the activation of {listed(layers)} takes longer than the product",
            action="try relu, or gelu with approximate=True",
            evidence={"share": share, "layers": len(found)},
            gain_low=share * _CHEAPER[0],
            gain_high=min(1.0, share * _CHEAPER[1]),
            layers=layers,
        )


def _split(record: ProfileRecord) -> Mapping[str, tuple[float, float]]:
    """Per layer with a product: the shares of its products and of its activation, forward and backward."""
    types = {row.path: row.type for row in record.layers}
    shares: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for op in record.ops:
        for part in op.placed:
            if types.get(part.layer) in _PRODUCT_LAYERS and part.phase in ("forward", "backward"):
                if any(word in op.type for word in _PRODUCTS):
                    shares[part.layer][0] += op.share * part.fraction
                elif op.type.removeprefix("_Mkl") in _ELEMENTWISE:
                    shares[part.layer][1] += op.share * part.fraction
    return {path: (products, others) for path, (products, others) in shares.items() if products > 0}


def far_off_the_roof(record: ProfileRecord) -> Iterator[Advice]:
    """The layer that takes longest beyond what its arithmetic and traffic need, where others come nearer to it."""
    reaching = {row: row.roof_share for row in record.layers if row.roof_share}
    off = [
        (row, reached, peers)
        for row, reached in reaching.items()
        if row.share >= _WORTH_A_LOOK and reached < _LOW and (peers := _peers(row, reaching)) > _OFF * reached
    ]
    if off:
        row, reached, peers = max(off, key=lambda found: found[0].share)
        yield Advice(
            id="off-the-roof",
            severity=severity_of(row.share / 2),
            message=f"{percent(row.share)} of the step: {listed([row.path])} ({row.type}) takes {1 / reached:,.0f} "
            f"times what its arithmetic and memory traffic need, its peers {1 / peers:,.1f} times",
            action="look at its ops",
            evidence={"share": row.share, "roof_share": reached, "peers_roof_share": peers},
            gain_low=0.0,
            gain_high=row.share * (1 - reached / peers),
            command=profile_with(record, "--by", "op"),
            layers=(row.path,),
        )


def _peers(row: LayerRow, reaching: Mapping[LayerRow, float]) -> float:
    """How near to their roofs layers of the same type come, or all others where these are few; 0 where all are."""
    others = [other for other in reaching if other is not row]
    same = [other for other in others if other.type == row.type]
    compared = same if len(same) >= _PEERS else others
    return median(reaching[other] for other in compared) if len(compared) >= _PEERS else 0.0

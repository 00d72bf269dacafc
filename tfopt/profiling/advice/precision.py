"""Half precision without its hardware, with it, with odd dimensions, with many casts; and float64."""

from __future__ import annotations

from collections.abc import Iterator

from tfopt.profiling.advice.commands import compare_precisions
from tfopt.profiling.advice.shares import NOTABLE, is_product, on_cpu, op_share, ops_named, severity_of
from tfopt.profiling.advice.wording import listed
from tfopt.records.advice import Advice, Fact
from tfopt.records.profile import OpRow, ProfileRecord
from tfopt.report.units import percent
from tfopt.wording import counted

__all__ = ["bfloat16_possible", "float64", "half_unsupported", "many_casts", "odd_dimensions"]

_MOSTLY = 0.5  # of the step
_ODD_SHARE = 0.1  # of all multiplications
_FASTER = 0.65  # of a product's time in float32: what bfloat16 saves at best, measured


def half_unsupported(record: ProfileRecord) -> Iterator[Advice]:
    """Products in a half precision that this machine has no instructions for."""
    if record.facts is None or not record.facts.half_known:
        return
    for fact in record.facts.all("half_products"):
        share = op_share(op for op in record.ops if _computes(op, fact)) if on_cpu(record) else None
        if fact.detail not in record.facts.half_precision and (share is None or share >= NOTABLE):
            other = f"mixed_{record.facts.half_precision[0]}" if record.facts.half_precision else "float32"
            products = counted(fact.count, "matrix product or convolution", "matrix products and convolutions")
            yield Advice(
                id="half-unsupported",
                severity="medium" if share is None else severity_of(share),
                message=f"{'' if share is None else f'{percent(share)} of the step: '}{products} in {fact.detail}, for "
                f"which this {_place(record)} has no instructions",
                action=f"use {other}",
                evidence={"ops": fact.count} | ({} if share is None else {"share": share}),
                command=compare_precisions(record, "float32", record.run.precision, other),
                layers=fact.layers,
            )


def _computes(op: OpRow, fact: Fact) -> bool:
    """Whether an op that ran is one of the fact's products, perhaps with what follows it fused to it and named so."""
    return is_product(op) and (op.name in fact.ops or op.layer in fact.layers)


def bfloat16_possible(record: ProfileRecord) -> Iterator[Advice]:
    """A float32 step of products on a machine that multiplies bfloat16."""
    if record.facts is None or record.run.precision != "float32" or "bfloat16" not in record.facts.half_precision:
        return
    if record.model.format == "savedmodel" or record.run.xla or record.facts.get("recurrent_loop"):
        return  # a SavedModel has one precision; XLA and loops are no faster, measured
    share = op_share(op for op in record.ops if is_product(op) and not op.instruction)  # grouped ones are XLA's
    if share >= _MOSTLY and set(record.precision.compute_ops) <= {"float32"}:
        yield Advice(
            id="bfloat16-possible",
            severity="low",
            message=f"this {_place(record)} multiplies bfloat16, and {percent(share)} of the step are float32 products",
            action="try --precision mixed_bfloat16, and look at the drift",
            evidence={"product_share": share},
            gain_low=0.0,
            gain_high=share * _FASTER,
            command=compare_precisions(record, "float32", "mixed_bfloat16"),
        )


def odd_dimensions(record: ProfileRecord) -> Iterator[Advice]:
    """Half-precision products on a GPU whose features are no multiples of 8. A CPU does not mind (docs/advice.md)."""
    fact = record.facts.get("odd_dimensions") if record.facts else None
    if record.facts is None or fact is None or not record.run.device.startswith("GPU"):
        return
    share = fact.numbers["flops_share"]
    if share >= _ODD_SHARE and record.facts.get("half_products"):
        yield Advice(
            id="odd-dimensions",
            severity="medium",
            message=f"{percent(share)} of the forward multiplications have features that are no multiple of 8 "
            f"({fact.detail}), which tensor cores like",
            action="round units, filters and vocabularies up to multiples of 8",
            evidence={"flops_share": share, "ops": fact.count},
            layers=fact.layers,
        )


def many_casts(record: ProfileRecord) -> Iterator[Advice]:
    """Casts to and from half precision that take a notable part of the step."""
    fact = record.facts.get("half_casts") if record.facts else None
    if fact is None:
        return
    ran = [op for op in ops_named(record, fact.ops) if op.type in ("Cast", "convert")]
    share = op_share(ran)
    if share >= NOTABLE:
        moved = fact.numbers["bytes"]
        yield Advice(
            id="many-casts",
            severity=severity_of(share),
            message=f"{percent(share)} of the step: {counted(fact.count, 'cast')} to and from half precision, which "
            f"move {moved / 1e6:,.1f} MB",
            action="keep neighbouring layers in one precision",
            evidence={"share": share, "casts": fact.count, "bytes": moved},
            command=compare_precisions(record, "float32", record.run.precision),
            layers=fact.layers,
        )


def float64(record: ProfileRecord) -> Iterator[Advice]:
    """Ops that compute in float64, most often because an input is."""
    fact = record.facts.get("float64") if record.facts else None
    if fact is None:
        return
    share = op_share(ops_named(record, fact.ops))
    if share >= NOTABLE:
        inputs = [info.name for info in record.run.inputs if info.dtype == "float64"]
        because = f"; {', '.join(inputs)} is float64" if inputs else ""
        yield Advice(
            id="float64",
            severity=severity_of(share / 2),
            message=f"{percent(share)} of the step: {counted(fact.count, 'op')} in float64 "
            f"({listed(fact.layers) or 'outside all layers'}){because}",
            action="cast inputs to float32 and leave the layers' dtype to the policy",
            evidence={"share": share, "ops": fact.count, "bytes": fact.numbers["bytes"]},
            gain_low=share * 0.4,
            gain_high=share * 0.85,
            layers=fact.layers,
        )


def _place(record: ProfileRecord) -> str:
    return record.run.device.partition(":")[0]

"""How far one array of numbers is from another: sums in float64, piece by piece, so that large ones fit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["TINY", "Distance", "agreement", "distance"]

_PIECE = 2**20
# The smallest normal number: what is below it has lost digits, or is flushed to zero.
TINY = {"float16": 2.0**-14, "bfloat16": 2.0**-126, "float32": 2.0**-126}


@dataclass
class Distance:
    """Two sets of numbers, over the pairs that are finite in both: sums of squares and products, and counts.

    `underflow` counts numbers that are below `TINY` in the variant and not in the reference.
    """

    values: int = 0
    nonfinite: int = 0
    underflow: int = 0
    max_abs: float = 0.0
    largest: float = 0.0
    reference: float = 0.0
    variant: float = 0.0
    product: float = 0.0
    difference: float = 0.0
    compared: int = 0

    def add(self, other: Distance) -> None:
        """Take another set of numbers in."""
        for name, value in vars(other).items():
            mine = getattr(self, name)
            setattr(self, name, max(mine, value) if name in ("max_abs", "largest") else mine + value)

    @property
    def cosine(self) -> float | None:
        """1 where all numbers are equal; None where one side is zero, or there is nothing to compare."""
        if not self.compared:
            return None
        if not self.difference:
            return 1.0
        length = math.sqrt(self.reference) * math.sqrt(self.variant)
        return max(-1.0, min(1.0, self.product / length)) if length else None

    @property
    def relative_l2(self) -> float | None:
        """|variant − reference| / |reference|; None for a reference of zeros."""
        return _over(math.sqrt(self.difference), math.sqrt(self.reference), self.compared)

    @property
    def max_rel(self) -> float | None:
        """The largest difference over the reference's largest absolute value."""
        return _over(self.max_abs, self.largest, self.compared)


def _over(part: float, whole: float, compared: int) -> float | None:
    if not compared or (part and not whole):
        return None
    return part / whole if part else 0.0


def distance(
    pairs: Iterable[tuple[Any, Any]], *, reference_scale: float = 1.0, scale: float = 1.0, tiny: float = TINY["float32"]
) -> Distance:
    """The distance over all `pairs` of arrays (reference, variant) of the same shape.

    Each side is divided by its scale, that of the loss; `tiny` is compared with the variant as it was computed.
    """
    total = Distance()
    for reference, variant in pairs:
        for one, other in zip(_pieces(reference), _pieces(variant), strict=True):
            total.add(_piece(one / reference_scale, other / scale, tiny / scale))
    return total


def _pieces(array: Any) -> Iterator[Any]:
    flat = np.asarray(array).reshape(-1)
    for start in range(0, flat.size, _PIECE):
        yield flat[start : start + _PIECE].astype(np.float64)


def _piece(reference: Any, variant: Any, tiny: float) -> Distance:
    finite = np.isfinite(reference)
    both = finite & np.isfinite(variant)
    vanished = both & (np.abs(variant) < tiny) & (np.abs(reference) >= TINY["float32"])
    r, v = reference[both], variant[both]
    d = v - r
    return Distance(
        values=reference.size,
        nonfinite=int(np.count_nonzero(finite & ~both)),
        underflow=int(np.count_nonzero(vanished)),
        max_abs=float(np.abs(d).max(initial=0.0)),
        largest=float(np.abs(r).max(initial=0.0)),
        reference=float(r @ r),
        variant=float(v @ v),
        product=float(r @ v),
        difference=float(d @ d),
        compared=int(r.size),
    )


def agreement(reference: Any, variant: Any, threshold: float | None) -> float | None:
    """The fraction of the reference's decisions that the variant shares: argmax over the last axis, or the side of
    `threshold`. Values that are not finite decide nothing; None where the reference decides nothing."""

    def decided(values: Any) -> tuple[Any, Any]:
        sound = np.isfinite(values)
        return (values.argmax(-1), sound.all(-1)) if threshold is None else (values > threshold, sound)

    (one, sound), (other, shared) = decided(np.asarray(reference)), decided(np.asarray(variant))
    same = (one == other) & shared
    return float(np.mean(same[sound])) if sound.any() else None

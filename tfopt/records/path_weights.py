"""Path weights: what all paths through a model weigh, without data. Part of what `tfopt influence` records.

Shares are fractions of 1. A layer's `path` is its place in the layer tree; a layer that is called several times has one
node per call, with `call` counting from 1.
"""

from __future__ import annotations

from typing import Literal

from tfopt.records.base import Record

__all__ = [
    "Certificate",
    "EdgeShare",
    "GroupShare",
    "LayerRule",
    "PathReport",
    "Status",
    "StrongWeight",
    "UnitShares",
    "VariableShare",
]

Status = Literal["exact", "linearised", "approximated", "as is"]
"""How faithful a layer's rule is; `as is`: no rule is known, the layer ran as it is and the certificates judge it."""


class LayerRule(Record, frozen=True, kw_only=True):
    """What a layer was taken for. `reasons` say why it is not exact, or which assumption it makes."""

    path: str
    type: str
    calls: int
    status: Status
    reasons: tuple[str, ...] = ()


class Certificate(Record, frozen=True, kw_only=True):
    """One check of a result's sums: `value` is how far off it is and must be at most `limit`.

    `layer` is the one at fault, or where it is worst (null: it concerns the whole model).
    """

    name: Literal["euler", "additivity", "homogeneity", "conservation", "non-negativity", "monotonicity", "finite"]
    value: float | None
    limit: float
    met: bool
    layer: str | None = None


class VariableShare(Record, frozen=True, kw_only=True):
    """The share of all paths that lead through a variable's elements.

    `calls`: a shared variable's elements lie on a path once per call, so that its share may reach that number.
    `status`: `opaque` where no path leads through it by rule (the queries and keys of attention, gates); `offset` where
    it is added, and takes part only if biases do.
    """

    path: str
    layer: str
    shape: tuple[int, ...]
    share: float
    calls: int
    status: Literal["weight", "opaque", "offset"]


class StrongWeight(Record, frozen=True, kw_only=True):
    """One element of a variable of two axes or more, and the share of all paths that lead through it. (That of one axis
    multiplies or adds to a whole unit, and `units` have those.)"""

    variable: str
    index: tuple[int, ...]
    share: float


class UnitShares(Record, frozen=True, kw_only=True):
    """How a layer's flow is spread over its units (channels of its output).

    `share` is the layer's, of the total; `top` the largest units as (channel, share of the layer's). `effective` is
    exp(entropy): as many equal units would be as concentrated. `carrying` units, the fewest, carry `carried` of it.
    """

    path: str
    units: int
    share: float
    effective: float
    carrying: int
    carried: float
    top: tuple[tuple[int, float], ...]
    dead: int
    """Units through which nothing flows."""


class EdgeShare(Record, frozen=True, kw_only=True):
    """The flow along one edge, relative to the total. `sources` are layer paths (`(input)` for the model's inputs),
    more than one where Python between the layers mixes them (`partial`: the split among them is not known)."""

    sources: tuple[str, ...]
    target: str
    call: int
    share: float
    partial: bool = False
    merge: bool = False
    """Whether several edges meet in `target`."""


class GroupShare(Record, frozen=True, kw_only=True):
    """The share of the paths through any member of a group of weights: 1 − R(without them) / R."""

    name: str
    share: float
    variables: int
    elements: int


class PathReport(Record, frozen=True, kw_only=True):
    """Path weights: sums over all paths from inputs to outputs of the product of |w| along each, without data.

    `log10_total` is of their total R. `consistent` where every certificate is met: the sums are exact for the rules of
    `layers`; approximated layers stay approximations. `dtype_reason` says why it is not the dtype asked for (empty
    where it is). `peak_bytes` is what a pass allocated at most, where it is known.
    """

    log10_total: float | None
    consistent: bool
    certificates: tuple[Certificate, ...]
    layers: tuple[LayerRule, ...]
    variables: tuple[VariableShare, ...]
    units: tuple[UnitShares, ...]
    edges: tuple[EdgeShare, ...]
    strongest: tuple[StrongWeight, ...]
    groups: tuple[GroupShare, ...] = ()
    maxpool: Literal["sum", "max"] = "sum"
    biases: Literal["exclude", "include"] = "exclude"
    dtype: str = "float64"
    dtype_reason: str = ""
    normalised: bool = False
    peak_bytes: int | None = None

"""The record of what carries a model's result: path weights, contributions on data, strongest paths, health.

Shares are fractions of 1. A layer's `path` is its place in the layer tree; a layer that is called several times has one
node per call, with `call` counting from 1. Within schema version 1 fields may be added, never changed.
"""

from __future__ import annotations

from typing import Literal

from tfopt.records.ablation import AblationReport
from tfopt.records.base import Note, Record
from tfopt.records.health import HealthReport
from tfopt.records.path_weights import (
    Certificate as Certificate,
)
from tfopt.records.path_weights import (
    EdgeShare as EdgeShare,
)
from tfopt.records.path_weights import (
    GroupShare as GroupShare,
)
from tfopt.records.path_weights import (
    LayerRule as LayerRule,
)
from tfopt.records.path_weights import (
    PathReport as PathReport,
)
from tfopt.records.path_weights import (
    Status as Status,
)
from tfopt.records.path_weights import (
    StrongWeight as StrongWeight,
)
from tfopt.records.path_weights import (
    UnitShares as UnitShares,
)
from tfopt.records.path_weights import (
    VariableShare as VariableShare,
)
from tfopt.records.profile import InputInfo, ModelInfo

__all__ = [
    "INFLUENCE_SCHEMA",
    "Certificate",
    "EdgeShare",
    "GroupShare",
    "InfluenceInfo",
    "InfluenceRecord",
    "LayerContribution",
    "LayerRule",
    "PathReport",
    "RelevanceReport",
    "Status",
    "StrongPath",
    "StrongPaths",
    "StrongWeight",
    "UnitShares",
    "VariableShare",
]

INFLUENCE_SCHEMA: Literal["tfopt.influence/1"] = "tfopt.influence/1"


class LayerContribution(Record, frozen=True, kw_only=True):
    """One layer call on data: `share` of the result that flows through it, signed, the mean over samples of
    contribution / result; `magnitude` the same with absolute values; `bias` what the layer adds, relative to the
    result."""

    path: str
    type: str
    call: int
    share: float
    magnitude: float
    bias: float


class RelevanceReport(Record, frozen=True, kw_only=True):
    """Contributions to a target on data, each the mean over `samples` of contribution / result.

    Inputs (with looked-up embeddings), biases and `unattributed` add up to 1. `unattributed_share` is relative to
    Σ|contribution| of inputs and biases, `cancellation` is Σ|contribution| / |result|: where it exceeds 100, shares
    say nothing, and none are shown as percentages: inputs count element by element and sample by sample, what a
    variable adds element by element. `target` says what the result is, of which `output`; `result_mean` is its mean.
    `left_out` samples had a result that was zero or not finite. `dtype_reason` and `peak_bytes`: see `PathReport`.
    """

    target: str
    samples: int
    result_mean: float | None
    inputs: float
    biases: float
    unattributed: float
    unattributed_share: float
    cancellation: float
    consistent: bool
    certificates: tuple[Certificate, ...]
    rules: tuple[LayerRule, ...]
    layers: tuple[LayerContribution, ...]
    units: tuple[UnitShares, ...]
    edges: tuple[EdgeShare, ...]
    dtype: str = "float64"
    dtype_reason: str = ""
    output: str = ""
    left_out: int = 0
    peak_bytes: int | None = None


class StrongPath(Record, frozen=True, kw_only=True):
    """One path: layers and, at unit level, channels along it. `log10_weight` is of the product of |w| along it (unit
    level); `flow` the estimated share of all paths (layer level). `calls` has for each step which of the layer's calls
    it is, from 1."""

    steps: tuple[tuple[str, int | None], ...]
    calls: tuple[int, ...] = ()
    log10_weight: float | None = None
    flow: float | None = None


class StrongPaths(Record, frozen=True, kw_only=True):
    """The k strongest paths. `unavailable` says which layer prevents it, and is empty otherwise."""

    level: Literal["unit", "layer"]
    paths: tuple[StrongPath, ...]
    unavailable: str = ""


class InfluenceInfo(Record, frozen=True, kw_only=True):
    """The circumstances. `mode`: which reports were asked for. `samples` of the data were used, `batch_size` at a
    time; both are 0 where nothing needed data."""

    mode: Literal["data-free", "data", "both"]
    batch_size: int
    samples: int
    inputs: tuple[InputInfo, ...]
    data: str
    seed: int
    threads: int
    command: str
    started_at: str
    tfopt: str
    python: str
    tensorflow: str
    keras: str


class InfluenceRecord(Record, frozen=True, kw_only=True):
    """What carries one model's result."""

    schema: Literal["tfopt.influence/1"] = INFLUENCE_SCHEMA
    model: ModelInfo
    run: InfluenceInfo
    paths: PathReport | None = None
    relevance: RelevanceReport | None = None
    strongest: StrongPaths | None = None
    health: HealthReport | None = None
    ablation: AblationReport | None = None
    notes: tuple[Note, ...] = ()

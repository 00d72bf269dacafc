"""What a configuration file may say of a check: `[check]` and the tables in it, as `docs/schema` describes to editors.

The same stands below `[tool.tfopt.check]` in pyproject.toml, and the tables are keyword arguments of `tfopt.check`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tfopt.records.check import GateKind
from tfopt.records.fact_kinds import LIMITS, Limit

__all__ = ["AccuracySettings", "BudgetSettings", "CheckFile", "CheckSettings", "ModelSettings", "TimingSettings"]

Share = Annotated[float, Meta(gt=0, lt=1)]
Positive = Annotated[float, Meta(ge=0)]
Part = Annotated[float, Meta(ge=0, le=1)]
Name = Annotated[str, Meta(min_length=1)]
_WIDTHS = {"float": (16, 32, 64), "int": (4, 8, 16, 32, 64), "uint": (4, 8, 16, 32, 64), "complex": (64, 128)}
_NUMBERED = [f"{kind}{width}" for kind, widths in _WIDTHS.items() for width in widths]
DTYPES = ("bfloat16", "float8_e4m3fn", "float8_e5m2", *_NUMBERED, "bool", "string")
DType = Literal[DTYPES]  # type: ignore[valid-type]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of every table."""


class AccuracySettings(Settings, frozen=True, kw_only=True):
    """How far the candidate's numbers may be from the baseline's; what is not set does not gate.

    Of outputs on one seeded batch: `max_rel` is the largest difference over the baseline's largest absolute value,
    `min_cosine` their cosine, `min_agreement` the share of equal decisions. Of data with targets: `max_accuracy_drop`
    in shares of the samples, `max_loss_increase` as a share of the baseline's loss, both over at most `samples`.
    Where none is set, 0.01 of accuracy (or of the loss, where no accuracy is known) with data, else a cosine of 0.99.
    """

    max_rel: Positive | None = None
    min_cosine: Annotated[float, Meta(ge=-1, le=1)] | None = None
    min_agreement: Part | None = None
    max_accuracy_drop: Part | None = None
    max_loss_increase: Part | None = None
    samples: Annotated[int, Meta(ge=1)] = 1000


class TimingSettings(Settings, frozen=True, kw_only=True):
    """How much slower the candidate may be, in shares of the baseline's time: `tolerance` by the clock that decides
    (CPU time on the CPU), `wall_tolerance` by wall time beside it; and the most worker `processes`."""

    tolerance: Share = 0.05
    wall_tolerance: Share = 0.25
    processes: Annotated[int, Meta(ge=4)] = 12


def _budget(limit: Limit) -> Any:
    return Part if limit.relative or limit.fact.unit == "share" else Positive


BudgetSettings = msgspec.defstruct(
    "BudgetSettings",
    [
        *((limit.key, _budget(limit) | None, None) for limit in LIMITS.values()),
        ("dtypes", Annotated[list[DType], Meta(min_length=1)] | None, None),
    ],
    bases=(Settings,),
    frozen=True,
    kw_only=True,
    namespace={"__doc__": "Limits to the facts of `tfopt.records.fact_kinds`: absolute, and against the lock."},
)


class ModelSettings(Settings, frozen=True, kw_only=True):
    """One model to check, under a `label` of its own (default: its file's name), with its own baseline and data. Its
    own limits go before those of the whole check, key by key."""

    model: Name
    baseline: Name | None = None
    label: Name | None = None
    data: str | None = None
    budgets: Annotated[Mapping[str, Any], Meta(extra_json_schema={"$ref": "#/$defs/BudgetSettings"})] = {}
    accuracy: Annotated[Mapping[str, Any], Meta(extra_json_schema={"$ref": "#/$defs/AccuracySettings"})] = {}
    timing: Annotated[Mapping[str, Any], Meta(extra_json_schema={"$ref": "#/$defs/TimingSettings"})] = {}


Words = str | list[str]


class CheckSettings(Settings, frozen=True, kw_only=True):
    """The table `[check]`: the options of `tfopt check`, and what only files have. `max_time` is seconds, or "5m"."""

    model: Words | None = None
    baseline: str | None = None
    only: Literal["budgets"] | GateKind | list[Literal["budgets"] | GateKind] | None = None
    lock: str | None = None
    max_time: Annotated[float, Meta(gt=0)] | str | None = None
    self_test: bool = False
    strict: bool = False
    batch_size: Annotated[int, Meta(ge=1)] | None = None
    input_shape: Words | None = None
    input_size: Annotated[int, Meta(ge=1)] | None = None
    data: str | None = None
    loss: str | None = None
    optimizer: str | None = None
    import_: Words | None = msgspec.field(default=None, name="import")
    unsafe: bool = False
    mode: Literal["train", "infer"] | None = None
    xla: bool | None = None
    device: str | None = None
    seed: Annotated[int, Meta(ge=0)] | None = None
    threads: Annotated[int, Meta(ge=1)] | None = None
    format: str | None = None
    output: Words | None = None
    force: bool = False
    quiet: bool = False
    verbose: bool = False
    budgets: BudgetSettings | None = None  # type: ignore[valid-type]
    accuracy: AccuracySettings | None = None
    timing: TimingSettings | None = None
    models: list[ModelSettings] | None = None


class CheckFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file for --config; other commands' tables may stand in it, too."""

    check: CheckSettings

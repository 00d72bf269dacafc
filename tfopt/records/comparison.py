"""The record of a comparison: which way of running a model is fastest here, and what each does to the numbers.

Units are in the names; shares and tolerances are fractions of 1. Within schema version 1 fields may be added, never
changed.
"""

from __future__ import annotations

from typing import Literal

from tfopt.records.advice import Advice
from tfopt.records.base import Note, Record
from tfopt.records.duel import ArmTiming, Clock, DuelResult

__all__ = [
    "COMPARISON_SCHEMA",
    "Arm",
    "BreakEven",
    "ComparisonRecord",
    "ComparisonRun",
    "Drift",
    "GradientDrift",
    "MetricDrift",
    "OutputDrift",
    "Program",
]

COMPARISON_SCHEMA: Literal["tfopt.comparison/1"] = "tfopt.comparison/1"

Program = Literal["graph", "xla", "eager"]


class OutputDrift(Record, frozen=True, kw_only=True):
    """One output of the forward pass (`training=False`) against the reference's, over all values that are finite in
    both.

    `max_abs` is the largest difference, `max_rel` that over the largest absolute value of the reference. `agreement`
    is the fraction of decisions that are the same (argmax over classes, or the side of the threshold of a binary
    output; null for other outputs). `nonfinite` counts NaN and infinite values where the reference has finite ones,
    `reference_nonfinite` those of the reference.
    """

    name: str
    shape: tuple[int, ...]
    max_abs: float | None
    max_rel: float | None
    cosine: float | None
    agreement: float | None
    nonfinite: int
    reference_nonfinite: int = 0


class GradientDrift(Record, frozen=True, kw_only=True):
    """The gradient of one layer's own weights, or of all (`layer` is then empty), against the reference's.

    `relative_l2` is |variant − reference| / |reference|. `underflow` counts values that are zero, or subnormal in the
    precision that the variant computes in, and are neither in the reference. Loss scaling is taken out of all but this.
    """

    layer: str
    type: str
    values: int
    cosine: float | None
    relative_l2: float | None
    nonfinite: int
    underflow: int


class MetricDrift(Record, frozen=True, kw_only=True):
    """What the variant does to a metric of the user's data: `difference` is variant − reference over the same
    `samples`, with its 95 % interval from the paired differences. `method` names the interval. `nonfinite` counts the
    samples whose value is NaN or infinite on either side; what these take part in is null."""

    name: str
    output: str
    reference: float | None
    variant: float | None
    difference: float | None
    low: float | None
    high: float | None
    samples: int
    method: str
    nonfinite: int = 0


class Drift(Record, frozen=True, kw_only=True):
    """What one arm computes, against the float32 graph of the same model (or of the first, where `weights` are
    `different`), on one batch with Dropout and other random layers off.

    The reference's drift against itself is what two runs of one program differ by on this machine. `loss` and gradients
    are those of a training step's forward and backward pass, null and empty in inference; `loss_scale` is the largest,
    down from the optimizer's own by halving, at which no gradient was infinite. After that `steps` whole training steps
    were run, of which loss scaling skipped `skipped_steps` (null without it).
    `random_ops` are those that could not be switched off. `failure` says why nothing could be compared.
    """

    label: str
    reference: str
    weights: Literal["same", "different"] = "same"
    batch_size: int
    outputs: tuple[OutputDrift, ...] = ()
    reference_loss: float | None = None
    loss: float | None = None
    loss_scale: float = 1.0
    gradient: GradientDrift | None = None
    layers: tuple[GradientDrift, ...] = ()
    steps: int = 0
    skipped_steps: int | None = None
    nonfinite_losses: int = 0
    metrics: tuple[MetricDrift, ...] = ()
    random_ops: tuple[str, ...] = ()
    failure: str = ""
    notes: tuple[Note, ...] = ()


class BreakEven(Record, frozen=True, kw_only=True):
    """When starting with this arm pays, against the baseline: `from` that many steps on, `until` that many, `always`,
    `never`, or `unknown` where the two are not told apart. `extra_s` is what it takes longer to start."""

    kind: Literal["from", "until", "always", "never", "unknown"]
    steps: int | None = None
    extra_s: float | None = None


class Arm(Record, frozen=True, kw_only=True):
    """One way to run one model. `rank` is 1 + the number of arms that are surely ahead, by one clock for all arms (null
    where that clock could not tell, and for arms that failed); arms that cannot be told apart share it. `result` is
    null for the baseline, `precision` where the file decides. `causes` are what may explain that it is slow, the
    largest first; what the baseline has just as much of is left out."""

    label: str
    model: str
    variant: str
    program: Program
    precision: str | None
    device: str
    batch_size: int | None
    rank: int | None = None
    timing: ArmTiming | None = None
    result: DuelResult | None = None
    break_even: BreakEven | None = None
    clocks_disagree: bool = False
    causes: tuple[Advice, ...] = ()


class ComparisonRun(Record, frozen=True, kw_only=True):
    """The circumstances: with models, variants and batch sizes of the arms everything needed to repeat it. `clock` is
    the one asked for (null: wall time, or CPU time where only that can tell), `processes` the most per arm, `samples`
    the most that a metric was compared over; `seconds` is what it took, `interrupted` whether Ctrl-C ended it,
    `failure` why measuring ended early, if the baseline failed."""

    mode: Literal["train", "infer"]
    data: str
    device: str
    threads: int
    cpu: str
    seed: int
    clock: Clock | None
    tolerance: float
    max_seconds: float
    seconds: float
    interrupted: bool
    command: str
    started_at: str
    tfopt: str
    python: str
    tensorflow: str
    keras: str
    processes: int | None = None
    samples: int | None = None
    input_shape: tuple[str, ...] = ()
    input_size: int | None = None
    loss: str | None = None
    optimizer: str | None = None
    failure: str = ""


class ComparisonRecord(Record, frozen=True, kw_only=True):
    """Ways to run one or several models, best rank first. `verdict` says in sentences what follows, the most important
    first. `resolvable` is the smallest change (a fraction) that a duel of this comparison would find 19 times out of
    20: the least of theirs, since one with few processes tells of the time it had, not of the machine."""

    schema: Literal["tfopt.comparison/1"] = COMPARISON_SCHEMA
    run: ComparisonRun
    baseline: str
    verdict: tuple[str, ...]
    resolvable: float | None
    arms: tuple[Arm, ...]
    drifts: tuple[Drift, ...] = ()
    notes: tuple[Note, ...] = ()

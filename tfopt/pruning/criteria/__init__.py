"""Which weights count least: one criterion per file, each with its definition and source. Importing them loads no
TensorFlow; scoring does."""

from tfopt.pruning.criteria import (  # noqa: F401  (each registers itself)
    fisher,
    grasp,
    lamp,
    magnitude,
    path,
    random,
    snip,
    synflow,
    taylor,
    wanda,
)
from tfopt.pruning.criteria.registry import CRITERIA, Criterion, Scoring, scored

__all__ = ["CRITERIA", "Criterion", "Scoring", "scored"]

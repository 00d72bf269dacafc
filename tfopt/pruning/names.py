"""What there is to choose from: the names of the registries, for whoever shows them without loading these."""

from __future__ import annotations

__all__ = ["CRITERIA_NAMES", "SCHEDULE_NAMES", "SCOPE_NAMES", "THRESHOLD_MODES"]

CRITERIA_NAMES = (
    *("magnitude", "taylor", "fisher", "path", "synflow"),
    *("snip", "grasp", "wanda", "lamp", "random"),
)
SCOPE_NAMES = ("layer", "global", "erk", "output")
SCHEDULE_NAMES = ("one-shot", "linear", "cubic")
THRESHOLD_MODES = ("absolute", "std", "max", "quantile")

"""How a person wants to see a record: which rows, how many, how wide, in colour or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["BOTTLENECKS", "BY", "INSPECTION_BY", "TRACE_BY", "By", "View", "listed"]

By = Literal["layer", "op", "type", "phase", "kernel", "device"]
TRACE_BY: tuple[By, ...] = get_args(By)
BY = TRACE_BY[:4]  # what a profiled run has
INSPECTION_BY: tuple[By, ...] = ("layer", "type", "phase")

BOTTLENECKS = 10  # ops listed beside the layer tree, whose length is what `top` says there
_LISTED: dict[By, int] = {"layer": 12, "op": 30, "type": 20, "phase": 5, "kernel": 30, "device": 16}


@dataclass(frozen=True)
class View:
    """A wish, not data: no view changes a number, and whatever it hides is summed into a visible rest.

    `depth` is how far the layer tree opens (0 shows the model alone, None all of it); `top` how many rows are listed
    (0 is all, None leaves it to the format: screens show the largest, CSV everything). `width` is in terminal cells;
    None means as wide as the names need. `run_dir` is the run folder that holds the record, if there is one.
    """

    by: By = "layer"
    depth: int | None = None
    top: int | None = None
    width: int | None = None
    color: bool = False
    run_dir: str | None = None


def listed(view: View) -> int:
    """How many rows a screen lists (0: all); by phase this counts for each of them."""
    return _LISTED[view.by] if view.top is None else view.top

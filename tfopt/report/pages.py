"""Which record is shown how: those with a page of their own, and what their rows may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tfopt.errors import UsageError
from tfopt.records.base import Record
from tfopt.records.check import CheckRecord
from tfopt.records.comparison import ComparisonRecord
from tfopt.records.diagnosis import DiagnosisRecord
from tfopt.records.difference import DifferenceRecord
from tfopt.records.gradcheck import GradcheckRecord
from tfopt.records.gradients import GradientsRecord
from tfopt.records.influence import InfluenceRecord
from tfopt.records.inspection import InspectionRecord
from tfopt.records.pruning import PruningRecord
from tfopt.records.trace import TraceRecord
from tfopt.records.trace_difference import TraceDifferenceRecord
from tfopt.report import (
    check_page,
    comparison_page,
    diagnosis_page,
    difference_page,
    gradcheck_page,
    gradients_page,
    influence_page,
    inspection_page,
    pruning_page,
    trace_difference_page,
    trace_page,
)
from tfopt.report.page import Page
from tfopt.report.view import BY, View

__all__ = ["PAGES", "page_of"]

PAGES: dict[type[Record], Callable[..., Page]] = {
    CheckRecord: check_page.page,
    ComparisonRecord: comparison_page.page,
    TraceRecord: trace_page.page,
    DiagnosisRecord: diagnosis_page.page,
    DifferenceRecord: difference_page.page,
    TraceDifferenceRecord: trace_difference_page.page,
    InspectionRecord: inspection_page.page,
    GradientsRecord: gradients_page.page,
    GradcheckRecord: gradcheck_page.page,
    InfluenceRecord: influence_page.page,
    PruningRecord: pruning_page.page,
}


def page_of(record: Record, view: View, *, every_row: bool = False) -> Page | None:
    """The page of `record`, None for a profiled run, which has renderers of its own. UsageError where it has no rows of
    the kind that `view.by` asks for."""
    if view.by not in BY and not isinstance(record, TraceRecord | TraceDifferenceRecord):
        raise UsageError(f"a run of tfopt has no rows by {view.by}: they are for traces", f"--by takes {', '.join(BY)}")
    make = PAGES.get(type(record))
    return None if make is None else make(record, replace(view, top=0, depth=None) if every_row else view)

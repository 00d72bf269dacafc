"""Notes: each says something only where it is true, on both sides of its threshold."""

from __future__ import annotations

import msgspec
import pytest
from records_for_tests import flat

from tfopt.profiling.notes import remarks
from tfopt.report import render


def said(**step: float) -> list[str]:
    record = flat()
    return [note.message for note in remarks(msgspec.structs.replace(record, step=_step(**step)))]


def _step(**changes: float) -> object:
    return msgspec.structs.replace(flat().step, **changes)


@pytest.mark.parametrize(("overhead", "shown"), [(-0.2, ""), (0.10, ""), (0.101, "+10.1 %"), (10.62, "11.6 ×")])
def test_tracing_that_changes_the_step_by_more_than_a_tenth_is_told(overhead: float, shown: str) -> None:
    notes = said(overhead=overhead)
    assert bool(notes) == bool(shown)
    if shown:
        assert notes[0].startswith(f"tracing made the step longer ({shown}):")


@pytest.mark.parametrize(("overhead", "told"), [(0.99, False), (1.0, True)])
def test_where_recording_was_most_of_a_step_the_hint_says_how_far_to_trust_its_shares(
    overhead: float, told: bool
) -> None:
    (note,) = remarks(msgspec.structs.replace(flat(), step=_step(overhead=overhead)))
    assert ("shares are rough, layers of many short ops may look too large" in note.hint) == told


@pytest.mark.parametrize(
    ("share", "bound", "inferred", "told"),
    [
        (1.09, "compute", 0.0, False),
        (1.2, "compute", 0.0, True),
        (1.2, "memory", 0.0, False),
        (9.0, "compute", 1.0, False),
    ],
)
def test_a_layer_that_computes_faster_than_the_peak_is_told(
    share: float, bound: str, inferred: float, told: bool
) -> None:
    record = flat()
    rows = tuple(
        msgspec.structs.replace(row, roof_share=share, bound=bound, inferred_ms=inferred * row.self_ms)
        if row.path.endswith("/Conv_1")
        else row
        for row in record.layers
    )
    notes = [note.message for note in remarks(msgspec.structs.replace(record, layers=rows))]
    assert [note.partition(":")[0] for note in notes] == [
        f"mobilenetv2_1.00_96/Conv_1 computes at {100 * share:.1f} % of this machine's measured peak"
    ] * told


@pytest.mark.parametrize(("mean_ms", "told"), [(50.0, False), (64.0, False), (65.0, True)])
def test_waiting_that_varies_is_told(mean_ms: float, told: bool) -> None:
    """A step of 142.6 ms, of which the median waits 50."""
    notes = said(input_ms=50.0, input_mean_ms=mean_ms)
    assert notes == (
        [f"waiting for data varies: 50.0 ms in the median step, which the tables show, {mean_ms:.1f} ms on average"]
        if told
        else []
    )


@pytest.mark.parametrize(
    ("overhead", "shown"), [(0.031, "tracing +3.1 %"), (-0.002, "tracing -0.2 %"), (1.5, "tracing 2.50 ×")]
)
@pytest.mark.parametrize("format", ["table", "md"])
def test_every_report_states_what_tracing_cost(format: str, overhead: float, shown: str) -> None:
    assert shown in render(msgspec.structs.replace(flat(), step=_step(overhead=overhead)), format=format)

"""Ops by op, by type and by phase: ranked, and complete with their rest."""

from __future__ import annotations

import math

import msgspec
import pytest
from records_for_tests import RECORDS, flat, nested

from tfopt.records.profile import ProfileRecord
from tfopt.report.rows import idle, phase_groups, phase_rows, rank_ops, rank_types


def _close_ops(record: ProfileRecord) -> ProfileRecord:
    """`record` with its ops scaled so that, as in every real record, their shares and the idle share sum to 1."""
    scale = (1 - record.coverage.idle) / math.fsum(op.share for op in record.ops)
    ops = tuple(msgspec.structs.replace(op, share=op.share * scale) for op in record.ops)
    return msgspec.structs.replace(record, ops=ops)


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("top", [0, 1, 3, 1000])
def test_ops_and_types_with_their_rest_are_the_whole_step(name: str, top: int) -> None:
    record = _close_ops(RECORDS[name]())
    for ranked in (rank_ops(record.ops, record.layers, top), rank_types(record.ops, top)):
        shares = [getattr(line, "op", line).share for line in ranked.lines] + [row.share for row in ranked.rest]
        assert math.fsum(shares) + idle(record).share == pytest.approx(1)
        assert len(ranked.lines) == (min(top, len(ranked.lines)) if top else len(ranked.lines))
        if ranked.lines and not ranked.rest:
            assert ranked.lines[-1].cumulative == pytest.approx(1 - idle(record).share)


def test_ops_are_ranked_and_their_layers_named_without_the_model() -> None:
    ranked = rank_ops(flat().ops, flat().layers, 2)
    assert [line.op.self_ms for line in ranked.lines] == sorted((op.self_ms for op in flat().ops), reverse=True)[:2]
    assert ranked.lines[0].layer == "block_1_depthwise"
    assert ranked.lines[1].cumulative == pytest.approx(sum(line.op.share for line in ranked.lines))
    assert ranked.rest[0].label == f"{len(flat().ops) - 2} more ops"


def test_types_are_summed() -> None:
    adam = next(line for line in rank_types(flat().ops, 0).lines if line.type == "ResourceApplyAdam")
    assert (adam.ops, adam.per_step) == (61, 121.0)
    assert adam.self_ms == pytest.approx(60 * 0.04 + 0.413)


def test_phases_that_a_step_does_not_have_are_left_out() -> None:
    assert [row.phase for row in phase_rows(nested())] == ["input", "forward", "idle"]
    assert [row.phase for row in phase_rows(flat())][-2:] == ["unattributed", "idle"]


def test_phases_are_grouped_largest_first_with_all_their_ops() -> None:
    groups = phase_groups(flat(), 2)
    assert [row.phase for row, _ in groups] == ["backward", "forward", "optimizer", "loss", "unattributed"]
    backward = groups[0][1]
    assert len(backward.lines) == 2
    total = sum(line.op.self_ms for line in backward.lines) + backward.rest[0].self_ms
    assert total == pytest.approx(sum(op.self_ms for op in flat().ops if op.phase == "backward"))

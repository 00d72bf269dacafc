"""The difference of two runs: every table adds up to the step's change, and rows meet only what they are."""

from __future__ import annotations

from math import fsum
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from records_for_tests import RECORDS, flat, hostile, layer_rows, nested, op, record

from tfopt import diff
from tfopt.records.difference import DifferenceRecord, MatchedShare, OpChange
from tfopt.records.profile import InputInfo, OpRow, Phase, ProfileRecord
from tfopt.report.difference_page import page
from tfopt.report.view import BY, By, View

NAMES = st.sampled_from(["a", "b", "c", "block/a", "block/b", "(idle)"])
OPS = st.tuples(
    NAMES,
    st.sampled_from(["Conv2D", "fusion", "Mul"]),
    st.sampled_from(["x/op", "x/op_1", "y"]),
    st.sampled_from(["forward", "backward", "optimizer"]),
    st.floats(0.001, 50),
)


def made(root: str, idle: float, parts: list[tuple[str, str, str, Phase, float]]) -> ProfileRecord:
    """A record whose layers take what its ops take: (layer, type, name, phase, ms) each, and `idle` beside them."""
    order: tuple[Phase, ...] = ("forward", "backward", "optimizer")
    times: dict[str, list[float]] = {}
    for layer, _, _, phase, ms in parts:
        times.setdefault(f"{root}/{layer}", [0.0, 0.0, 0.0])[order.index(phase)] += ms
    step = idle + fsum(ms for *_, ms in parts)
    leaves: Any = [(path, "Dense", *by_phase, 0.0) for path, by_phase in times.items()]
    rows = layer_rows(root, {root: "Functional"}, leaves, step)
    ops = [op(kind, name, f"{root}/{layer}", phase, ms, step) for layer, kind, name, phase, ms in parts]
    return record(flat().model, step, rows, ops, {})


RUNS = st.builds(made, st.sampled_from(["m", "n"]), st.floats(0.1, 20), st.lists(OPS, min_size=1, max_size=12))


@given(RUNS, RUNS)
def test_every_table_adds_up_to_the_change_of_the_step(after: ProfileRecord, before: ProfileRecord) -> None:
    found = diff(after, before)
    tables = [[row.time for row in rows] for rows in (found.phases, found.types, found.ops)]
    for times in (*tables, [row.own for row in found.layers]):
        for part in ("before_ms", "after_ms", "change_ms"):
            assert fsum(getattr(time, part) for time in times) == pytest.approx(getattr(found.step, part), abs=1e-9)


@given(RUNS, RUNS, st.sampled_from(BY), st.integers(0, 3))
def test_what_a_page_shows_adds_up_whatever_it_hides(
    after: ProfileRecord, before: ProfileRecord, by: By, top: int
) -> None:
    found = diff(after, before)
    table = next(table for table in page(found, View(by=by, top=top)).tables if table.by == by)
    for part in ("before_ms", "after_ms", "change_ms"):
        at = next(at for at, column in enumerate(table.columns) if column.key == part)
        total = fsum(float(row[at] or 0) for row in (*table.rows, *table.rest))
        assert total == pytest.approx(getattr(found.step, part), abs=1e-9)


@given(RUNS, RUNS)
def test_no_op_is_lost_or_counted_twice(after: ProfileRecord, before: ProfileRecord) -> None:
    ops = [row for row in diff(after, before).ops if row.phase != "idle"]
    assert sum(row.before_ops for row in ops) == len(before.ops)
    assert sum(row.after_ops for row in ops) == len(after.ops)


@given(RUNS, RUNS)
def test_a_change_turns_its_sign_with_the_sides(one: ProfileRecord, other: ProfileRecord) -> None:
    there, back = diff(one, other), diff(other, one)
    assert there.step.change_ms == -back.step.change_ms
    turned = {"new": "gone", "gone": "new", "both": "both"}
    assert sorted((row.presence, row.own.change_ms) for row in there.layers) == sorted(
        (turned[row.presence], -row.own.change_ms) for row in back.layers
    )


@pytest.mark.parametrize("name", RECORDS)
def test_a_run_against_itself_is_the_same_recording(name: str) -> None:
    found = diff(RECORDS[name](), RECORDS[name]())
    assert found.same_recording
    assert found.circumstances == ()
    assert [note.message for note in found.notes] == ["both sides are the same recording: nothing can differ"]
    assert {row.own.change_ms for row in found.layers} == {0.0}
    assert found.matched[0] == MatchedShare(match="name", before_share=1.0, after_share=1.0)


def test_a_change_is_the_run_less_the_baseline() -> None:
    found = diff(with_step(flat(), 150.0, 149.0, 151.0), with_step(flat(), 100.0, 99.0, 101.0), "new", "old")
    assert (found.after.run, found.before.run) == ("new", "old")
    assert (found.step.before_ms, found.step.after_ms, found.step.change_ms) == (100.0, 150.0, 50.0)
    assert found.step.ratio == 1.5
    assert found.intervals == "apart"


def test_the_answer_says_which_is_slower() -> None:
    slow, fast = with_step(flat(), 150.0, 149.0, 151.0), with_step(flat(), 100.0, 99.0, 101.0)
    times, verdict, intervals = page(diff(slow, fast), View()).answer
    assert times == "100 ms → 150 ms / step"
    assert verdict == "50.0 ms (50.0 %) slower than the baseline"
    assert intervals == "the two runs' own intervals do not overlap"
    assert page(diff(fast, slow), View()).answer[1] == "50.0 ms (33.3 %) faster than the baseline"
    assert (
        page(diff(changed(flat(), seed=1), flat()), View()).answer[1] == "neither slower nor faster than the baseline"
    )


def with_step(of: ProfileRecord, median: float, low: float, high: float) -> ProfileRecord:
    return msgspec.structs.replace(
        of, step=msgspec.structs.replace(of.step, median_ms=median, low_ms=low, high_ms=high)
    )


@pytest.mark.parametrize(("low", "expected"), [(101.0, "overlap"), (101.1, "apart")])
def test_intervals_that_touch_overlap(low: float, expected: str) -> None:
    for one, other in ((0, 1), (1, 0)):
        sides = with_step(flat(), 102.0, low, 103.0), with_step(flat(), 100.0, 99.0, 101.0)
        assert diff(sides[one], sides[other]).intervals == expected


FORWARD: list[tuple[str, str, str, Phase, float]] = [
    ("conv", "Conv2D", "m_1/conv/Conv2D", "forward", 3.0),
    ("conv", "Relu", "m_1/conv/Relu", "forward", 1.0),
    ("dense", "MatMul", "m_1/dense/MatMul", "forward", 2.0),
]


def ops_of(found: DifferenceRecord) -> dict[tuple[str, str], OpChange]:
    return {(row.layer, row.match): row for row in found.ops if row.phase != "idle"}


def test_renumbered_ops_meet_by_type_and_those_of_another_program_by_place() -> None:
    before = made("m", 1.0, FORWARD)
    renumbered = made("m", 1.0, [(*part[:2], part[2].replace("m_1", "m_2"), *part[3:]) for part in FORWARD])  # type: ignore[misc]
    assert {row.match for row in diff(renumbered, before).ops if row.phase != "idle"} == {"type"}

    fused = made("m", 1.0, [("conv", "fusion", "fusion.1", "forward", 2.5), ("dense", "dot", "dot.1", "forward", 2.0)])
    rows = ops_of(diff(fused, before))
    conv = rows["m/conv", "place"]
    assert (conv.before_type, conv.after_type, conv.before_ops, conv.after_ops) == ("Conv2D", "fusion", 2, 1)
    assert conv.time.change_ms == pytest.approx(-1.5)
    assert conv.name == ""
    assert set(rows) == {("m/conv", "place"), ("m/dense", "place")}
    shares = {row.match: (row.before_share, row.after_share) for row in diff(fused, before).matched}
    assert shares == {"name": (0, 0), "type": (0, 0), "place": (1, 1), "none": (0, 0)}


def test_an_op_that_stayed_is_not_mixed_with_one_that_changed() -> None:
    before = made("m", 1.0, FORWARD)
    after = made("m", 1.0, [FORWARD[0], ("conv", "Gelu", "m_1/conv/Gelu", "forward", 1.5), FORWARD[2]])
    rows = ops_of(diff(after, before))
    assert rows["m/conv", "name"].time.change_ms == 0
    activation = rows["m/conv", "place"]
    assert (activation.before_type, activation.after_type, activation.time.change_ms) == ("Relu", "Gelu", 0.5)


def test_an_op_of_another_phase_or_layer_is_another_op() -> None:
    before = made("m", 1.0, FORWARD[:1])
    for other in (("conv", "Conv2D", "m_1/conv/Conv2D", "backward", 3.0), ("dense", *FORWARD[0][1:])):
        rows = diff(made("m", 1.0, [other]), before).ops  # type: ignore[list-item]
        assert sorted(row.presence for row in rows if row.match == "none") == ["gone", "new"]


def test_layers_of_a_changed_model_are_new_or_gone() -> None:
    before = made("m", 1.0, FORWARD)
    after = made("m", 1.0, [FORWARD[0], ("norm", "Rsqrt", "m_1/norm/Rsqrt", "forward", 0.5)])
    found = diff(after, before)
    presence = {row.path: (row.presence, row.own.change_ms) for row in found.layers}
    assert presence["m/dense"] == ("gone", -2.0)
    assert presence["m/norm"] == ("new", 0.5)
    assert presence["m/conv"] == ("both", -1.0)
    assert next(row for row in found.layers if row.path == "m/norm").own.ratio is None
    assert {(row.layer, row.presence) for row in found.ops if row.match == "none"} >= {
        ("m/dense", "gone"),
        ("m/norm", "new"),
    }


def test_models_of_another_name_are_each_other() -> None:
    found = diff(made("new_name", 1.0, FORWARD), made("m", 1.0, FORWARD))
    assert {row.presence for row in found.layers} == {"both"}
    assert {row.path for row in found.layers} == {"new_name", "new_name/conv", "new_name/dense", "(idle)"}


def test_a_layer_called_like_the_idle_row_is_a_layer() -> None:
    part = [("(idle)", "MatMul", "m/(idle)/MatMul", "forward", 2.0)]
    found = diff(made("m", 3.0, part), made("n", 1.0, part))  # type: ignore[arg-type]
    assert {row.path: row.own.change_ms for row in found.layers} == {"m": 0.0, "m/(idle)": 0.0, "(idle)": 2.0}


def changed(of: ProfileRecord, **run: Any) -> ProfileRecord:
    return msgspec.structs.replace(of, run=msgspec.structs.replace(of.run, **run))


@pytest.mark.parametrize(
    ("run", "name", "texts", "note"),
    [
        ({"mode": "infer"}, "mode", ("train", "infer"), "not like with like: train against infer steps"),
        ({"batch_size": 32}, "batch size", ("16", "32"), "compare the time per example"),
        ({"xla": True}, "program", ("graph", "XLA"), ""),
        ({"cpu": "Other CPU"}, "CPU", ("Example CPU @ 2.00GHz", "Other CPU"), "may be the machine's"),
        ({"threads": 8}, "threads", ("2", "8"), "may be the machine's"),
        ({"tensorflow": "2.22.0"}, "TensorFlow", ("2.21.0", "2.22.0"), ""),
        ({"loss": None}, "loss", ("sparse_categorical_crossentropy", "–"), ""),
    ],
)
def test_only_what_differs_is_told(run: dict[str, Any], name: str, texts: tuple[str, str], note: str) -> None:
    found = diff(changed(flat(), **run), flat())
    assert [(item.name, item.before, item.after) for item in found.circumstances] == [(name, *texts)]
    messages = [remark.message for remark in found.notes]
    assert len(messages) == 1 + bool(note)
    assert note in messages[0]
    assert "no benchmark" in messages[-1]


def test_the_batch_is_told_once_and_the_time_per_example_with_it() -> None:
    images = InputInfo(name="pictures", shape=(32, 96, 96, 3), dtype="float32", values="")
    found = diff(changed(flat(), batch_size=32, inputs=(images,)), flat())
    assert [item.name for item in found.circumstances] == ["batch size"]
    assert found.per_example.ratio == pytest.approx(0.5)
    assert found.step.change_ms == 0


def test_two_models_without_a_layer_in_common_are_doubted() -> None:
    messages = [note.message for note in diff(hostile(), nested()).notes]
    assert any("are these the same model?" in message for message in messages)
    assert any(message.startswith("the models differ in parameters: 43,512 against 999") for message in messages)


@pytest.mark.parametrize(
    ("run", "another"),
    [
        ({"mode": "infer"}, "mode: train"),
        ({"batch_size": 32}, "batch size: 16"),
        ({"mode": "infer", "batch_size": 32}, "mode: train"),
        ({"precision": "mixed_bfloat16", "xla": True, "threads": 8}, ""),
    ],
)
def test_only_like_with_like_is_called_faster(run: dict[str, Any], another: str) -> None:
    """Colour and words: what somebody tries out (XLA, a precision) may be faster, another mode or batch only less."""
    quick = changed(flat(), **run)
    quick = msgspec.structs.replace(quick, step=msgspec.structs.replace(quick.step, median_ms=1.0))
    shown = page(diff(quick, flat()), View())
    _, verdict, *others = shown.answer
    if not another:
        assert (verdict, shown.tone) == ("142 ms (99.3 %) faster than the baseline", "good")
        return
    assert verdict == f"142 ms (99.3 %) less than the baseline, which has another {another}"
    assert shown.tone == "plain"
    assert page(diff(flat(), quick), View()).answer[1].startswith("142 ms (14160.0 %) more than the baseline, which")
    if "batch_size" in run:  # one example is like another, except in another mode
        assert others[0].endswith("less" if "mode" in run else "faster")


def test_another_model_is_not_called_faster_either() -> None:
    smaller = msgspec.structs.replace(flat(), model=msgspec.structs.replace(flat().model, params=7))
    answer = page(diff(with_step(flat(), 100.0, 99.0, 101.0), smaller), View()).answer
    assert answer[1] == "42.6 ms (29.9 %) less than the baseline, which has another model: 7 parameters"


def test_slow_traced_steps_make_rows_doubtful() -> None:
    slow = flat()
    slow = msgspec.structs.replace(slow, step=msgspec.structs.replace(slow.step, overhead=0.5))
    assert [n.message for n in diff(flat(), slow).notes if "tracing" in n.message] == [
        "tracing made the baseline's steps longer (+50.0 %): rows are less sure than the step time"
    ]


def test_a_record_without_rows_is_no_obstacle() -> None:
    empty = msgspec.structs.replace(flat(), layers=(), ops=(), phases=())
    assert {row.presence for row in diff(flat(), empty).layers} == {"new", "both"}
    assert {row.presence for row in diff(empty, flat()).layers} == {"gone", "both"}


def test_ops_of_one_name_are_one_row() -> None:
    twice: OpRow = flat().ops[0]
    before = msgspec.structs.replace(flat(), ops=(twice, twice))
    found = ops_of(diff(before, before))
    assert [(row.before_ops, row.after_ops) for row in found.values()] == [(2, 2)]

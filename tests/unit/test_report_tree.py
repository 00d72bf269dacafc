"""The tree: whatever is folded away, what is shown adds up."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from records_for_tests import RECORDS, flat, layer_rows, nested, row

from tfopt.records.profile import LayerRow
from tfopt.report.tree import Line, layer_lines, record_lines
from tfopt.report.view import View

_COLUMNS = ("forward_ms", "backward_ms", "optimizer_ms", "total_ms", "share", "inferred_ms", "mflop", "least_ms")


def _sums(lines: list[Line]) -> list[float]:
    return [math.fsum(getattr(line.times, name) for line in lines if line.whole) for name in _COLUMNS]


def _record_sums(rows: list[LayerRow] | tuple[LayerRow, ...]) -> list[float]:
    roots = [line for line in rows if line.depth == 0]
    sums = [math.fsum(getattr(line, name) for line in roots) for name in _COLUMNS[:4]]
    return [
        *sums,
        math.fsum(line.share for line in rows),
        math.fsum(line.inferred_ms for line in rows),
        math.fsum((line.gflops_per_s or 0) * line.self_ms for line in rows),
        math.fsum((line.roof_share or 0) * line.self_ms for line in rows),
    ]


@st.composite
def _forests(draw: st.DrawFn) -> list[LayerRow]:
    """Any tree of layers, with work of their own at every level, and a bracketed row."""
    names = st.sampled_from(["a", "b", "dense", "=x", "[red]"])
    places = draw(st.lists(st.lists(names, min_size=1, max_size=4).map("/".join), max_size=12))
    paths = sorted({"model", *(f"model/{'/'.join(p.split('/')[:n])}" for p in places for n in range(1, 5))})
    own = {path: draw(st.lists(st.floats(0, 50), min_size=3, max_size=3)) for path in paths}
    inferred = {path: draw(st.floats(0, 1)) * sum(own[path]) for path in paths}
    step = sum(map(sum, own.values())) + 5.0
    rows = []
    for path in draw(st.permutations(paths)):
        inside = [place for place in paths if place == path or place.startswith(f"{path}/")]
        times = [math.fsum(own[place][part] for place in inside) for part in range(3)]
        known = draw(st.booleans())
        rate, share = (draw(st.floats(0, 1000)), draw(st.floats(0, 2))) if known else (None, None)
        made = row(path, "Layer", times, sum(own[path]), step, inferred=inferred[path])
        rows.append(msgspec.structs.replace(made, gflops_per_s=rate, roof_share=share))
    return [*rows, row("(idle)", "", (0.0, 0.0, 0.0), 5.0, step)]


def test_a_line_s_rate_is_over_all_of_its_time_or_not_told() -> None:
    """Two layers of 1 and 3 ms at 100 and 20 GFLOP/s do 160 million operations in 4 ms."""
    rows = [
        row("net", "Model", (4.0, 0.0, 0.0), 0.0, 10.0),
        msgspec.structs.replace(row("net/a", "Dense", (1.0, 0, 0), 1.0, 10.0), gflops_per_s=100.0, roof_share=0.8),
        msgspec.structs.replace(row("net/b", "Dense", (3.0, 0, 0), 3.0, 10.0), gflops_per_s=20.0, roof_share=0.4),
    ]
    (folded,) = layer_lines(rows, depth=0)
    assert folded.times.gflops_per_s == pytest.approx(40.0)
    assert folded.times.roof_share == pytest.approx(0.5)
    (folded,) = layer_lines([*rows[:2], row("net/b", "Custom", (3.0, 0, 0), 3.0, 10.0)], depth=0)
    assert (folded.times.gflops_per_s, folded.times.roof_share) == (None, None)


def test_only_a_layer_without_others_inside_says_what_binds_it() -> None:
    outer = msgspec.structs.replace(row("net", "Model", (4.0, 0, 0), 1.0, 10.0), bound="memory")
    inner = msgspec.structs.replace(row("net/a", "Dense", (3.0, 0, 0), 3.0, 10.0), bound="compute")
    assert [line.bound for line in layer_lines([outer, inner])] == [None, "compute", None]


@given(_forests(), st.none() | st.integers(0, 5), st.integers(0, 15))
def test_folding_loses_nothing(rows: list[LayerRow], depth: int | None, top: int) -> None:
    lines = layer_lines(rows, depth=depth, top=top)
    assert _sums(lines) == pytest.approx(_record_sums(rows), abs=1e-6)
    assert math.fsum(line.times.share for line in lines if line.whole) == pytest.approx(1)


@given(_forests(), st.none() | st.integers(0, 5), st.integers(0, 15))
def test_every_layer_is_shown_or_counted_once(rows: list[LayerRow], depth: int | None, top: int) -> None:
    lines = layer_lines(rows, depth=depth, top=top)
    shown = [line for line in lines if line.kind in ("layer", "bracket")]
    assert len(shown) + sum(line.hidden for line in lines) == len(rows)
    assert len({line.path for line in shown}) == len(shown)
    if depth is not None:
        assert all(line.depth <= max(depth, 0) for line in lines)
    if top:
        below = [line for line in lines if line.depth and line.kind != "rest"]
        assert len(below) <= 2 * top  # a single layer is shown rather than folded


@given(_forests())
def test_top_zero_shows_every_layer(rows: list[LayerRow]) -> None:
    lines = layer_lines(rows, top=0)
    assert {line.path for line in lines if line.kind in ("layer", "bracket")} == {line.path for line in rows}
    assert not any(line.hidden for line in lines)


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("view", [View(), View(top=3), View(top=0), View(depth=0), View(depth=1, top=5)])
def test_what_a_screen_shows_is_the_whole_step(name: str, view: View) -> None:
    lines = record_lines(RECORDS[name](), view)
    assert math.fsum(line.times.share for line in lines if line.whole) == pytest.approx(1)


def test_the_largest_layers_come_first_and_the_rest_last() -> None:
    lines = record_lines(flat(), View(top=3))
    assert [line.guide + line.label for line in lines[:5]] == [
        "mobilenetv2_1.00_96",
        "├─ Conv_1",
        "├─ block_1_depthwise",
        "├─ block_1_expand",
        "└─ 58 more",
    ]
    assert [line.label for line in lines[5:]] == ["(loss)", "(optimizer)", "(unattributed)", "(idle)"]


def test_nesting_is_drawn() -> None:
    lines = record_lines(nested(), View(top=0))
    assert [line.guide + line.label for line in lines[:6]] == [
        "captioner",
        "├─ decoder",
        "│  ├─ block_0",
        "│  │  ├─ attention",
        "│  │  ├─ feed_forward",
        "│  │  └─ norm",
    ]
    assert "├─ own ops" in [line.guide + line.label for line in lines]


def test_a_closed_layer_says_what_it_hides() -> None:
    closed = {line.label: line for line in record_lines(nested(), View(depth=1))}
    assert closed["decoder"].what == "Functional +16 inside"
    assert closed["decoder"].whole
    assert closed["decoder"].inferred_share == pytest.approx(0.3)
    assert not closed["captioner"].whole


def test_a_repeated_layer_says_how_often() -> None:
    norm = next(line for line in record_lines(nested(), View(top=0)) if line.path.endswith("block_0/norm"))
    assert norm.what == "LayerNormalization ×3"


def test_a_missing_level_does_not_orphan_its_layers() -> None:
    rows = [line for line in nested().layers if not line.path.endswith("decoder")]
    assert [line.path for line in layer_lines(rows) if line.depth == 0] == ["captioner", "(idle)"]


def test_two_layers_of_one_name_are_both_shown() -> None:
    rows = layer_rows("m", {"m": "Model"}, [("m/a", "Dense", 1.0, 0.0, 0.0, 0.0)], 4.0)
    rows.append(msgspec.structs.replace(rows[1], type="Conv2D"))
    rows[0] = msgspec.structs.replace(rows[0], total_ms=2.0, total_share=0.5, forward_ms=2.0)
    assert [line.type for line in layer_lines(rows)] == ["Model", "Dense", "Conv2D"]


def test_a_tree_as_deep_as_a_file_wants() -> None:
    deep = "/".join(["m"] * 2000)
    rows = layer_rows("m", {}, [(deep, "Dense", 1.0, 0.0, 0.0, 0.0)], 1.0)
    assert len(layer_lines(rows, top=0)) == 2000

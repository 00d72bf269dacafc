"""Who is ahead, when a start is earned back, and what the sentences say."""

from __future__ import annotations

import msgspec
import pytest
from comparisons_for_tests import CAUSE, arm, four, interval, result, run, timing

from bench.compare import disagreements
from tfopt.model.source import ModelSource
from tfopt.profiling.arms import entries
from tfopt.profiling.comparison import compared
from tfopt.profiling.ranking import BASELINE, Span, break_even, clocks_disagree, rank, span_of
from tfopt.profiling.variants import parse_variant
from tfopt.profiling.verdicts import amount, verdict
from tfopt.records.comparison import BreakEven
from tfopt.records.duel import Interval
from tfopt.report import render
from tfopt.report.view import View
from tfopt.workload.duel import Contestant, DuelOutcome
from tfopt.workload.options import Options


def test_arms_that_cannot_be_told_apart_share_a_rank() -> None:
    spans = [BASELINE, Span(0.8, 0.78, 0.82), Span(0.81, 0.79, 0.83), Span(7.5, 7.2, 7.8), None]
    assert rank(spans, 0.05) == (3, 1, 1, 4, None)


def test_the_bench_sees_ranks_that_are_wrong_or_say_nothing() -> None:
    ratios = {"graph": 1.0, "xla": 1.04, "eager": 1.2}
    assert disagreements({"graph": 1, "xla": 1, "eager": 3}, ratios) == []
    assert disagreements({"graph": 2, "xla": 1, "eager": 3}, ratios) == []
    assert disagreements({"graph": 3, "xla": 1, "eager": 1}, ratios) == ["eager before graph", "xla not before eager"]
    assert disagreements(dict.fromkeys(ratios, 1), ratios) == ["graph not before eager", "xla not before eager"]
    assert disagreements({"graph": 1, "xla": 1, "eager": None}, ratios) == [
        "graph not before eager",
        "xla not before eager",
    ]


def test_a_difference_within_the_tolerance_is_none() -> None:
    spans = [BASELINE, Span(0.97, 0.96, 0.98)]  # surely faster, and by too little to matter
    assert rank(spans, 0.05) == (1, 1)
    assert rank(spans, 0.01) == (2, 1)


def test_a_wide_interval_is_behind_nobody_that_it_overlaps() -> None:
    assert rank([BASELINE, Span(1.5, 0.9, 2.5), Span(0.8, 0.79, 0.81)], 0.05) == (2, 2, 1)
    assert rank([BASELINE, Span(1.5, 0.7, 2.5), Span(0.8, 0.79, 0.81)], 0.05) == (2, 1, 1)


def test_one_process_gives_no_bounds_but_for_an_arm_that_is_far_off() -> None:
    alone = Interval(ratio=8.0, low=None, high=None, processes=1, pairs=2)
    assert span_of(alone, False) is None
    assert span_of(None, True) is None
    span = span_of(alone, True)
    assert span is not None
    assert span.low < 8.0 < span.high
    assert span.low > 2  # which is why it was stopped


@pytest.mark.parametrize(
    ("ratio", "compile_s", "kind", "steps"),
    [
        (0.8, 14.0, "from", 500),  # 10 s more, 20 ms saved in each step of 100 ms
        (0.8, 4.0, "always", None),
        (0.8, 1.0, "always", None),
        (1.5, 14.0, "never", None),
        (1.5, 4.0, "never", None),
        (1.5, 2.0, "until", 40),  # 2 s less, 50 ms lost in each step
    ],
)
def test_break_even(ratio: float, compile_s: float, kind: str, steps: int | None) -> None:
    found = break_even(
        timing("graph", 100.0), timing("xla", 100.0 * ratio, compile_s), Span(ratio, ratio - 0.01, ratio + 0.01)
    )
    assert (found.kind, found.steps) == (kind, steps)
    assert found.extra_s == pytest.approx(compile_s - 4.0)


def test_break_even_counts_the_arm_s_own_steps() -> None:
    """Twice the batch at 0.8 × the time per example: a step of 160 ms saves 40 ms of the baseline's 200."""
    found = break_even(timing("16", 100.0, 4.0, 16), timing("32", 160.0, 14.0, 32), Span(0.8, 0.79, 0.81))
    assert (found.kind, found.steps) == ("from", 250)


def test_break_even_is_unknown_where_the_two_are_not_told_apart() -> None:
    pair = timing("graph", 100.0), timing("xla", 99.0, 9.0)
    assert break_even(*pair, Span(0.99, 0.95, 1.03)).kind == "unknown"
    assert break_even(*pair, None).kind == "unknown"
    assert break_even(timing("graph", None), timing("xla", None), Span(0.5, 0.4, 0.6)).kind == "unknown"


def test_the_clocks_disagree_only_where_both_are_sure() -> None:
    faster, slower, unsure = interval(0.7, 0.02), interval(1.4, 0.1), interval(1.1, 0.2)
    assert clocks_disagree(result("xla", "FASTER", wall=faster, cpu=slower))
    assert clocks_disagree(result("xla", "SLOWER", wall=slower, cpu=faster))
    assert not clocks_disagree(result("xla", "FASTER", wall=faster, cpu=unsure))
    assert not clocks_disagree(result("xla", "FASTER", wall=faster, cpu=faster))


@pytest.mark.parametrize(
    ("ratio", "half", "text"),
    [
        (7.5, 0.3, "7.5 ± 0.3 × slower"),
        (7.5, 0.03, "7.50 ± 0.03 × slower"),
        (75.0, 12.0, "75 ± 12 × slower"),
        (1.12, 0.03, "12 ± 3 % slower"),
        (0.82, 0.02, "18 ± 2 % faster"),
        (0.5, 0.025, "2.00 ± 0.10 × faster"),
    ],
)
def test_amounts(ratio: float, half: float, text: str) -> None:
    assert amount(result("x", "SLOWER", ratio, half)) == text


def test_an_amount_by_cpu_time_says_so() -> None:
    assert amount(result("x", "SLOWER", clock="cpu", cpu=interval(1.2, 0.02))) == "20 ± 2 % slower by CPU time"


@pytest.mark.parametrize(
    ("low", "ratio", "high", "text"),
    [(3.93, 14.83, 156.03, "3.9 to 156 × slower"), (0.1, 0.25, 0.625, "1.6 to 10 × faster")],
)
def test_a_wide_interval_is_told_by_its_ends(low: float, ratio: float, high: float, text: str) -> None:
    wide = Interval(ratio=ratio, low=low, high=high, processes=2, pairs=12, log_ratios=())
    assert amount(result("x", "SLOWER", wall=wide)) == text


def test_the_answer_is_the_fastest() -> None:
    assert four().verdict == (
        "mixed_bfloat16 is 18 ± 2 % faster than graph",
        "xla is 7.5 ± 0.3 × slower here: 17 depthwise convolutions have no fast kernel under XLA on CPU",
        "not decided: mixed_float16; more --max-time or a quieter machine would tell",
        "xla+float16: crashed, the process was ended by signal 11 while compiling",
    )


def test_the_answer_is_useful_where_nothing_helps() -> None:
    slow = arm("xla", result("xla", "SLOWER", 2.0, 0.1), timing("xla", 20.0), rank=2, causes=(CAUSE,))
    same = arm("float32", result("float32", "SAME", 1.0, 0.02), timing("float32", 10.0), rank=1)
    unsure = arm("eager", result("eager", "INCONCLUSIVE", 1.1, 0.2), timing("eager", 11.0), rank=1)
    base = arm("graph", None, timing("graph", 10.0), rank=1)
    assert verdict([base, same, slow], "graph") == (
        "nothing is faster here than graph",
        f"xla is 2.00 ± 0.10 × slower here: {CAUSE.message}",
        "float32 takes as long as graph, within 5 %",
    )
    assert verdict([base, unsure, slow], "graph")[0] == "nothing is surely faster here than graph"
    failed = arm("xla", result("xla", "REFUSED", reason="no"), timing("xla", None))
    assert verdict([base, failed], "graph") == ("nothing could be compared with graph", "xla: refused, no")


def test_what_only_cpu_time_could_tell_is_told_as_such() -> None:
    base = arm("graph", None, timing("graph", 10.0), rank=1)
    same = arm("float32", result("float32", "SAME", clock="cpu"), timing("float32", 10.0))
    assert verdict([base, same], "graph")[1] == (
        "float32 takes as much CPU time as graph, within 5 %; wall time could not tell"
    )
    assert verdict([base, same], "graph", "cpu")[1] == "float32 takes as much CPU time as graph, within 5 %"
    fast = [arm(label, result(label, "FASTER", 0.8, clock="cpu"), timing(label, 8.0)) for label in "ab"]
    assert verdict([base, *fast], "graph")[0] == "a and b take less CPU time than graph"


def test_nothing_is_claimed_of_arms_that_were_not_measured() -> None:
    slow = arm("xla", result("xla", "SLOWER", 2.0, 0.1), timing("xla", 20.0), rank=2)
    hung = arm("eager", result("eager", "HUNG", reason="no answer"), timing("eager", None))
    base = arm("graph", None, timing("graph", 10.0), rank=1)
    assert verdict([base, slow, hung], "graph")[0] == "of what was measured, nothing is faster here than graph"


def test_what_would_tell_more_depends_on_what_ended_it() -> None:
    base = arm("graph", None, timing("graph", 10.0), rank=1)
    unsure = [
        arm(str(ended), result(str(ended), "INCONCLUSIVE", 1.05, ended=ended), timing(str(ended), 10.5), rank=1)
        for ended in ("decided", "time", "processes", "interrupted")
    ]
    assert verdict([base, *unsure], "graph")[1:] == (
        "not decided: decided; a change too near the tolerance to call",
        "not decided: time; more --max-time or a quieter machine would tell",
        "not decided: processes; more --processes or a quieter machine would tell",
        "not decided: interrupted; measuring ended before it was",
    )


def test_ranks_are_by_one_clock_and_arms_that_failed_have_none() -> None:
    entries_ = entries(
        [ModelSource("m", "m", "keras", 1, None)],
        [parse_variant(name) for name in ("graph", "xla", "eager", "float32")],
        (None,),
        Contestant("", "", Options()),
    )
    given = {"low": 0.7, "high": 1.4, "ratio": 1.0, "processes": 4, "pairs": 24}
    results = (
        result("xla", "FASTER", clock="cpu", wall=Interval(**given), cpu=interval(0.8, 0.01), resolvable=0.06),
        result("eager", "CRASHED", wall=interval(2.0, 0.1), cpu=interval(2.0, 0.1), resolvable=0.5),
        result("float32", "SAME", 1.0, 0.01, resolvable=0.05),
    )
    timings = tuple(timing(entry.contestant.label, 10.0) for entry in entries_)
    record = compared(run(), entries_, DuelOutcome(timings, results), [])
    arms = {arm.label: arm for arm in record.arms}
    assert {label: arm.rank for label, arm in arms.items()} == {"graph": 1, "float32": 1, "xla": None, "eager": None}
    assert arms["eager"].break_even == BreakEven(kind="unknown", extra_s=None)
    assert record.resolvable == 0.05
    assert "no rank for xla: wall time could not tell" in record.notes[0].message
    shown = render(record, View(width=100)).splitlines()
    assert next(line.split()[1] for line in shown if line.startswith("xla ")) == "–"
    asked = compared(run(clock="cpu"), entries_, DuelOutcome(timings, results), [])
    assert {arm.label: arm.rank for arm in asked.arms}["xla"] == 1


def test_several_that_are_fastest_are_named_together() -> None:
    first = arm("a", result("a", "FASTER", 0.80, 0.02), timing("a", 8.0), rank=1)
    second = arm("b", result("b", "FASTER", 0.81, 0.02), timing("b", 8.1), rank=1)
    base = arm("graph", None, timing("graph", 10.0), rank=3)
    assert verdict([first, second, base], "graph") == (
        "a and b are fastest and not told apart",
        "a is 20 ± 2 % faster",
        "b is 19 ± 2 % faster",
    )


def test_causes_are_told_of_slow_arms_alone() -> None:
    fast = arm("xla", result("xla", "FASTER", 0.5, 0.02), timing("xla", 5.0), rank=1, causes=(CAUSE,))
    base = arm("graph", None, timing("graph", 10.0), rank=2)
    assert CAUSE.message not in " ".join(verdict([fast, base], "graph"))
    assert msgspec.json.encode(fast)  # it stays in the record

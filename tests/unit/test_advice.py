"""Advice: every rule speaks of a step that has its problem, and is silent on one that just has not."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest
from steps_for_tests import (
    CASES,
    DEPTHWISE,
    GPU,
    TABLE,
    UPDATES,
    Op,
    activated,
    fact,
    grouped,
    looping,
    named,
    profiled,
    retraced,
    under_xla,
    waiting,
)

from tfopt.cli.main import COMMANDS
from tfopt.model.source import ModelSource
from tfopt.profiling.advice import RULES, advise
from tfopt.profiling.arms import entries
from tfopt.profiling.notes import remarks
from tfopt.profiling.variants import parse_variant
from tfopt.records.advice import Advice
from tfopt.records.base import Note
from tfopt.records.profile import ProfileRecord
from tfopt.workload.duel import Contestant
from tfopt.workload.options import Options


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_speaks_of_its_problem_and_of_nothing_else(rule: Callable[[ProfileRecord], Any]) -> None:
    for id, problem, sound in CASES[rule]:
        found = [advice for advice in rule(problem) if advice.id == id]
        assert len(found) == 1, id
        assert_well_said(found[0])
        for silent in sound:
            assert [advice.id for advice in rule(silent)] == [], id


def assert_well_said(advice: Advice) -> None:
    """Numbers in evidence, gains that are fractions, a command that a shell splits."""
    assert advice.message
    assert advice.action or not advice.command
    assert advice.evidence
    if advice.gain_low is not None:
        assert 0 <= advice.gain_low <= (1 if advice.gain_high is None else advice.gain_high) <= 1
    if advice.command:
        assert_accepted(advice.command)


def assert_accepted(line: str) -> None:
    """The verb's own parsers read it, and `tfopt compare` finds at least two different arms in it."""
    tfopt, verb, *words = shlex.split(line)
    assert tfopt == "tfopt"
    options = import_module(COMMANDS[verb][0]).command.make_context(verb, words).params
    if verb == "compare":
        variants = [parse_variant(name) for name in options["variants"]]
        source = ModelSource("m.keras", "m", "keras", None, None)
        arms = entries([source], variants, options["batch_sizes"] or (None,), Contestant("", "", Options()))
        assert len({(arm.contestant.options, arm.contestant.device) for arm in arms}) == len(arms)
    else:
        assert verb == "profile"


@pytest.mark.parametrize("precision", ["float32", "mixed_float16", "bfloat16", "float64", "float32, mixed_bfloat16"])
@pytest.mark.parametrize("program", [{}, {"xla": True}, {"eager": True}])
@pytest.mark.parametrize("data", ["synthetic", "x.npz", "my.module:batches"])
def test_tfopt_accepts_the_commands_of_all_advice(precision: str, program: dict[str, bool], data: str) -> None:
    run = {"precision": precision, "data": data, **program}
    for cases in CASES.values():
        for _, problem, _ in cases:
            for advice in advise(msgspec.structs.replace(problem, run=msgspec.structs.replace(problem.run, **run))):
                assert_well_said(advice)


ALL = (80.0, 95.0, 100.0)  # ms of the step


@pytest.mark.parametrize("ms", ALL)
def test_what_takes_nearly_all_of_a_step_does_not_save_more_than_that(ms: float) -> None:
    in_graph: Op = ("EagerPyFunc", "m/p/EagerPyFunc", "m/p", "unattributed", ms)
    tables = profiled(TABLE, UPDATES, rows={"m/e": ("Embedding", 0.0, 0.0, ms)})
    shared: list[Op] = [("MatMul", f"m/a{n}/MatMul", "m/a", "forward", ms / 3) for n in ("", "_1")]
    shared.append(("MatMul", "gradient_tape/m/a_1/MatMul/MatMul", "m/a", "backward", ms / 3))
    steps = [
        under_xla("lone_random", "Dropout", ms, 0.0, 0.0),
        named("needless_transposes", ms),
        named("float64", ms),
        profiled(fact("python_function", "m/p"), ops=[in_graph], rows={}, brackets={"unattributed": ms}),
        profiled(rows={}, executor=ms / 100 - 0.05),
        tables,
        profiled(fact("repeated_work", "m/a", ops=("m/a_1/MatMul",), repeats=("m/a/MatMul",)), ops=shared, rows={}),
        looping(ms),
        grouped(ms),
        activated(ms),
        waiting(ms),
    ]
    for step in steps:
        found = advise(step)
        assert found
        for advice in found:
            assert_well_said(advice)


def test_there_is_no_advice_without_facts() -> None:
    """A record of an older version still reads; rules that look at its own numbers alone still speak."""
    made = msgspec.structs.replace(retraced(1), facts=None)
    assert [one.id for one in advise(made)] == ["retracing"]


def test_advice_is_ranked_by_severity_then_by_gain() -> None:
    made = profiled(
        DEPTHWISE, UPDATES, rows={"m/a": ("Dense", 20.0, 15.0, 60.0)}, executor=0.05, timing={"input_ms": 15.0}
    )
    assert [one.id for one in advise(made)] == ["optimizer-share", "input-bound", "xla-would-be-slower"]


def test_off_the_cpu_nothing_is_read_off_tables_that_show_the_host() -> None:
    on_gpu = [
        msgspec.structs.replace(problem, run=msgspec.structs.replace(problem.run, device=GPU))
        for cases in CASES.values()
        for _, problem, _ in cases
    ]
    said = {advice.id: advice.message for step in on_gpu for advice in advise(step)}
    assert set(said) == {
        *("eager", "half-unsupported", "input-bound", "odd-dimensions", "recurrence-unfused", "retracing")
    }
    assert [id for id, message in said.items() if "of the step" in message] == ["input-bound"]


def test_notes_no_longer_say_what_advice_says() -> None:
    said: list[Note] = [
        note
        for made in (retraced(1), profiled(executor=0.5), under_xla("lone_random", "Dropout", 50.0, 40.0, 0.0))
        for note in remarks(made)
    ]
    assert not [note for note in said if any(word in note.message for word in ("traced", "XLA", "own work"))]


def test_every_rule_is_documented() -> None:
    documented = (Path(__file__).parents[2] / "docs" / "advice.md").read_text(encoding="utf-8")
    assert [id for cases in CASES.values() for id, *_ in cases if f"| `{id}` |" not in documented] == []

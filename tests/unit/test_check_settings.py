"""What a person may set for a check: every mistake is named, and the published schema knows all of it."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import jsonschema
import pytest
from cli_for_tests import ROOT

from tfopt.checks.settings import merged, read_table, read_tables
from tfopt.checks.subjects import subjects_of
from tfopt.cli.check import command
from tfopt.cli.settings import Setting
from tfopt.errors import UsageError
from tfopt.records.check_settings import (
    AccuracySettings,
    BudgetSettings,
    CheckSettings,
    ModelSettings,
    TimingSettings,
)
from tfopt.records.schema import SETTINGS, settings_text
from tfopt.workload.options import Options
from tfopt.workload.workers.contestant import Contestant

SCHEMA = ROOT / "docs" / "schema" / SETTINGS
EXAMPLES = sorted((ROOT / "configs").glob("check-*.toml"))
GENERAL = ModelSettings(model="", budgets={"max_params": 10, "dtypes": ["float32"]}, timing={"tolerance": 0.1})
BASE = Contestant("", "", Options())


@pytest.mark.parametrize(
    ("kind", "table", "message", "hint"),
    [
        (BudgetSettings, {"max_parms": 1}, "unknown key 'max_parms' in check.x", "did you mean max_params?"),
        (BudgetSettings, {"max_params": "many"}, "max_params in check.x: expected `float | null`", "mend [check.x]"),
        (BudgetSettings, {"max_params": -1}, "max_params in check.x: expected `float` >= 0.0, not -1", "mend"),
        (
            BudgetSettings,
            {"min_sparsity": 80},
            "min_sparsity in check.x: expected `float` <= 1.0, not 80",
            "a share: 0.8 is 80 %",
        ),
        (BudgetSettings, {"max_params": float("nan")}, "max_params in check.x is no limit: nan", "write a number"),
        (
            BudgetSettings,
            {"max_params_increase": 5},
            "max_params_increase in check.x: expected `float` <= 1.0",
            "a share",
        ),
        (BudgetSettings, {"dtypes": ["flot32"]}, "dtypes[0] in check.x: invalid enum value 'flot32'", "mend"),
        (BudgetSettings, {"dtypes": []}, "dtypes in check.x: expected `array` of length >= 1", "mend"),
        (BudgetSettings, {"dtypes": "float32"}, "dtypes in check.x: expected `array | null`", "mend"),
        (AccuracySettings, {"min_cosine": 1.5}, "min_cosine in check.x: expected `float` <= 1.0, not 1.5", "mend"),
        (AccuracySettings, {"samples": 0}, "samples in check.x: expected `int` >= 1, not 0", "mend"),
        (AccuracySettings, {"zzz": 0}, "unknown key 'zzz' in check.x", "known here: max_rel, min_cosine"),
        (
            TimingSettings,
            {"tolerance": 5},
            "tolerance in check.x: expected `float` < 1.0, not 5",
            "a share: 0.05 is 5 %",
        ),
        (TimingSettings, {"tolerance": 0}, "tolerance in check.x: expected `float` > 0.0, not 0", "mend"),
        (TimingSettings, 3, "check.x is no table: 3", "write [check.x] above its keys"),
        (ModelSettings, {"label": "x"}, "check.x: object missing required field `model`", "mend"),
    ],
)
def test_mistakes_name_the_key(kind: Any, table: Any, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        read_table(kind, table, "check.x")
    assert raised.value.message.startswith(message)
    assert raised.value.hint.startswith(hint)


@pytest.mark.parametrize("tables", ["m.keras", {"model": "m.keras"}, 3])
def test_models_are_an_array_of_tables(tables: Any) -> None:
    with pytest.raises(UsageError, match=r"check.models is no array of tables"):
        read_tables(tables, "check.models")


def test_a_mistake_in_one_model_s_limits_says_whose() -> None:
    table = ModelSettings(model="a/m.keras", budgets={"max_params": 1, "min_parms": 2})
    with pytest.raises(UsageError, match=r"unknown key 'min_parms' in budgets of m\.keras"):
        subjects_of([], [table], GENERAL, BASE)


def test_a_model_s_own_limits_go_before_the_general_ones_key_by_key() -> None:
    own = ModelSettings(model="a/m.keras", baseline="b.keras", budgets={"max_params": 20}, data="x.npz")
    first, second = subjects_of([], [own, ModelSettings(model="n.keras")], GENERAL, BASE)
    assert (first.label, first.candidate.model) == ("m.keras", "a/m.keras")
    assert first.budgets == {"max_params": 20, "dtypes": ["float32"]}
    assert first.baseline is not None
    assert (first.baseline.model, first.baseline.options.data) == ("b.keras", "x.npz")
    assert (second.budgets["max_params"], second.baseline, second.candidate.options.data) == (10, None, "synthetic")
    assert second.timing == TimingSettings(tolerance=0.1)


def test_the_tolerance_of_the_command_line_goes_before_all() -> None:
    own = ModelSettings(model="m.keras", timing={"tolerance": 0.2, "wall_tolerance": 0.4})
    (subject,) = subjects_of([], [own], GENERAL, BASE, tolerance=0.03)
    assert subject.timing == TimingSettings(tolerance=0.03, wall_tolerance=0.4)


def test_models_are_chosen_by_path_or_label_and_others_come_with_the_general_limits() -> None:
    known = [ModelSettings(model="a.keras", label="a", budgets={"max_params": 1}), ModelSettings(model="b.keras")]
    named = [ModelSettings(model=name) for name in ("a", "b.keras", "c.keras")]
    (same,) = subjects_of([ModelSettings(model="./x/../a.keras")], known, GENERAL, BASE)
    assert same.budgets["max_params"] == 1
    found = subjects_of(named, known, GENERAL, BASE)
    assert [(one.candidate.model, one.budgets["max_params"]) for one in found] == [
        ("a.keras", 1),
        ("b.keras", 10),
        ("c.keras", 10),
    ]


def test_two_models_of_one_name_need_labels() -> None:
    with pytest.raises(UsageError, match=r"2 models are called m\.keras"):
        subjects_of([ModelSettings(model="a/m.keras"), ModelSettings(model="b/m.keras")], [], GENERAL, BASE)


def test_no_model_has_the_name_of_another_s_baseline() -> None:
    of_m = ModelSettings(model="m.keras", baseline="b.keras")
    with pytest.raises(UsageError, match=r"2 models are called the baseline of m\.keras"):
        subjects_of([], [of_m, ModelSettings(model="n.keras", label="the baseline of m.keras")], GENERAL, BASE)


def test_limits_that_allow_nothing_are_named() -> None:
    table = ModelSettings(model="m.keras", budgets={"min_params": 11})
    with pytest.raises(UsageError, match=r"min_params is 11 and max_params is 10 in budgets of m\.keras"):
        subjects_of([], [table], GENERAL, BASE)
    subjects_of([], [ModelSettings(model="m.keras", budgets={"min_params": 10})], GENERAL, BASE)


def test_general_limits_are_checked_under_their_own_name() -> None:
    with pytest.raises(UsageError, match=r"tolerence.* in check\.timing"):
        merged(TimingSettings, {"tolerence": 1}, {}, "check.timing", "timing of m")


def test_the_published_schema_is_current() -> None:
    assert SCHEMA.read_text() == settings_text(), "run `make schema`"


def test_the_schema_knows_every_setting_of_the_command() -> None:
    keys = {setting.key for setting in command.params if isinstance(setting, Setting) and setting.in_files}
    assert keys == set(CheckSettings.__struct_encode_fields__)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_follow_the_schema(example: Any) -> None:
    jsonschema.validate(tomllib.loads(example.read_text()), json.loads(SCHEMA.read_text()))


@pytest.mark.parametrize(
    "wrong",
    [
        {"budgets": {"max_parms": 1}},
        {"models": [{"model": "m", "timing": {"tolerance": 5}}]},
        {"models": [{"model": "m", "budgets": {"max_parms": 5}}]},
        {"models": [{"baseline": "m"}]},
        {"sed": 1},
    ],
)
def test_the_schema_refuses_what_the_command_refuses(wrong: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"check": wrong}, json.loads(SCHEMA.read_text()))

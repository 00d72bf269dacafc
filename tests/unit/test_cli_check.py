"""`tfopt check`: what it asks the library for, from flags and tables of a file, and its exit codes."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_for_tests import ROOT, Here

from tfopt.errors import InputError
from tfopt.records.check import CheckRecord, CheckRun
from tfopt.records.facts import Environment

STRICT = ROOT / "configs" / "check-strict.toml"


class Checker:
    """Stands for `tfopt.check`."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.exit_code = 0
        self.error: BaseException | None = None

    def __call__(self, model: Any, **options: Any) -> CheckRecord:
        self.asked = {"model": model, **options}
        if self.error is not None:
            raise self.error
        run = CheckRun(
            config=options["config"],
            lock=None,
            updated=False,
            strict=options["strict"],
            environment=Environment(tensorflow="2.21.0", keras="3.15.0", cpu="some, 2 threads"),
            max_seconds=options["max_time"],
            seconds=1.0,
            cpu_seconds=2.0,
            seed=0,
            threads=2,
            command=options["command"],
            started_at="2026-11-21T20:00:00+00:00",
            tfopt="0.1.0",
            python="3.11.7",
        )
        return CheckRecord(run=run, exit_code=self.exit_code, models=())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    return Here(tmp_path, monkeypatch, capfd)


@pytest.fixture
def checker(monkeypatch: pytest.MonkeyPatch) -> Checker:
    found = Checker()
    monkeypatch.setattr("tfopt.checks.pipeline.check", found)
    return found


def check(here: Here, *args: str) -> Any:
    return here("check", *args, "--format", "json")


def test_options_are_the_library_s_keywords_and_have_its_defaults(here: Here) -> None:
    from tfopt.checks import pipeline

    known = inspect.signature(pipeline.check).parameters
    with pytest.MonkeyPatch.context() as patch:
        checker = Checker()
        patch.setattr(pipeline, "check", checker)
        check(here, "m.keras")
    assert set(checker.asked) <= set(known)
    for name in set(checker.asked) - {"model", "command", "progress"}:
        assert checker.asked[name] == known[name].default, name


def test_every_option_arrives(here: Here, checker: Checker) -> None:
    check(
        *(here, "a.keras", "b.keras", "--baseline", "old.keras", "--only", "budgets,timing", "--lock", "x.json"),
        *("--update", "--tolerance", "3%", "--max-time", "2m", "--self-test", "--strict", "--batch-size", "8"),
        *("--input-shape", "a=3,4", "--input-size", "96", "--data", "x.npz", "--loss", "mse", "--optimizer", "sgd"),
        *("--import", "a.b", "--unsafe", "--mode", "infer", "--xla", "--device", "gpu", "--seed", "3"),
        *("--threads", "2"),
    )
    asked = dict(checker.asked)
    assert callable(asked.pop("progress"))
    assert asked.pop("command").startswith("tfopt check a.keras b.keras --baseline old.keras --only budgets,timing")
    assert asked == {
        "model": ("a.keras", "b.keras"),
        "baseline": "old.keras",
        "only": ("budget", "timing"),
        "lock": "x.json",
        "update": True,
        "tolerance": 0.03,
        "max_time": 120.0,
        "self_test": True,
        "strict": True,
        "batch_size": 8,
        "input_shape": ("a=3,4",),
        "input_size": 96,
        "data": "x.npz",
        "loss": "mse",
        "optimizer": "sgd",
        "imports": ("a.b",),
        "unsafe": True,
        "mode": "infer",
        "xla": True,
        "device": "gpu",
        "seed": 3,
        "threads": 2,
        "config": None,
    }


def test_tables_of_a_file_arrive_as_they_stand_there(here: Here, checker: Checker) -> None:
    text = 'seed = 5\n[check]\nbaseline = "b"\n[check.budgets]\nmax_params = 3\n[[check.models]]\nmodel = "a"\n'
    Path("c.toml").write_text(text)
    check(here, "--config", "c.toml")
    asked = {name: checker.asked[name] for name in ("model", "baseline", "budgets", "models", "config", "seed")}
    assert asked == {
        "model": (),
        "baseline": "b",
        "budgets": {"max_params": 3},
        "models": [{"model": "a"}],
        "config": "c.toml",
        "seed": 5,
    }


def test_pyproject_has_the_same_tables_and_other_commands_let_them_be(here: Here, checker: Checker) -> None:
    Path("pyproject.toml").write_text('[tool.tfopt.check.timing]\ntolerance = 0.1\n[tool.tfopt]\nmodel = "m.keras"\n')
    check(here)
    assert (checker.asked["model"], checker.asked["timing"]) == (("m.keras",), {"tolerance": 0.1})
    assert here("profile").code == 0


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (["--only", "speed"], "'speed' is none of budgets, accuracy, timing"),
        (["--only", "budget,x"], "'x' is none of budgets, accuracy, timing"),
        (["--only", ","], "it names nothing"),
        (["--tolerance", "five"], "'five' is not a number such as 0.05"),
        (["--tolerance", "200%"], "200% must be between 0 and 100%"),
        (["--budgets", "3"], "no such option: --budgets"),
        (["-o", "check.xyz"], "no report format has this extension"),
    ],
)
def test_mistakes_are_usage_errors(here: Here, checker: Checker, args: list[str], error: str) -> None:
    said = check(here, "m", *args)
    assert (said.code, len(said.err.splitlines())) == (2, 2)
    assert error in said.err
    assert not checker.asked


@pytest.mark.parametrize(
    ("text", "error", "hint"),
    [
        ("[check]\nbugets = 1\n", "unknown key 'bugets' in [check] of c.toml", "did you mean budgets?"),
        ("[check.budgets]\nmax_parms = 1\n", "unknown key 'max_parms' in check.budgets", "did you mean max_params?"),
        ("[check]\nbudgets = 3\n", "check.budgets is no table: 3", "write [check.budgets] above its keys"),
        (
            "[check.timing]\ntolerance = 5\n",
            "tolerance in check.timing: expected `float` < 1.0, not 5",
            "a share: 0.05 is 5 %",
        ),
        ("[check]\nmodels = []\n[check.budgets]\nmax_params = 1\nmin_params = 2\n", "nothing is allowed", "general"),
        ('[check]\nbaseline = ""\n', "a model has no name", "is a variable empty?"),
        ('[[check.models]]\nmodel = "m.keras"\nbaseline = ""\n', "baseline in check.models[0]: expected", "mend"),
        ("check = 3\n", "'check' in the top of c.toml is no table", "write [check]"),
        ("[check]\nmodels = 3\n", "check.models is no array of tables", "write [[check.models]]"),
        ("[check.models]\nmodel = 3\n", "check.models is no array of tables", "write [[check.models]]"),
        ("[[check.models]]\nmodel = 3\n", "model in check.models[0]: expected `str`, got `int`, not 3", "mend"),
    ],
)
def test_mistakes_in_a_file_are_two_lines_and_exit_code_2(here: Here, text: str, error: str, hint: str) -> None:
    Path("c.toml").write_text(text)
    said = check(here, "m.keras", "--config", "c.toml")
    first, second = said.err.splitlines()
    assert said.code == 2
    assert error in first
    assert hint in second


def test_a_lock_that_cannot_be_read_is_exit_code_3(here: Here) -> None:
    Path("tfopt.lock.json").write_text('{"schema": "tfopt.lock/7", "models": {}}')
    said = check(here, "m.keras", "--only", "budgets")
    assert (said.code, len(said.err.splitlines()), said.out) == (3, 2, "")
    assert "tfopt.lock/7" in said.err


@pytest.mark.parametrize("code", [0, 1, 3, 4, 5])
def test_the_record_s_exit_code_is_the_command_s_and_the_answer_is_shown(
    here: Here, checker: Checker, code: int
) -> None:
    checker.exit_code = code
    said = check(here, "m.keras", "-o", "c.json")
    assert said.code == code
    assert json.loads(said.out)["exit_code"] == json.loads(Path("c.json").read_text())["exit_code"] == code


def test_an_error_is_two_lines(here: Here, checker: Checker) -> None:
    checker.error = InputError("the lock is damaged", "write it anew")
    assert (check(here, "m").code, check(here, "m").out) == (3, "")


def test_the_example_shows_every_option_and_its_value(here: Here, checker: Checker) -> None:
    from tfopt.records.check_settings import AccuracySettings, CheckSettings, TimingSettings

    assert check(here, "m.keras", "--config", str(STRICT)).code == 0
    assert checker.asked["only"] == ("budget", "accuracy", "timing")
    assert checker.asked["max_time"] == 600.0
    text = STRICT.read_text().replace("\n# ", "\n")
    keys = set(CheckSettings.__struct_encode_fields__) - {"budgets", "accuracy", "timing", "models"}
    keys |= {*AccuracySettings.__struct_fields__, *TimingSettings.__struct_fields__}
    assert {key for key in keys if f"\n{key} = " not in text} == set()


@pytest.mark.parametrize("name", ["smoke", "strict", "release"])
def test_the_library_takes_the_examples(here: Here, name: str) -> None:
    """All but the models, which are not there: each is a verdict of its own, and so the command's."""
    Path("tfopt.lock.json").write_text('{"schema": "tfopt.lock/9", "models": {}}')
    said = check(here, *(["m.keras", "--baseline", "b.keras"] if name == "strict" else []), "--config",
                 str(ROOT / "configs" / f"check-{name}.toml"))  # fmt: skip
    assert (said.code, "tfopt.lock/9" in said.err) == (3, True)


def test_help_comes_without_tensorflow(tmp_path: Path) -> None:
    code = (
        "import sys; from tfopt.cli.main import main; main(['check', '--help']); import tfopt.checks.pipeline; "
        "print('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.endswith("False\n")
    assert "--self-test" in said.stdout


def test_ctrl_c_shows_and_writes_what_was_judged(here: Here, checker: Checker) -> None:
    checker.exit_code = 130
    said = here("check", "m.keras", "-o", "out.json")
    assert (said.code, said.err.splitlines()[-1]) == (130, "interrupted")
    assert "INTERRUPTED" in said.out
    assert json.loads(Path("out.json").read_text())["exit_code"] == 130

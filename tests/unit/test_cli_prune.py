"""`tfopt prune`: what it asks the library for, what it refuses at once, and how it ends."""

from __future__ import annotations

import inspect as introspection
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cli_for_tests import ROOT, Here
from prunings_for_tests import PRUNINGS

from tfopt.cli.main import cli
from tfopt.cli.settings import Setting
from tfopt.pruning.pipeline import prune
from tfopt.records.pruning import PruningRecord


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the library was asked for last; what it gives is named by the model: `pruning-collapsed`."""
    kept: dict[str, Any] = {}

    def pretend(model: str, **options: Any) -> PruningRecord:
        kept.clear()
        kept.update(model=model, **options)
        record = PRUNINGS.get(model, PRUNINGS["pruning"])()
        run = msgspec.structs.replace(record.run, interrupted=model == "interrupted")
        return msgspec.structs.replace(record, run=run)

    monkeypatch.setattr("tfopt.pruning.pipeline.prune", pretend)
    return kept


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    return Here(tmp_path, monkeypatch, capfd)


def test_options_are_the_library_s_keywords(here: Here, asked: dict[str, Any]) -> None:
    known = introspection.signature(prune).parameters
    assert here("prune", "m.keras").code == 0
    assert set(asked) == set(known)
    for name in set(known) - {"model", "command", "progress"}:
        assert asked[name] == known[name].default, name
    assert asked["command"] == "tfopt prune m.keras"


def test_every_option_arrives(here: Here, asked: dict[str, Any]) -> None:
    line = "--batch-size 8 --input-shape 5 --input-size 96 --data x.npz --eval-data y.npz --samples 9 --loss mse"
    line += " --import a.b --unsafe --seed 3 --threads 2 --threshold 0.5 --sparsity 0.5 --nm 2:4 --threshold-mode std"
    line += " --criterion fisher --scope layer --include a/* --exclude b/* --sensitivity --finetune 4 --lr 0.1"
    line += " --schedule cubic --steps 2 --recalibrate-bn --resume --no-latency --max-time 2m -o out.keras -o out.json"
    line += " --compress --dry-run --force"
    assert here("prune", "m.h5", *line.split()).code == 0
    wanted: dict[str, Any] = {"model": "m.h5", "batch_size": 8, "input_shape": ("5",), "input_size": 96}
    wanted |= {"data": "x.npz", "eval_data": "y.npz", "samples": 9, "loss": "mse", "imports": ("a.b",), "unsafe": True}
    wanted |= {"seed": 3, "threads": 2, "threshold": 0.5, "sparsity": 0.5, "nm": "2:4", "threshold_mode": "std"}
    wanted |= {"criterion": "fisher", "scope": "layer", "include": ("a/*",), "exclude": ("b/*",), "sensitivity": True}
    wanted |= {"finetune": 4, "lr": 0.1, "schedule": "cubic", "steps": 2, "recalibrate_bn": True, "resume": True}
    wanted |= {"latency": False, "max_time": 120.0, "output": "out.keras", "compress": True, "dry_run": True}
    wanted |= {"force": True}
    assert {name: asked[name] for name in set(asked) - {"command", "progress"}} == wanted
    assert (here.folder / "out.json").exists()


def test_the_model_may_come_from_a_file(here: Here, asked: dict[str, Any]) -> None:
    (here.folder / "pyproject.toml").write_text('[tool.tfopt]\nmodel = "mine.keras"')
    assert here("prune", "--threshold", "0.5").code == 0
    assert (asked["model"], asked["threshold"]) == ("mine.keras", 0.5)


def test_what_is_removed_is_said_by_the_strongest(
    here: Here, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flag, then the environment, then a file, also where each says it in another way; only equals contradict."""
    (here.folder / "mine.toml").write_text('[prune]\nmodel = "m"\nsparsity = 0.8\nscope = "layer"\nsteps = 3')
    line = "prune", "--config", "mine.toml"
    names = "threshold", "threshold_mode", "sparsity", "nm", "scope", "steps"

    def asks(*flags: str) -> tuple[Any, ...]:
        assert here(*line, *flags).code == 0
        return tuple(asked[name] for name in names)

    assert asks() == (None, "absolute", 0.8, None, "layer", 3)
    assert asks("--threshold", "0.5") == (0.5, "absolute", None, None, None, None)
    assert asks("--nm", "2:4", "--scope", "erk") == (None, "absolute", None, "2:4", "erk", None)
    monkeypatch.setenv("TFOPT_THRESHOLD", "0.5")
    monkeypatch.setenv("TFOPT_THRESHOLD_MODE", "std")
    assert asks() == (0.5, "std", None, None, None, None)
    assert asks("--sparsity", "0.9") == (None, "absolute", 0.9, None, "layer", 3)
    assert asks("--sparsity", "0.9", "--nm", "2:4") == (None, "absolute", 0.9, "2:4", "layer", 3)


def test_a_collapse_is_exit_code_1_with_its_table(here: Here, asked: dict[str, Any]) -> None:
    said = here("prune", "pruning-collapsed", "-q")
    assert said.code == 1
    assert "nothing left" in said.out
    assert here("prune", "pruning-collapsed", "-q", "--force").code == 0


def test_an_interrupted_comparison_still_shows_the_answer(here: Here, asked: dict[str, Any]) -> None:
    said = here("prune", "interrupted", "-o", "out.md")
    assert (said.code, (here.folder / "out.md").exists()) == (130, True)
    assert "Written to" in said.out


@pytest.mark.parametrize("share", ["0.8", "80%"])
def test_a_sparsity_is_a_share_as_elsewhere(share: str, here: Here, asked: dict[str, Any]) -> None:
    assert here("prune", "m", "--sparsity", share).code == 0
    assert asked["sparsity"] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("line", "error", "help"),
    [
        ("prune", "MODEL is missing", "tfopt prune"),
        ("prune m --sparsity much", "'much' is not a number such as 0.05", ""),
        ("prune m --criterion fischer", "'fischer' is not one of", "did you mean fisher?"),
        ("prune m -o out.h5", "a pruned model is not written to out.h5", "name it out.keras"),
        ("prune m -o out", "a pruned model is not written to out", "name it out.keras"),
        ("prune m -o a.keras -o b.keras", "two models to write: a.keras and b.keras", "one .keras file"),
        ("prune m -o no/report.json", "the folder no does not exist", "mkdir"),
        ("prune m --format chrome", "chrome shows profiled runs only", "csv"),
        ("prune m --max-time 0", "must be above 0", ""),
    ],
)
def test_wrong_usage_is_two_lines(line: str, error: str, help: str, here: Here, asked: dict[str, Any]) -> None:
    said = here(*line.split())
    assert (said.code, said.out, asked) == (2, "", {})
    first, second = said.err.splitlines()
    assert error in first
    assert help in second


def test_the_example_configuration_works_and_shows_every_option(here: Here, asked: dict[str, Any]) -> None:
    example = ROOT / "configs" / "prune.toml"
    assert here("prune", "--config", str(example)).code == 0
    assert (asked["model"], asked["sparsity"]) == ("app:MobileNetV2", 0.8)
    with cli.make_context("tfopt", ["prune"]) as ctx:
        command = cli.get_command(ctx, "prune")
    assert command is not None
    settings = [param for param in command.params if isinstance(param, Setting) and param.in_files]
    text = example.read_text().replace("\n# ", "\n")
    assert [setting.key for setting in settings if f"\n{setting.key.replace('_', '-')} = " not in text] == []

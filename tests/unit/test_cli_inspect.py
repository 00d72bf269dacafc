"""`tfopt inspect`: what it asks the library for, and where the answer goes."""

from __future__ import annotations

import inspect as introspection
import json
from pathlib import Path
from typing import Any

import pytest
from cli_for_tests import Here
from inspections_for_tests import plain

from tfopt.errors import UsageError
from tfopt.profiling.inspect import inspect


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the library was asked for last."""
    kept: dict[str, Any] = {}

    def pretend(model: str, **options: Any) -> Any:
        kept.clear()
        kept.update(model=model, **options)
        return plain()

    monkeypatch.setattr("tfopt.profiling.inspect.inspect", pretend)
    return kept


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    return Here(tmp_path, monkeypatch, capfd)


def test_options_are_the_library_s_keywords(here: Here, asked: dict[str, Any]) -> None:
    known = introspection.signature(inspect).parameters
    assert here("inspect", "m.keras").code == 0
    assert set(asked) == set(known)
    for name in set(known) - {"model", "command", "progress"}:
        assert asked[name] == known[name].default, name
    assert asked["command"] == "tfopt inspect m.keras"


def test_every_option_arrives(here: Here, asked: dict[str, Any]) -> None:
    here(
        *("inspect", "m.h5", "--mode", "infer", "--batch-size", "8", "--input-shape", "5", "--input-size", "96"),
        *("--data", "x.npz", "--loss", "mse", "--optimizer", "sgd", "--precision", "bfloat16", "--import", "a.b"),
        *("--unsafe", "--xla", "--memory-limit", "8GiB", "--seed", "3", "--threads", "2"),
    )
    assert {name: asked[name] for name in set(asked) - {"command", "progress"}} == {
        "model": "m.h5",
        "mode": "infer",
        "batch_size": 8,
        "input_shape": ("5",),
        "input_size": 96,
        "data": "x.npz",
        "loss": "mse",
        "optimizer": "sgd",
        "precision": "bfloat16",
        "xla": True,
        "seed": 3,
        "threads": 2,
        "memory_limit": "8GiB",
        "imports": ("a.b",),
        "unsafe": True,
    }


def test_the_answer_goes_to_standard_output_and_to_files(here: Here, asked: dict[str, Any]) -> None:
    said = here("inspect", "m", "-o", "a.json", "-o", "b.csv")
    assert "FLOP forward per example" in said.out
    assert json.loads(Path("a.json").read_text())["schema"] == "tfopt.inspection/1"
    assert Path("b.csv").read_text().startswith("path,type,calls")
    assert here("report", "a.json").out == said.out


@pytest.mark.parametrize("option", [("--by", "op"), ("--steps", "3"), ("--mode", "eval"), ()])
def test_wrong_usage_is_two_lines(here: Here, asked: dict[str, Any], option: tuple[str, ...]) -> None:
    said = here("inspect", *(["m", *option] if option else []))
    assert (said.code, said.out, len(said.err.splitlines()), asked) == (2, "", 2, {})


@pytest.mark.parametrize("size", ["8gb", "8", "0GB", "much", "-1GB"])
def test_a_limit_that_is_no_size_is_a_usage_error(here: Here, size: str) -> None:
    done = here("inspect", "m.keras", f"--memory-limit={size}")
    assert done.code == 2
    assert done.err.splitlines() == [
        f"error: {size!r} is not a size",
        "help:  write a size with its unit, such as 8GiB, 800MB or 1.5GB",
    ]


def test_a_limit_is_for_models_that_another_process_can_load() -> None:
    with pytest.raises(UsageError, match="saved models"):
        inspect(object(), memory_limit=10**9)

"""`tfopt gradients` and `tfopt gradcheck`: what they ask the library for, and how they end."""

from __future__ import annotations

import inspect as introspection
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_for_tests import ROOT, Here
from gradients_for_tests import gradcheck as checked
from gradients_for_tests import gradients as measured

from tfopt.cli.main import cli
from tfopt.cli.settings import Setting
from tfopt.profiling.gradcheck import gradcheck
from tfopt.profiling.gradients import gradients

VERBS: dict[str, Callable[..., Any]] = {"gradients": gradients, "gradcheck": gradcheck}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the library was asked for last; every gradient is sound where the model is called so."""
    kept: dict[str, Any] = {}

    def asking(model: str, options: dict[str, Any]) -> None:
        kept.clear()
        kept.update(model=model, **options)

    def pretend_gradients(model: str, **options: Any) -> Any:
        asking(model, options)
        return measured()

    def pretend_gradcheck(model: str, **options: Any) -> Any:
        asking(model, options)
        return checked(sound="sound" in model)

    monkeypatch.setattr("tfopt.profiling.gradients.gradients", pretend_gradients)
    monkeypatch.setattr("tfopt.profiling.gradcheck.gradcheck", pretend_gradcheck)
    return kept


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    return Here(tmp_path, monkeypatch, capfd)


@pytest.mark.parametrize("verb", VERBS)
def test_options_are_the_library_s_keywords(verb: str, here: Here, asked: dict[str, Any]) -> None:
    known = introspection.signature(VERBS[verb]).parameters
    assert here(verb, "sound.keras").code == 0
    assert set(asked) == set(known)
    for name in set(known) - {"model", "command", "progress"}:
        assert asked[name] == known[name].default, name
    assert asked["command"] == f"tfopt {verb} sound.keras"


def test_every_option_arrives(here: Here, asked: dict[str, Any]) -> None:
    shared = ("m.h5", "--modify", "scale=0.5", "--modify", "relu", "--include", "a/*", "--batch-size", "8")
    shared += ("--input-shape", "5", "--input-size", "96", "--data", "x.npz", "--loss", "mse", "--import", "a.b")
    shared += ("--unsafe", "--xla", "--seed", "3", "--threads", "2")
    wanted = {
        "model": "m.h5",
        "modify": ("scale=0.5", "relu"),
        "include": ("a/*",),
        "batch_size": 8,
        "input_shape": ("5",),
        "input_size": 96,
        "data": "x.npz",
        "loss": "mse",
        "imports": ("a.b",),
        "unsafe": True,
        "xla": True,
        "seed": 3,
        "threads": 2,
    }
    for verb, more, own in (
        ("gradients", ("--precision", "bfloat16"), {"precision": "bfloat16"}),
        ("gradcheck", ("--tolerance", "1e-4", "--directions", "5"), {"tolerance": 1e-4, "directions": 5}),
    ):
        here(verb, *shared, *more)
        assert {name: asked[name] for name in set(asked) - {"command", "progress"}} == wanted | own


def test_a_wrong_gradient_is_exit_code_1(here: Here, asked: dict[str, Any]) -> None:
    assert here("gradcheck", "sound.keras", "-q").code == 0
    assert here("gradcheck", "m.keras", "-q").code == 1


@pytest.mark.parametrize(
    "line",
    [
        ("gradients", "m", "--by", "layer"),
        ("gradients", "m", "--optimizer", "sgd"),
        ("gradients",),
        ("gradcheck", "m", "--tolerance", "0"),
        ("gradcheck", "m", "--precision", "float32"),
        ("gradients", "m", "--format", "chrome"),
    ],
)
def test_wrong_usage_is_two_lines(line: tuple[str, ...], here: Here, asked: dict[str, Any]) -> None:
    said = here(*line)
    assert (said.code, said.out, len(said.err.splitlines()), asked) == (2, "", 2, {})


@pytest.mark.parametrize("verb", VERBS)
def test_the_example_configuration_works_and_shows_every_option(verb: str, here: Here, asked: dict[str, Any]) -> None:
    example = ROOT / "configs" / "gradients.toml"
    assert here(verb, "--config", str(example)).code == (verb == "gradcheck")
    assert asked["model"] == "app:MobileNetV2"
    with cli.make_context("tfopt", [verb]) as ctx:
        command = cli.get_command(ctx, verb)
    assert command is not None
    settings = [param for param in command.params if isinstance(param, Setting) and param.in_files]
    text = example.read_text().replace("\n# ", "\n")
    assert [setting.key for setting in settings if f"\n{setting.key.replace('_', '-')} = " not in text] == []

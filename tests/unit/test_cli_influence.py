"""`tfopt influence`: what it asks the library for, where the answer goes, and how it ends."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cli_for_tests import Here
from influences_for_tests import plain, uncertain

from tfopt.cli.influence import exit_code
from tfopt.cli.main import cli
from tfopt.cli.settings import Setting
from tfopt.errors import InputError, UsageError
from tfopt.profiling.influence import influence

ROOT = Path(__file__).parents[2]


class Library:
    """What the library was asked for last, and what it gives."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.record = plain()

    def __call__(self, model: str, **options: Any) -> Any:
        self.asked = {"model": model, **options}
        return self.record


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    pretended = Library()
    monkeypatch.setattr("tfopt.profiling.influence.influence", pretended)
    return pretended


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    return Here(tmp_path, monkeypatch, capfd)


def test_options_are_the_library_s_keywords(here: Here, library: Library) -> None:
    known = inspect.signature(influence).parameters
    assert here("influence", "m.keras").code == 0
    assert set(library.asked) == set(known)
    for name in set(known) - {"model", "command", "progress"}:
        assert library.asked[name] == known[name].default, name
    assert library.asked["command"] == "tfopt influence m.keras"


def test_a_target_may_be_a_number_in_a_file(here: Here, library: Library) -> None:
    Path("i.toml").write_text("[influence]\ntarget = 3\n")
    assert here("influence", "m.keras", "--config", "i.toml").code == 0
    assert library.asked["target"] == "3"


def test_every_option_arrives(here: Here, library: Library) -> None:
    here(
        *("influence", "m.h5", "--mode", "both", "--target", "margin", "--groups", "a=b*", "--groups", "c", "--paths"),
        *("5", "--level", "layer", "--maxpool", "max", "--biases", "include", "--ablate", "7", "--no-health"),
        *("--samples", "99", "--batch-size", "8", "--input-shape", "5", "--input-size", "96", "--data", "x.npz"),
        *("--loss", "mse", "--seed", "3", "--threads", "2", "--import", "a.b", "--unsafe", "--top", "50"),
    )
    assert {name: library.asked[name] for name in set(library.asked) - {"command", "progress"}} == {
        "model": "m.h5",
        "mode": "both",
        "target": "margin",
        "groups": ("a=b*", "c"),
        "top": 50,
        "paths": 5,
        "level": "layer",
        "maxpool": "max",
        "biases": "include",
        "ablate": 7,
        "health": False,
        "samples": 99,
        "batch_size": 8,
        "input_shape": ("5",),
        "input_size": 96,
        "data": "x.npz",
        "loss": "mse",
        "seed": 3,
        "threads": 2,
        "imports": ("a.b",),
        "unsafe": True,
    }


def test_the_answer_goes_to_standard_output_and_to_files_and_comes_back(here: Here, library: Library) -> None:
    said = here("influence", "m", "-o", "a.json", "-o", "b.csv")
    assert "41 of 1280 filters of block_1_conv carry 80 % of all paths" in said.out
    assert json.loads(Path("a.json").read_text())["schema"] == "tfopt.influence/1"
    assert Path("b.csv").read_text().startswith("kind,path,of,call,share,value,status")
    assert here("report", "a.json").out == said.out
    assert json.loads(here("influence", "m", "--format", "json").out) == json.loads(Path("a.json").read_text())


def test_top_0_shows_every_row(here: Here, library: Library) -> None:
    few, every = here("influence", "m").out, here("influence", "m", "--top", "0").out
    assert "3 more merges" in few
    assert "more" not in every
    assert "block_1_add\n" in every


@pytest.mark.parametrize(("strict", "code"), [((), 0), (("--strict",), 1)])
def test_a_result_that_is_not_certified_fails_where_that_is_asked_for(
    here: Here, library: Library, strict: tuple[str, ...], code: int
) -> None:
    assert here("influence", "m", *strict).code == 0
    library.record = uncertain()
    said = here("influence", "m", *strict)
    assert said.code == code
    assert "not certified" in said.out


def test_contributions_that_are_not_certified_count_as_well() -> None:
    record = uncertain()
    assert exit_code(msgspec.structs.replace(record, paths=None), strict=True) == 1
    assert exit_code(msgspec.structs.replace(record, paths=None, relevance=None), strict=True) == 0


@pytest.mark.parametrize(
    "option", [("--mode", "free"), ("--paths", "21"), ("--ablate", "0"), ("--format", "chrome"), ("-o", "a.html"), ()]
)
def test_wrong_usage_is_two_lines(here: Here, library: Library, option: tuple[str, ...]) -> None:
    said = here("influence", *(["m", *option] if option else []))
    assert (said.code, said.out, len(said.err.splitlines()), library.asked) == (2, "", 2, {})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "best"}, "unknown target"),
        ({"target": "-1"}, "unknown target"),
        ({"groups": ("a=",)}, "names no group"),
        ({"samples": 0}, "samples must be at least 1"),
        ({"ablate": 2}, "ablation needs data"),
        ({"target": "margin"}, "a target is of contributions on data"),
        ({"target": 3, "mode": "data-free", "data": "x.npz"}, "a target is of contributions on data"),
        ({"groups": ("a=b",), "mode": "data"}, "groups are of paths"),
    ],
)
def test_wishes_that_mean_nothing_are_refused_before_anything_is_loaded(options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        influence("there-is-no-such-file.keras", **options)


def test_a_saved_model_has_no_layers(tmp_path: Path) -> None:
    (tmp_path / "variables").mkdir()
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01\x12\x00")
    with pytest.raises(InputError, match="paths lead through layers"):
        influence(str(tmp_path))


def test_the_example_configuration_works_and_shows_every_option(here: Here, library: Library) -> None:
    example = ROOT / "configs" / "influence.toml"
    assert here("influence", "--config", str(example)).code == 0
    assert library.asked["model"] == "app:MobileNetV2"
    assert library.asked["groups"] == ("stem=Conv1", "head=predictions")
    with cli.make_context("tfopt", ["influence"]) as ctx:
        command = cli.get_command(ctx, "influence")
    assert command is not None
    settings = [param for param in command.params if isinstance(param, Setting) and param.in_files]
    text = example.read_text().replace("\n# ", "\n")
    assert [setting.key for setting in settings if f"\n{setting.key.replace('_', '-')} = " not in text] == []

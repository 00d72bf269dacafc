"""Where options come from: flag, environment, --config, pyproject.toml, in this order."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_for_tests import ROOT, Here

from tfopt.cli.main import cli
from tfopt.cli.settings import Setting
from tfopt.errors import InputError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    return Here(tmp_path, monkeypatch, capfd)


def _pyproject(here: Here, text: str) -> None:
    (here.folder / "pyproject.toml").write_text(text)


def test_flag_beats_environment_beats_file_beats_pyproject(here: Here) -> None:
    _pyproject(here, "[tool.tfopt.profile]\nseed = 1\nsteps = 1\ntrace-steps = 1\nbatch_size = 1")
    (here.folder / "my.toml").write_text("[profile]\nseed = 2\nsteps = 2\ntrace-steps = 2")
    here.env("TFOPT_SEED", "3")
    here.env("TFOPT_PROFILE_STEPS", "3")
    assert here("profile", "m.keras", "--config", "my.toml", "--seed", "4").code == 0
    asked = here.asked
    assert (asked["seed"], asked["steps"], asked["trace_steps"], asked["batch_size"]) == (4, 3, 2, 1)


def test_everything_may_come_from_pyproject(here: Here) -> None:
    _pyproject(
        here,
        """
        [tool.tfopt]
        seed = 7
        quiet = true
        format = "csv"
        [tool.tfopt.profile]
        model = "m.keras"
        batch-size = 8
        xla = false
        eager = true
        input-shape = ["a=3,4", "b=5"]
        import = "my.layers"
        output = ["a.json", "b.md"]
        by = "op"
        """,
    )
    said = here("profile")
    assert (said.code, said.out, said.err) == (0, "", "")
    asked = here.asked
    assert (asked["model"], asked["seed"], asked["batch_size"]) == ("m.keras", 7, 8)
    assert (asked["xla"], asked["eager"]) == (False, True)
    assert (asked["input_shape"], asked["imports"]) == (("a=3,4", "b=5"), ("my.layers",))
    assert (here.folder / "a.json").exists()
    assert (here.folder / "b.md").exists()


def test_a_verb_table_beats_the_common_keys(here: Here) -> None:
    _pyproject(
        here, "[tool.tfopt]\nseed = 1\nformat = 'md'\n[tool.tfopt.profile]\nseed = 2\n[tool.tfopt.report]\nby = 'op'"
    )
    assert here("profile", "m").out.startswith("# mobilenet")
    assert here.asked["seed"] == 2
    assert "## Layers" not in here("report").out


def test_the_environment_knows_every_option(here: Here) -> None:
    for name, value in {
        "TFOPT_MODEL": "m.h5",
        "TFOPT_PROFILE_EAGER": "1",
        "TFOPT_XLA": "no",
        "TFOPT_INPUT_SHAPE": "3,4 b=5",
        "TFOPT_IMPORT": "a b",
        "TFOPT_NO_SAVE": "true",
        "TFOPT_QUIET": "1",
        "TFOPT_OUTPUT": "a.json:b.csv",
        "TFOPT_SEED": "",
    }.items():
        here.env(name, value)
    assert here("profile").code == 0
    asked = here.asked
    assert (asked["model"], asked["eager"], asked["xla"], asked["run_dir"]) == ("m.h5", True, False, None)
    assert (asked["input_shape"], asked["imports"], asked["seed"]) == (("3,4", "b=5"), ("a", "b"), 0)
    assert (here.folder / "b.csv").exists()


def test_the_verb_s_own_variable_comes_first(here: Here) -> None:
    here.env("TFOPT_SEED", "1")
    here.env("TFOPT_PROFILE_SEED", "2")
    here("profile", "m")
    assert here.asked["seed"] == 2


@pytest.mark.parametrize(
    ("text", "error", "help"),
    [
        ("[tool.tfopt]\nbatchsize = 3", "unknown key 'batchsize' in [tool.tfopt] of pyproject.toml", "batch-size?"),
        ("[tool.tfopt.profile]\nhost = 'x'", "unknown key 'host' in [tool.tfopt.profile]", "known here: batch-size"),
        ("[tool.tfopt.profle]\nseed = 1", "unknown table 'profle' in [tool.tfopt]", "did you mean profile?"),
        ("[tool.tfopt]\ndebug = true", "unknown key 'debug'", "known here"),
        ("[tool.tfopt.profile]\nseed = 'many'", "'many' is not a valid integer", "[tool.tfopt.profile] of pyproject"),
        ("[tool.tfopt.profile]\nseed = 1.5", "'1.5' is not a valid integer", "[tool.tfopt.profile] of pyproject.toml"),
        ("[tool.tfopt.profile]\nseed = true", "seed in [tool.tfopt.profile] of pyproject.toml has the wrong", "text"),
        ("[tool.tfopt.profile]\nseed = [1]", "has the wrong kind of value: [1]", "one text or number"),
        ("[tool.tfopt.profile]\nseed = {a = 1}", "has the wrong kind of value", "one text or number"),
        ("[tool.tfopt.profile]\ndata = 3", "data in [tool.tfopt.profile] of pyproject.toml has the wrong", "one text"),
        ("[tool.tfopt.profile]\noutput = ['a.md', 3]", "has the wrong kind of value: 3", "write one text"),
        ("[tool.tfopt.profile]\neager = 'yes'", "is neither true nor false: 'yes'", "write true or false"),
        ("[tool.tfopt.profile]\nmode = 'eval'", "'eval' is not one of 'train', 'infer'", "[tool.tfopt.profile]"),
        ("[tool.tfopt.profile]\nimport = ['a', [2]]", "has the wrong kind of value: [2]", "write one text"),
        ("[tool]\ntfopt = 3", "tool.tfopt in pyproject.toml is not a table", "[tool.tfopt]"),
        ("[tool.tfopt", "pyproject.toml is not TOML: ", "mend that line"),
    ],
)
def test_mistakes_in_files_are_named(here: Here, text: str, error: str, help: str) -> None:
    _pyproject(here, text)
    said = here("profile", "m")
    assert said.code == 2
    assert error in said.err.splitlines()[0]
    assert help in said.err.splitlines()[1]
    assert not here.profile.calls


def test_a_mistake_in_the_environment_is_named(here: Here) -> None:
    here.env("TFOPT_PROFILE_SEED", "x")
    said = here("profile", "m")
    assert said.code == 2
    assert "the value comes from the environment: TFOPT_PROFILE_SEED" in said.err


def test_an_error_shows_where_a_model_that_nobody_typed_comes_from(here: Here) -> None:
    (here.folder / "my.toml").write_text('[profile]\nmodel = "app:MobileNetV2"')

    def helped(*model: str) -> str:
        here.profile.error = InputError("input x takes the shape (96, 96, 3)", "leave it out")
        return here("profile", *model, "--config", "my.toml").err.partition("help:  leave it out")[2]

    assert helped() == "; MODEL is app:MobileNetV2, from [profile] of my.toml\n"
    assert helped("m.keras") == "\n"
    here.env("TFOPT_MODEL", "other.keras")
    assert helped() == "; MODEL is other.keras, from the environment: TFOPT_PROFILE_MODEL or TFOPT_MODEL\n"


@pytest.mark.parametrize(
    ("precision", "meant"),
    [("fp16", "float16"), ("FP16", "float16"), ("half", "float16"), ("bf16", "bfloat16"), ("mixed", "")],
)
def test_a_choice_that_is_none_is_answered_with_the_nearest(here: Here, precision: str, meant: str) -> None:
    said = here("profile", "m", "--precision", precision)
    assert said.code == 2
    assert f"{precision!r} is not one of 'float32'" in said.err.splitlines()[0]
    assert said.err.splitlines()[1] == (
        f"help:  did you mean {meant}?" if meant else "help:  tfopt profile --help shows the options"
    )
    here.env("TFOPT_FORMAT", "jsn")
    assert here("profile", "m").err.splitlines()[1] == (
        "help:  did you mean json? the value comes from the environment: TFOPT_PROFILE_FORMAT or TFOPT_FORMAT"
    )


def test_config_files_that_cannot_be_read(here: Here) -> None:
    (here.folder / "binary.toml").write_bytes(b"\xff\xfe")
    (here.folder / "bad.toml").write_text("seed = 1\nsteps = = 2")
    for file, error in (
        ("no.toml", "the configuration file no.toml does not exist"),
        ("binary.toml", "binary.toml is not TOML"),
        ("bad.toml", "bad.toml is not TOML: Invalid value (at line 2"),
        (".", "cannot read .: Is a directory"),
    ):
        said = here("profile", "m", "--config", file)
        assert said.code == 2
        assert error in said.err.splitlines()[0]


def test_help_works_beside_a_broken_file(here: Here) -> None:
    _pyproject(here, "[tool.tfopt")
    assert here("profile", "--help").code == 0
    assert here("--version").code == 0


def test_a_pyproject_of_others_does_not_matter(here: Here) -> None:
    _pyproject(here, "[project]\nname = 'x'\n[tool.ruff]\nseed = 3")
    assert here("profile", "m").code == 0
    assert here.asked["seed"] == 0


def test_a_config_file_may_be_a_pyproject(here: Here) -> None:
    (here.folder / "other.toml").write_text("[project]\nname = 'x'\n[tool.tfopt.profile]\nseed = 3")
    here("profile", "m", "--config", "other.toml")
    assert here.asked["seed"] == 3


def test_the_example_configuration_works_and_shows_every_option(here: Here) -> None:
    example = ROOT / "configs" / "profile.toml"
    assert here("profile", "--config", str(example)).code == 0
    assert here.asked["model"] == "app:MobileNetV2"
    with cli.make_context("tfopt", ["profile"]) as ctx:
        command = cli.get_command(ctx, "profile")
    assert command is not None
    settings = [param for param in command.params if isinstance(param, Setting) and param.in_files]
    text = example.read_text()
    assert [
        setting.key for setting in settings if f"\n{setting.key.replace('_', '-')} = " not in text.replace("\n# ", "\n")
    ] == []

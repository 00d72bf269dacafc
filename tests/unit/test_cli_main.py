"""The command as a whole: quick, silent about its insides, and clear about how it ended."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from cli_for_tests import ROOT, Here, clean_environment, tfopt
from records_for_tests import flat, hostile

import tfopt as package
from tfopt.cli.main import COMMANDS
from tfopt.errors import InputError, RunFailed
from tfopt.report.runs import write_record


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    return Here(tmp_path, monkeypatch, capfd)


@pytest.mark.parametrize("args", [["--help"], ["--version"], *([verb, "--help"] for verb in COMMANDS)])
def test_help_loads_nothing_slow(args: list[str], tmp_path: Path) -> None:
    code = (
        f"import sys; from tfopt.__main__ import main; code = main({args!r}); loaded = set(sys.modules)\n"
        "slow = {'tensorflow', 'keras', 'numpy', 'rich', 'msgspec', 'tomllib', 'asyncio'} & loaded\n"
        "assert code == 0 and not slow, slow"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=clean_environment(), check=True)


@pytest.mark.parametrize("format", ["table", "json", "csv", "md"])
def test_report_needs_no_tensorflow(format: str, tmp_path: Path) -> None:
    write_record(tmp_path, flat())
    code = (
        f"import sys; from tfopt.__main__ import main; code = main(['report', '.', '--format', {format!r}])\n"
        "assert code == 0 and not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=clean_environment(), check=True, capture_output=True)


def test_importing_tfopt_is_free_and_its_names_are_there(tmp_path: Path) -> None:
    code = (
        "import sys, tfopt; assert not {'msgspec', 'rich', 'numpy', 'tensorflow', 'click'} & set(sys.modules)\n"
        "assert tfopt.read_run and tfopt.render and tfopt.View and tfopt.ProfileRecord and tfopt.TfoptError\n"
        "assert set(tfopt.__all__) <= set(dir(tfopt)); assert 'tensorflow' not in sys.modules\n"
        "try: tfopt.nonsense\nexcept AttributeError as e: assert 'nonsense' in str(e)\nelse: raise SystemExit(1)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=clean_environment(), check=True)


def test_the_version_is_that_of_the_project(tmp_path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert package.__version__ == project["version"]
    assert tfopt("--version", cwd=tmp_path).stdout == f"tfopt {project['version']}\n"
    module, _, name = project["scripts"]["tfopt"].partition(":")
    script = f"import sys; from {module} import {name}; sys.exit({name}())"  # what pip installs
    subprocess.run([sys.executable, "-c", script, "--version"], env=clean_environment(), check=True, stdout=-1)


def test_the_help_tells_exit_codes_environment_and_completion(here: Here) -> None:
    text = here("--help").out
    for word in ("Exit codes", "130  interrupted", "TFOPT_SEED=1", "pyproject.toml", "_TFOPT_COMPLETE=bash_source"):
        assert word in text
    for verb, (_, line) in COMMANDS.items():
        assert verb in text
        assert line in text


@pytest.mark.parametrize(
    ("verb", "default"), [("profile", "5 ops per phase"), ("inspect", "12 layers, 20 types"), ("compare", "12")]
)
def test_the_help_of_a_verb_tells_of_its_own_rows_alone(here: Here, verb: str, default: str) -> None:
    assert f"{default}. JSON and CSV" in " ".join(here(verb, "--help").out.split())


@pytest.mark.parametrize(("verb", "examples"), [("profile", 32), ("gradients", 32), ("gradcheck", 4)])
def test_the_help_of_a_verb_tells_of_its_own_batch_alone(here: Here, verb: str, examples: int) -> None:
    assert f"Examples per step. Default: {examples}, or" in " ".join(here(verb, "--help").out.split())


def test_nothing_at_all_is_wrong_usage_and_shows_the_help(here: Here) -> None:
    said = here()
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("Usage: tfopt")


@pytest.mark.parametrize(
    ("args", "error", "help"),
    [
        (["profle", "x"], "no such command: profle", "did you mean profile?"),
        (["frobnicate"], "no such command: frobnicate", f"the commands are {', '.join(COMMANDS)}"),
        (["profile"], "MODEL is missing", "write tfopt profile [OPTIONS] MODEL"),
        (["compare"], "MODEL is missing", "write tfopt compare [OPTIONS] MODEL..."),
        (["compare", "x", "--format", "xml"], "'xml' is not one of 'table', 'json', 'csv', 'md'", "compare --help"),
        (["check", "x", "--top", "3"], "no such option: --top", ""),
        (["profile", "x", "--bach-size", "3"], "no such option: --bach-size", "did you mean --batch-size?"),
        (["--nope"], "no such option: --nope", "tfopt --help shows the options"),
        (["profile", "x", "--batch-size", "0"], "invalid value for '--batch-size': 0 is not", "tfopt profile --help"),
        (["profile", "x", "--input-shape", "9x9"], "'9x9' is not a shape such as", "tfopt profile --help"),
        (["profile", "x", "--input-shape", "a=0"], "'a=0' is not a shape such as", "tfopt profile --help"),
        (["profile", "x", "--batch-size"], "'--batch-size' requires an argument", "tfopt profile --help"),
        (["report", "a", "b"], "unexpected extra argument", "tfopt report --help"),
        (["report", "--format", "xml"], "'xml' is not one of", "tfopt report --help"),
        (["profile", "x", "-o", "a.pdf"], "a.pdf: no report format has this extension", "use one of .txt, .json"),
        (["profile", "x", "-o", "no/a.json"], "the folder no does not exist", "mkdir -p no"),
        (["profile", "x", "-o", "a.md", "-o", "a.md"], "a.md is named twice", "its own file"),
        (["tensorboard", "--port", "99999"], "99999 is not in the range", "tfopt tensorboard --help"),
    ],
)
def test_wrong_usage_is_two_lines_and_exit_code_2(here: Here, args: list[str], error: str, help: str) -> None:
    said = here(*args)
    lines = said.err.splitlines()
    assert (said.code, said.out, len(lines)) == (2, "", 2)
    assert lines[0].startswith("error: ")
    assert error in lines[0]
    assert lines[1].startswith("help:  ")
    assert help in lines[1]
    assert not here.profile.calls


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("m is no model\x1b[2J\nat all", "try another"), 3, r"error: m is no model\x1b[2J at all"),
        (RunFailed("it broke", "mend it"), 4, "error: it broke"),
        (ValueError("odd"), 4, "error: internal error: ValueError: odd"),
        (OSError(5, "Input/output error", "a"), 4, "error: Input/output error: a"),
        (MemoryError(), 4, "error: out of memory"),
        (RecursionError(), 4, "error: internal error: RecursionError"),
    ],
)
def test_failures_have_their_exit_code_and_no_traceback(here: Here, error: Exception, code: int, line: str) -> None:
    here.profile.error = error
    said = here("profile", "x", "--no-save")
    assert (said.code, said.out) == (code, "")
    assert said.err.splitlines()[0] == line
    assert said.err.splitlines()[1].startswith("help:  ")
    assert len(said.err.splitlines()) == 2


@pytest.mark.parametrize("way", ["flag", "environment"])
def test_debug_shows_the_traceback_too(here: Here, way: str) -> None:
    here.profile.error = ValueError("odd")
    if way == "environment":
        here.env("TFOPT_DEBUG", "1")
    said = here("profile", "x", "--no-save", *(["--debug"] if way == "flag" else []))
    assert said.code == 4
    assert "Traceback (most recent call last)" in said.err
    assert said.err.splitlines()[-2] == "error: internal error: ValueError: odd"


def test_interruption_is_130_and_says_so(here: Here) -> None:
    here.profile.error = KeyboardInterrupt()
    said = here("profile", "x", "--no-save")
    assert (said.code, said.out, said.err) == (130, "", "interrupted\n")


def test_errors_are_coloured_on_request_only(here: Here) -> None:
    here.env("FORCE_COLOR", "1")
    assert here("report", "x").err.startswith("\x1b[1;31merror:\x1b[0m x does not exist")
    here.env("NO_COLOR", "1")
    assert here("report", "x").err.startswith("error: x does not exist")


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    write_record(tmp_path, hostile())
    for command in ("report . --by op", "report . --format json", "profile --help"):
        shell = f"set -o pipefail; {sys.executable} -m tfopt {command} | true"
        done = subprocess.run(
            ["bash", "-c", shell], cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("args", [["report", "."], ["--help"]])
def test_a_full_disk_behind_standard_output_is_an_error(tmp_path: Path, args: list[str]) -> None:
    write_record(tmp_path, flat())
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tfopt", *args],
            cwd=tmp_path,
            env=clean_environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 4
    assert "No space left on device" in done.stderr.splitlines()[0]
    assert len(done.stderr.splitlines()) == 2


def test_an_ascii_terminal_gets_a_table_all_the_same(tmp_path: Path) -> None:
    write_record(tmp_path, hostile())
    done = tfopt("report", ".", cwd=tmp_path, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert tfopt("report", "卷", cwd=tmp_path, PYTHONIOENCODING="ascii", PYTHONUTF8="0").stderr.startswith("error: ")


def test_ctrl_c_ends_a_real_process_with_130(tmp_path: Path) -> None:
    code = (
        "import sys, time, types\n"
        "from tfopt.cli import profile\n"
        "fake = types.ModuleType('tfopt.profiling.profile')\n"
        "def work(*args, **options): print('working', flush=True); time.sleep(60)\n"
        "fake.profile = work\n"
        "sys.modules['tfopt.profiling.profile'] = fake\n"
        "from tfopt.__main__ import main\n"
        "sys.exit(main(['profile', 'x', '--verbose']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "working\n"
        time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=20)
    assert (child.returncode, err) == (130, "interrupted\n")


def test_completion_offers_verbs_and_options(tmp_path: Path) -> None:
    def offered(line: str) -> str:
        words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" ")), "_TFOPT_COMPLETE": "bash_complete"}
        return tfopt(cwd=tmp_path, **words).stdout

    assert set(offered("tfopt ").split()) == {f"plain,{verb}" for verb in COMMANDS}
    assert "plain,--batch-size" in offered("tfopt profile --b").split()
    assert "bash_complete" in tfopt(cwd=tmp_path, _TFOPT_COMPLETE="bash_source").stdout


def test_a_misspelt_variable_is_told(tmp_path: Path) -> None:
    write_record(tmp_path, flat())
    done = tfopt(
        "report",
        ".",
        cwd=tmp_path,
        TFOPT_FORMATT="csv",
        TFOPT_BATCHSIZE="3",
        TFOPT_HOME="/x",
        TFOPT_TOP="3",
        TFOPT_CACHE_DIRS="x",
    )
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "note: the environment variable TFOPT_BATCHSIZE is not read (did you mean TFOPT_BATCH_SIZE?)",
        "note: the environment variable TFOPT_CACHE_DIRS is not read (did you mean TFOPT_CACHE_DIR?)",
        "note: the environment variable TFOPT_FORMATT is not read (did you mean TFOPT_FORMAT?)",
    ]
    assert tfopt("report", ".", "--quiet", cwd=tmp_path, TFOPT_FORMATT="csv").stderr == ""


def test_a_file_whose_name_begins_with_a_dash_is_recognised(here: Here) -> None:
    (here.folder / "-x.keras").touch()
    said = here("profile", "-x.keras")
    assert said.code == 2
    assert said.err.splitlines()[1] == "help:  write ./-x.keras for the file of that name"


def test_a_name_of_thousands_of_letters_fits_an_error(here: Here) -> None:
    here.profile.error = InputError("n" * 10_000, "rename it")
    error = here("profile", "x").err.splitlines()[0]
    assert len(error) < 1_100
    assert "…" in error


@pytest.mark.parametrize(
    ("file", "variable"), [('{"backend": "jax"}', ""), ("", "jax"), ('{"backend": "tensorflow"}', "jax")]
)
def test_keras_on_another_backend_is_said_before_it_is_imported(tmp_path: Path, file: str, variable: str) -> None:
    (tmp_path / "keras.json").write_text(file)
    home = {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": variable}
    done = tfopt("profile", "app:MobileNetV2", "--no-save", "--quiet", cwd=tmp_path, **home)
    where = "KERAS_BACKEND" if variable else f"the backend in {tmp_path}/keras.json"
    mend = "unset KERAS_BACKEND, or set it to" if variable else "change it there, or set KERAS_BACKEND=tensorflow"
    assert done.returncode == 2
    error, help = done.stderr.splitlines()
    assert error == f"error: {where} is jax, and tfopt runs Keras on TensorFlow"
    assert help.startswith(f"help:  {mend}")


def test_a_number_of_threads_that_ends_tensorflow_is_refused(tmp_path: Path) -> None:
    done = tfopt("profile", "app:MobileNetV2", "--no-save", "--quiet", cwd=tmp_path, TF_NUM_INTRAOP_THREADS="-1")
    assert done.returncode == 2
    error, help = done.stderr.splitlines()
    assert error == "error: TF_NUM_INTRAOP_THREADS is -1, with which TensorFlow ends the process"
    assert help.startswith("help:  unset TF_NUM_INTRAOP_THREADS")

"""`tfopt compare`: what it asks the library for, where the answer goes, and its exit codes."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from cli_for_tests import ROOT, Here, tfopt
from comparisons_for_tests import COMPARISONS, arm, closed, drift, four, result, run, timing

from tfopt.cli.compare import exit_code
from tfopt.cli.main import cli
from tfopt.cli.settings import Setting
from tfopt.errors import InputError
from tfopt.records.comparison import BreakEven, ComparisonRecord, MetricDrift
from tfopt.records.duel import Verdict
from tfopt.report import render
from tfopt.report.view import View

OURS = {"model", "command", "progress"}


class Comparer:
    """Stands for `tfopt.compare`: keeps what it was called with and gives a ready record."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.record = four()
        self.error: BaseException | None = None

    def __call__(self, model: Any, **options: Any) -> ComparisonRecord:
        self.asked = {"model": model, **options}
        if self.error is not None:
            raise self.error
        return self.record


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    return Here(tmp_path, monkeypatch, capfd)


@pytest.fixture
def comparer(monkeypatch: pytest.MonkeyPatch) -> Comparer:
    found = Comparer()
    monkeypatch.setattr("tfopt.profiling.compare.compare", found)
    return found


def test_options_are_the_library_s_keywords(here: Here) -> None:
    from tfopt.profiling import compare as home

    known = inspect.signature(home.compare).parameters
    with pytest.MonkeyPatch.context() as patch:
        comparer = Comparer()
        patch.setattr(home, "compare", comparer)
        here("compare", "m.keras")
    assert set(comparer.asked) == set(known)
    for name in set(known) - OURS:
        assert comparer.asked[name] == known[name].default, name


def test_every_option_arrives(here: Here, comparer: Comparer) -> None:
    comparer.record = msgspec.structs.replace(four(), arms=four().arms[:3])
    said = here(
        *("compare", "a.keras", "b.h5", "--variants", "graph, xla", "--variants", "eager", "--batch-sizes", "8,16"),
        *("--mode", "infer", "--input-shape", "a=3,4", "--input-size", "96", "--data", "x.npz", "--loss", "mse"),
        *("--optimizer", "sgd", "--import", "a.b", "--unsafe", "--device", "cpu", "--seed", "3", "--threads", "2"),
        *("--tolerance", "3%", "--max-time", "2m", "--clock", "cpu", "--processes", "6", "--no-drift"),
        *("--samples", "50"),
    )  # fmt: skip
    assert said.code == 0
    asked = dict(comparer.asked)
    assert callable(asked.pop("progress"))
    assert asked.pop("command").startswith("tfopt compare a.keras b.h5 --variants 'graph, xla'")
    assert asked == {
        "model": ("a.keras", "b.h5"),
        "variants": ("graph", "xla", "eager"),
        "batch_sizes": (8, 16),
        "mode": "infer",
        "input_shape": ("a=3,4",),
        "input_size": 96,
        "data": "x.npz",
        "loss": "mse",
        "optimizer": "sgd",
        "imports": ("a.b",),
        "unsafe": True,
        "device": "cpu",
        "seed": 3,
        "threads": 2,
        "tolerance": 0.03,
        "max_time": 120.0,
        "clock": "cpu",
        "processes": 6,
        "drift": False,
        "samples": 50,
    }


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (["--tolerance", "5 apples"], "'5 apples' is not a number such as 5%"),
        (["--tolerance", "150%"], "150% must be between 0 and 100%"),
        (["--tolerance", "0"], "0 must be between 0 and 100%"),
        (["--max-time", "-3"], "-3 must be above 0"),
        (["--tolerance", "200%"], "200% must be between 0 and 100%"),
        (["--variants", ","], "it names nothing"),
        (["--batch-sizes", " ,"], "it names nothing"),
        (["--batch-sizes", "8,x"], "'x' is not a number of examples"),
        (["--batch-sizes", "²"], "'²' is not a number of examples"),
        (["--processes", "1"], "1 is not in the range"),
    ],
)
def test_mistakes_are_usage_errors(here: Here, comparer: Comparer, args: list[str], error: str) -> None:
    said = here("compare", "m", *args)
    assert (said.code, len(said.err.splitlines())) == (2, 2)
    assert error in said.err
    assert not comparer.asked


def test_an_unknown_variant_is_answered_at_once(tmp_path: Path) -> None:
    said = tfopt("compare", "app:MobileNetV2", "--variants", "graph,xlaa", cwd=tmp_path)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr == "error: unknown variant 'xlaa'\nhelp:  did you mean xla?\n"


def test_the_answer_comes_first_and_files_hold_it_too(here: Here, comparer: Comparer) -> None:
    said = here("compare", "m.keras", "-o", "c.json", "-o", "c.md", "-o", "c.csv")
    assert said.out.splitlines()[2] == "  mixed_bfloat16 is 18 ± 2 % faster than graph"
    assert json.loads(Path("c.json").read_text())["schema"] == "tfopt.comparison/1"
    assert Path("c.md").read_text().startswith("# m.keras: mixed\\_bfloat16 is 18 ± 2 % faster than graph")
    assert Path("c.csv").read_text().startswith("label,rank,wall_ms")


def test_a_kept_comparison_can_be_shown_again(here: Here, comparer: Comparer) -> None:
    shown = here("compare", "m.keras", "-o", "c.json").out
    assert here("report", "c.json").out == shown
    assert here("report", "c.json", "--format", "md").out.startswith("# m.keras: ")


def test_ctrl_c_shows_what_is_finished(here: Here, comparer: Comparer) -> None:
    comparer.record = msgspec.structs.replace(four(), run=run(interrupted=True))
    said = here("compare", "m.keras", "-o", "c.json")
    assert said.code == 130
    assert "mixed_bfloat16 is 18 ± 2 % faster" in said.out
    assert said.err.splitlines()[-1] == "interrupted"
    assert Path("c.json").exists()


def test_a_model_that_cannot_be_read(here: Here, comparer: Comparer) -> None:
    comparer.error = InputError("no such file: m", "give a .keras file")
    assert (here("compare", "m").code, here("compare", "m").out) == (3, "")


@pytest.mark.parametrize(
    ("verdicts", "strict", "code"),
    [
        (("SAME", "SLOWER", "FASTER"), True, 0),
        (("SAME", "INCONCLUSIVE"), False, 0),
        (("SAME", "INCONCLUSIVE"), True, 5),
        (("SAME", "NOT RUN"), False, 0),
        (("SAME", "NOT RUN"), True, 5),
        (("NOT RUN", "NOT RUN"), False, 4),
        (("SAME", "REFUSED"), True, 3),
        (("INCONCLUSIVE", "REFUSED", "CRASHED"), True, 4),
        (("SAME", "HUNG"), False, 4),
    ],
)
def test_exit_codes(verdicts: tuple[Verdict, ...], strict: bool, code: int) -> None:
    arms = [arm(str(at), result(str(at), verdict), timing(str(at), 1.0)) for at, verdict in enumerate(verdicts)]
    record = closed([arm("graph", None, timing("graph", 1.0)), *arms], ())
    assert exit_code(record, strict=strict) == code


def test_a_failed_arm_is_the_command_s_exit_code(here: Here, comparer: Comparer) -> None:
    said = here("compare", "m.keras")
    assert said.code == 4
    assert "xla+float16: crashed, the process was ended by signal 11 while compiling" in said.out


@pytest.mark.parametrize("name", COMPARISONS)
def test_json_follows_the_published_schema(name: str) -> None:
    schema = json.loads((ROOT / "docs" / "schema" / "comparison.schema.json").read_text())
    jsonschema.validate(json.loads(render(COMPARISONS[name](), format="json")), schema)


def test_names_cannot_write_to_the_terminal() -> None:
    text = render(COMPARISONS["compared-hostile"](), View(width=100))
    assert not {"\x1b", "\x07"} & set(text)


def test_one_step_is_not_several() -> None:
    paid = BreakEven(kind="until", steps=1, extra_s=-0.1)
    arms = tuple(msgspec.structs.replace(arm, break_even=paid) for arm in four().arms)
    assert "up to 1 step\n" in render(msgspec.structs.replace(four(), arms=arms), View(width=100))


def test_per_example_times_are_shown_where_batches_differ() -> None:
    arms = [
        arm("graph batch 16", None, timing("graph batch 16", 10.0, examples=16.0)),
        arm("graph batch 32", result("graph batch 32", "FASTER", 0.8), timing("graph batch 32", 16.0)),
    ]
    assert "ms/example" in render(closed(arms, ()), View(width=100))
    assert "ms/example" not in render(four(), View(width=100))


def test_a_metric_that_is_no_number_is_counted_on_the_page() -> None:
    lost = {"reference": 1.0, "variant": None, "difference": None, "low": None, "high": None, "nonfinite": 37}
    row = MetricDrift(name="loss", output="classes", samples=1000, method="none", **lost)
    arms = list(four().arms[:2])
    shown = render(closed(arms, (drift("xla", 0.1, metrics=(row,)),)), View(width=80))
    title = next(at for at, line in enumerate(shown.splitlines()) if "Metric, 95" in line)
    assert "NaN/Inf" in shown.splitlines()[title]
    assert "37" in shown.splitlines()[title + 1].split()
    assert "NaN/Inf" not in next(line for line in render(four(), View(width=80)).splitlines() if "Metric, 95" in line)


def test_the_example_configuration_works_and_shows_every_option(here: Here, comparer: Comparer) -> None:
    example = ROOT / "configs" / "compare.toml"
    comparer.record = msgspec.structs.replace(four(), arms=four().arms[:3])
    assert here("compare", "--config", str(example)).code == 0
    assert comparer.asked["model"] == ("app:MobileNetV2",)
    assert comparer.asked["variants"] == ("graph", "xla", "mixed_bfloat16", "xla+mixed_bfloat16")
    assert comparer.asked["batch_sizes"] == (16, 32)
    with cli.make_context("tfopt", ["compare"]) as ctx:
        command = cli.get_command(ctx, "compare")
    assert command is not None
    settings = [param for param in command.params if isinstance(param, Setting) and param.in_files]
    text = example.read_text().replace("\n# ", "\n")
    assert [setting.key for setting in settings if f"\n{setting.key.replace('_', '-')} = " not in text] == []


def test_a_model_in_a_file_counts_for_every_command(here: Here, comparer: Comparer) -> None:
    Path("pyproject.toml").write_text('[tool.tfopt]\nmodel = "m.keras"\n[tool.tfopt.compare]\nvariants = "graph,xla"\n')
    here("compare")
    assert (comparer.asked["model"], comparer.asked["variants"]) == (("m.keras",), ("graph", "xla"))


def test_help_comes_without_tensorflow(tmp_path: Path) -> None:
    code = (
        "import sys; from tfopt.cli.main import main; main(['compare', '--help']); print('tensorflow' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.endswith("False\n")

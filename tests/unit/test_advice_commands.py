"""The commands of advice are command lines of tfopt that run what was run, less what the advice changes."""

from __future__ import annotations

import shlex
from typing import Any

import msgspec
import pytest
from records_for_tests import flat

from tfopt.profiling.advice.commands import compare_batches, compare_precisions, compare_programs, profile_with
from tfopt.records.profile import ProfileRecord


def ran(command: str, path: str = "m.keras", format: Any = "keras", **run: Any) -> ProfileRecord:
    made = flat()
    model = msgspec.structs.replace(made.model, path=path, format=format)
    return msgspec.structs.replace(made, model=model, run=msgspec.structs.replace(made.run, command=command, **run))


def test_a_comparison_of_programs() -> None:
    made = ran("tfopt profile m.keras --batch-size 16 --steps 5 -o out.json")
    assert compare_programs(made, "graph", "xla") == "tfopt compare m.keras --variants graph,xla --batch-sizes 16"


@pytest.mark.parametrize(
    ("precision", "variants"),
    [
        ("float32", "graph,xla"),
        ("mixed_bfloat16", "mixed_bfloat16,xla+mixed_bfloat16"),
        ("float32, mixed_float16", "saved,xla+saved"),
    ],
)
def test_variants_keep_the_precision_of_the_run(precision: str, variants: str) -> None:
    words = shlex.split(compare_programs(ran("tfopt profile m.keras", precision=precision), "graph", "xla"))
    assert words[words.index("--variants") + 1] == variants


@pytest.mark.parametrize(
    ("run", "precisions", "variants"),
    [
        ({}, ("float32", "mixed_float16", "float32"), "graph,mixed_float16"),
        ({}, ("float32", "float32, mixed_float16"), "graph,saved"),
        ({}, ("float32", "float64"), "graph,saved"),
        ({"xla": True}, ("float32", "mixed_float16"), "xla,xla+mixed_float16"),
        ({"eager": True}, ("float32", "bfloat16"), "eager,eager+bfloat16"),
    ],
)
def test_precisions_are_compared_in_the_program_of_the_run(
    run: dict[str, Any], precisions: tuple[str, ...], variants: str
) -> None:
    words = shlex.split(compare_precisions(ran("tfopt profile m.keras", **run), *precisions))
    assert words[words.index("--variants") + 1] == variants


def test_a_savedmodel_has_one_precision() -> None:
    made = ran("tfopt profile folder --mode infer", path="folder", format="savedmodel")
    assert compare_precisions(made, "float32", "mixed_bfloat16") == ""
    assert compare_programs(made, "graph", "xla").startswith("tfopt compare folder --mode infer --variants graph,xla ")


def test_one_variant_is_no_comparison() -> None:
    assert compare_precisions(ran("tfopt profile m.keras"), "float32", "float32") == ""
    assert compare_batches(ran("tfopt profile m.keras"), [16]) == ""


def test_a_comparison_of_batches_runs_the_same_program() -> None:
    made = ran("tfopt profile m.keras --xla", xla=True)
    assert compare_batches(made, [16, 64]) == "tfopt compare m.keras --variants xla --batch-sizes 16,64"
    assert compare_batches(ran("tfopt profile m.keras --data my:data", data="my:data"), [16, 64]) == ""


def test_options_that_belong_to_the_question_stay() -> None:
    made = ran("tfopt profile m.keras --import my.layers --unsafe --data=x.npz --optimizer adam --top 3", data="x.npz")
    assert profile_with(made, "--optimizer", "sgd") == (
        "tfopt profile m.keras --import my.layers --unsafe --data=x.npz --batch-size 16 --optimizer sgd"
    )


def test_names_are_quoted_and_no_option() -> None:
    made = ran("tfopt profile ./-a.keras", path="-a b;$(rm).keras")
    words = shlex.split(compare_programs(made, "graph", "xla"))
    assert words[:3] == ["tfopt", "compare", "./-a b;$(rm).keras"]


def test_a_model_object_has_no_command_line() -> None:
    made = ran("tfopt.profile", format="object")
    assert compare_programs(made, "graph", "xla") == compare_batches(made, [1, 2]) == profile_with(made, "--xla") == ""


@pytest.mark.parametrize("command", ["tfopt.profile", "", "python train.py"])
def test_a_run_of_the_python_api_has_no_command_line(command: str) -> None:
    """What its arguments were, such as the loss or a size, nobody can tell."""
    made = ran(command)
    assert compare_programs(made, "graph", "xla") == compare_batches(made, [1, 2]) == profile_with(made, "--xla") == ""


def test_the_configuration_of_the_run_stays() -> None:
    made = ran("tfopt profile m.keras --config my.toml --no-xla")
    assert profile_with(made, "--by", "op") == (
        "tfopt profile m.keras --config my.toml --no-xla --batch-size 16 --by op"
    )
    assert compare_programs(made, "graph", "xla").startswith("tfopt compare m.keras --config my.toml --variants graph,")


@pytest.mark.parametrize("verb", ["profile", "compare"])
def test_the_command_line_is_one_that_tfopt_reads(verb: str) -> None:
    """Every option that is kept or added is one of the verb's."""
    command = pytest.importorskip(f"tfopt.cli.{verb}").command
    kept = "--data x.npz --import m --input-shape 4 --input-size 8 --loss mse --mode train --optimizer sgd --unsafe"
    made = ran(f"tfopt profile m.keras {kept} --seed 1 --threads 2 --device cpu", data="x.npz")
    for line in (
        compare_programs(made, "graph", "xla"),
        compare_batches(made, [1, 2]),
        profile_with(made, "--optimizer", "adam"),
        profile_with(made, "--by", "op"),
    ):
        words = shlex.split(line)
        if words[1] == verb:
            context = command.make_context(verb, words[2:])
            assert context.params["seed"] == 1

"""Names of variants, and what is made of them: arms, baseline, and whose numbers are compared with whose."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tfopt.errors import UsageError
from tfopt.model.source import ModelSource
from tfopt.profiling.arms import baseline_of, drift_groups, entries
from tfopt.profiling.variants import VARIANTS, default_variants, parse_variant
from tfopt.workload.duel import Contestant
from tfopt.workload.options import Options

KERAS = ModelSource("a.keras", "a", "keras", 1000, "3.15.1")
OTHER = ModelSource("b.keras", "b", "keras", 1000, "3.15.1")
SAVED_MODEL = ModelSource("served", "served", "savedmodel", 1000, None)
BASE = Contestant("", "", Options(data="x.npz", seed=3), threads=2, imports=("mine",))


@pytest.mark.parametrize("name", VARIANTS)
def test_every_word_is_a_variant(name: str) -> None:
    assert parse_variant(name).name == name


def test_what_variants_change() -> None:
    def changed(name: str) -> tuple[bool | None, bool, str | None]:
        options = parse_variant(name).options(BASE.options, KERAS)
        assert (options.data, options.seed) == ("x.npz", 3)
        return options.xla, options.eager, options.precision

    assert changed("graph") == (False, False, "float32")
    assert changed("xla") == (True, False, "float32")
    assert changed("eager") == (False, True, "float32")
    assert changed("mixed_bfloat16") == (False, False, "mixed_bfloat16")
    assert changed("xla+mixed_float16") == (True, False, "mixed_float16")
    assert changed("saved+xla") == (True, False, None)
    assert parse_variant("gpu+xla").device == "gpu"


def test_a_saved_model_keeps_its_precision() -> None:
    assert parse_variant("xla").options(BASE.options, SAVED_MODEL).precision is None
    assert (
        parse_variant("mixed_float16").options(BASE.options, SAVED_MODEL).precision == "mixed_float16"
    )  # refused later


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("xlaa", "unknown variant 'xlaa'", "did you mean xla?"),
        ("mixed_bf16", "unknown variant 'mixed_bf16'", "did you mean mixed_bfloat16?"),
        ("zzz", "unknown variant 'zzz'", "variants are eager, graph, xla"),
        ("", "unknown variant ''", "variants are"),
        ("xla+eager", "the variant xla+eager has two words for its program", "leave eager out"),
        ("float16+bfloat16", "two words for its precision", "leave bfloat16 out"),
    ],
)
def test_mistakes_are_named(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_variant(text)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_defaults() -> None:
    assert default_variants([KERAS]) == ("graph", "xla", "mixed_bfloat16")
    assert default_variants([SAVED_MODEL]) == ("graph", "xla")
    assert default_variants([KERAS, OTHER]) == ("graph",)


def _arms(sources: list[ModelSource], names: str, sizes: tuple[int | None, ...] = (None,)) -> list[str]:
    found = entries(sources, [parse_variant(name) for name in names.split(",")], sizes, BASE)
    return [arm.contestant.label for arm in found]


def test_labels_say_what_differs() -> None:
    assert _arms([KERAS], "graph,xla") == ["graph", "xla"]
    assert _arms([KERAS], "graph", (16, 32)) == ["graph batch 16", "graph batch 32"]
    old, new, other = (
        replace(KERAS, path=path) for path in ("runs/old/a.keras", "runs/new/a.keras", "runs/old/b.keras")
    )
    assert _arms([old, other], "graph") == ["a.keras graph", "b.keras graph"]
    assert _arms([old, new], "graph") == ["runs/old/a.keras graph", "runs/new/a.keras graph"]
    assert _arms([KERAS, OTHER], "graph,xla") == ["a.keras graph", "a.keras xla", "b.keras graph", "b.keras xla"]


def test_arms_keep_what_all_share() -> None:
    arms = entries([KERAS], [parse_variant("gpu"), parse_variant("xla")], (8,), BASE)
    assert [arm.contestant.device for arm in arms] == ["gpu", "auto"]
    assert {(arm.contestant.threads, arm.contestant.imports, arm.contestant.model) for arm in arms} == {
        (2, ("mine",), "a.keras")
    }
    assert {arm.contestant.options.batch_size for arm in arms} == {8}


@pytest.mark.parametrize(
    ("names", "sizes", "message"),
    [
        ("graph,graph", (None,), "graph would be compared with itself"),
        ("graph", (None,), "there is nothing to compare"),
        ("graph", (16, 16), "graph batch 16 would be compared with itself"),
    ],
)
def test_comparisons_without_a_point(names: str, sizes: tuple[int | None, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _arms([KERAS], names, sizes)


def test_the_baseline_is_the_first_float32_graph() -> None:
    def baseline(sources: list[ModelSource], names: str, sizes: tuple[int | None, ...] = (None,)) -> str:
        arms = entries(sources, [parse_variant(name) for name in names.split(",")], sizes, BASE)
        return baseline_of(arms).contestant.label

    assert baseline([KERAS], "xla,graph") == "graph"
    assert baseline([KERAS], "xla,float32", (16, 32)) == "float32 batch 16"
    assert baseline([KERAS], "eager,xla") == "eager"
    assert baseline([KERAS, OTHER], "xla,graph") == "a.keras graph"


def test_numbers_are_compared_once_for_all_batch_sizes_in_small_batches() -> None:
    arms = entries([KERAS], [parse_variant("xla"), parse_variant("mixed_float16")], (64, 8), BASE)
    ((reference, others),) = drift_groups(arms)
    assert reference.label == "graph"  # although it is no arm
    assert (reference.options.precision, reference.options.xla, reference.options.eager) == ("float32", False, False)
    assert [other.label for other in others] == ["xla", "mixed_float16"]
    assert {contestant.options.batch_size for contestant in (reference, *others)} == {16}


def test_other_models_are_compared_with_the_first() -> None:
    arms = entries([KERAS, OTHER], [parse_variant("graph"), parse_variant("xla")], (None,), BASE)
    first, second = drift_groups(arms)
    assert (first[0].label, [other.label for other in first[1]]) == ("a.keras graph", ["a.keras xla", "b.keras graph"])
    assert (second[0].label, [other.label for other in second[1]]) == ("b.keras graph", ["b.keras xla"])

"""Why a variant is slow: what of its facts takes time in it, and nothing that it has not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from records_for_tests import hostile

from tfopt.profiling.advice import causes
from tfopt.records.advice import Fact, StepFacts
from tfopt.report import render
from tfopt.report.view import View

FACTS = (
    Fact(kind="ops", count=1500),
    Fact(kind="max_pool_gradient", count=1, numbers={"values": 1e5}),
    Fact(kind="lone_random", count=1, numbers={"values": 1e4}),
    Fact(kind="depthwise_convolution", count=17, numbers={"forward_macs": 1e7, "gradient_ops": 34}),
    Fact(kind="half_casts", count=25, numbers={"bytes": 8e6}),
    Fact(kind="unfused_recurrence", count=1, detail="m/l: unroll=True"),
)


def why(*facts: Fact, **variant: Any) -> list[str]:
    chosen = {"xla": False, "eager": False, "precision": "float32", "device": "CPU"} | variant
    found = StepFacts(device=chosen["device"], half_precision=("bfloat16",), facts=facts or FACTS)
    return [cause.id for cause in causes(found, **chosen)]


@pytest.mark.parametrize(
    ("variant", "ids"),
    [
        ({}, []),
        ({"xla": True}, ["xla-depthwise", "xla-random", "xla-max-pool"]),
        ({"xla": True, "device": "GPU:0 H200"}, ["recurrence-unfused"]),
        ({"eager": True}, ["eager"]),
        ({"precision": "mixed_float16"}, ["half-unsupported", "casts"]),
        ({"precision": "mixed_bfloat16"}, ["casts"]),
        ({"xla": True, "precision": "mixed_bfloat16"}, ["xla-depthwise", "xla-random", "xla-max-pool", "casts"]),
    ],
)
def test_causes_are_those_of_the_variant_xlas_slow_kernels_the_largest_first(
    variant: dict[str, Any], ids: list[str]
) -> None:
    assert why(**variant) == ids


@pytest.mark.parametrize(
    ("fact", "variant", "id"),
    [
        (Fact(kind="lone_random", count=1, numbers={"values": 64}), {"xla": True}, "xla-random"),
        (Fact(kind="half_casts", count=2, numbers={"bytes": 999_999}), {"precision": "bfloat16"}, "casts"),
        (Fact(kind="float64", count=1, numbers={"bytes": 999_999}), {}, "float64"),
    ],
)
def test_what_takes_no_time_is_no_cause(fact: Fact, variant: dict[str, Any], id: str) -> None:
    assert why(fact, **variant) == []
    more = msgspec.structs.replace(fact, numbers=dict.fromkeys(fact.numbers, 1000000.0))
    assert why(more, **variant) == [id]


@pytest.mark.parametrize(
    ("count", "xla", "message"),
    [
        (1, True, "XLA cannot compile 1 Python function"),
        (2, True, "XLA cannot compile 2 Python functions"),
        (1, False, "1 Python function runs under Python's lock"),
        (2, False, "2 Python functions run one at a time under Python's lock"),
    ],
)
def test_python_functions_are_a_cause_once(count: int, xla: bool, message: str) -> None:
    facts = StepFacts(device="CPU", half_precision=(), facts=(Fact(kind="python_function", count=count),))
    (cause,) = causes(facts, xla=xla, eager=False, precision="float32", device="CPU")
    assert (cause.id, cause.message) == ("python-function", message)


@pytest.mark.parametrize(("count", "said"), [(1, "1 op computes in float64 (a)"), (1500, "1,500 ops compute in")])
def test_float64_is_a_cause(count: int, said: str) -> None:
    wide = Fact(kind="float64", count=count, layers=("m/a",), numbers={"bytes": 8e6, "inputs": 0})
    facts = StepFacts(device="CPU", half_precision=(), facts=(wide,))
    (cause,) = causes(facts, xla=False, eager=False, precision="float32", device="CPU")
    assert cause.message.startswith(said)
    assert cause.evidence == {"ops": count, "bytes": 8e6}


def test_a_cause_is_a_clause_that_follows_a_colon() -> None:
    (cause,) = causes(
        StepFacts(device="CPU", half_precision=(), facts=FACTS[3:4]),
        xla=True,
        eager=False,
        precision="float32",
        device="CPU",
    )
    assert cause.message == "17 depthwise convolutions have no fast kernel under XLA on CPU"


@pytest.mark.parametrize(
    ("xla", "device", "ids"), [(False, "CPU", ["grouped-convolution"]), (True, "CPU", []), (False, "GPU:0", [])]
)
def test_groups_are_slow_in_a_graph_on_cpu(xla: bool, device: str, ids: list[str]) -> None:
    assert why(Fact(kind="convolution_under_xla", count=2), xla=xla, device=device) == ids


def test_top_0_shows_all_advice() -> None:
    assert "5 more with --top 0" in render(hostile(), View(width=80))
    everything = render(hostile(), View(width=80, top=0))
    assert "more with --top 0" not in everything
    assert everything.count("! 12.0 % of the step") == 8


def test_a_machine_that_does_not_tell_its_half_precision_is_no_cause() -> None:
    mixed: dict[str, Any] = {"xla": False, "eager": False, "precision": "mixed_float16", "device": "CPU"}
    told, untold = (StepFacts(device="CPU", half_precision=(), half_known=known) for known in (True, False))
    assert [cause.id for cause in causes(told, **mixed)] == ["half-unsupported"]
    assert causes(untold, **mixed) == ()

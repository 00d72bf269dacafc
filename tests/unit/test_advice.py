"""Advice: every rule speaks of a step that has its problem, and is silent on one that just has not."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from records_for_tests import flat, op, record, row

from tfopt.profiling.advice import RULES, advise, layers, overhead, precision, waste, xla
from tfopt.records.advice import Advice, Fact, StepFacts
from tfopt.records.base import Note
from tfopt.records.profile import PrecisionInfo, ProfileRecord, Retrace

STEP = 100.0  # ms, so that ms are percent of the step
Op = tuple[str, str, str, Any, float]  # type, name, layer, phase, ms


def profiled(
    *facts: Fact,
    rows: dict[str, tuple[str, float, float, float]] | None = None,
    ops: Sequence[Op] = (),
    brackets: dict[str, float] | None = None,
    half: tuple[str, ...] = ("bfloat16",),
    computed: dict[str, int] | None = None,
    executor: float = 0.0,
    timing: dict[str, Any] | None = None,
    **run: Any,
) -> ProfileRecord:
    """A step of 100 ms: `rows` maps paths to type, forward, backward and optimizer ms, the rest of it is idle."""
    table = [
        row(path, kind, times, sum(times), STEP)
        for path, (kind, *times) in (rows or {"m/a": ("Dense", 95.0, 0.0, 0.0)}).items()
    ]
    made = record(
        flat().model,
        STEP,
        table,
        [op(kind, name, layer, phase, ms, STEP) for kind, name, layer, phase, ms in ops],
        brackets or {},
        run=run,
        timing=timing,
        precision=PrecisionInfo(compute_ops=computed or {"float32": 3}, float32_ops=()),
    )
    coverage = msgspec.structs.replace(made.coverage, executor=executor)
    found = StepFacts(device=made.run.device, half_precision=half, facts=facts)
    return msgspec.structs.replace(made, facts=found, coverage=coverage)


def fact(kind: str, *layers: str, count: int = 1, ops: tuple[str, ...] = (), **numbers: float) -> Fact:
    return Fact(kind=kind, count=count, layers=layers, ops=ops, numbers=numbers)


DEPTHWISE = fact("depthwise_convolution", "m/d", count=17, forward_macs=1e7, gradient_ops=34)
FEW_DEPTHWISE = fact("depthwise_convolution", "m/d", forward_macs=1e5)
TABLE = fact("dense_embedding_update", "m/e", rows=1000, looked_up=100, ops=("opt/Mul",))
GPU = "GPU:0 Example H200"


def under_xla(kind: str, layer: str, *times: float) -> ProfileRecord:
    return profiled(fact(kind, "m/d", forward_macs=1e7, values=1e6), rows={"m/d": (layer, *times)}, xla=True)  # type: ignore[arg-type]


def products(share: float, found: tuple[Fact, ...] = (), **options: Any) -> ProfileRecord:
    return profiled(*found, ops=[("_MklMatMul", "m/a/MatMul", "m/a", "forward", share)], **options)


def updating(optimizer_ms: float) -> ProfileRecord:
    return profiled(TABLE, rows={"m/e": ("Embedding", 1.0, 1.0, optimizer_ms)})


def retraced(times: int) -> ProfileRecord:
    causes = (Retrace(argument="x", before="float32(8, 4)", after="float32(7, 4)"),) * times
    return profiled(timing={"retraces": times, "retrace_causes": causes})


def activated(ms: float, kind: str = "Erf") -> ProfileRecord:
    ops = [("MatMul", "m/a/MatMul", "m/a", "forward", 10.0), (kind, "m/a/Gelu/x", "m/a", "forward", ms)]
    return profiled(ops=ops)


def in_python(ms: float) -> ProfileRecord:
    return profiled(fact("python_function", "m/p"), ops=[("EagerPyFunc", "m/p/EagerPyFunc", "m/p", "forward", ms)])


def grouped(ms: float, **run: Any) -> ProfileRecord:
    name = "m/c/StatefulPartitionedCall"
    compiled = fact("convolution_under_xla", "m/c", ops=(name,))
    return profiled(compiled, ops=[("StatefulPartitionedCall", name, "m/c", "forward", ms)], **run)


def named(kind: str, ms: float, **run: Any) -> ProfileRecord:
    found = fact(kind, "m/a", ops=("m/a/Op",), bytes=8e6)
    return profiled(found, ops=[("Mul", "m/a/Op", "m/a", "forward", ms)], **run)


def looping(ms: float, steps: int = 20, **run: Any) -> ProfileRecord:
    return profiled(
        fact("recurrent_loop", "m/l", time_steps=steps), rows={"m/l/cell": ("LSTMCell", ms, 0.0, 0.0)}, **run
    )


def casting(ms: float) -> ProfileRecord:
    return profiled(fact("half_casts", "m/a", count=25, bytes=1e7), ops=[("Cast", "m/Cast", "m/a", "forward", ms)])


def roofed(first: float, others: float, share: float = 10.0, count: int = 3) -> ProfileRecord:
    """A layer and its peers, by the share of the roof that they reach."""
    names = {"m/slow": ("Dense", share, 0.0, 0.0)} | {f"m/{n}": ("Dense", 10.0, 0.0, 0.0) for n in range(count)}
    made = profiled(rows=names)
    rows = (
        msgspec.structs.replace(line, roof_share=first if line.path == "m/slow" else others) for line in made.layers
    )
    return msgspec.structs.replace(made, layers=tuple(line for line in rows if line.path.startswith("m/")))


HALF = {"computed": {"float16": 3}, "precision": "mixed_float16"}
ODD = fact("odd_dimensions", "m/a", flops_share=0.1)
EVEN = fact("odd_dimensions", "m/a", flops_share=0.09)
UPDATES = fact("optimizer_updates", count=312, variables=8, small_variables=5)
UNFUSED = fact("unfused_recurrence", "m/l")

# Rule: the id of its advice, a step of which it speaks, and steps on which it is silent.
CASES: dict[Callable[..., Any], list[tuple[str, ProfileRecord, list[ProfileRecord]]]] = {
    xla.slow_kernels: [
        (
            "xla-depthwise",
            under_xla("depthwise_convolution", "DepthwiseConv2D", 3.0, 2.0, 0.0),
            [
                under_xla("depthwise_convolution", "DepthwiseConv2D", 2.0, 2.9, 0.0),
                profiled(DEPTHWISE, rows={"m/d": ("DepthwiseConv2D", 50.0, 40.0, 0.0)}),
                profiled(DEPTHWISE, rows={"m/d": ("DepthwiseConv2D", 50.0, 40.0, 0.0)}, xla=True, device=GPU),
            ],
        ),
        (
            "xla-random",
            under_xla("lone_random", "Dropout", 5.0, 0.0, 0.0),
            [under_xla("other", "Dropout", 50.0, 0.0, 0.0)],
        ),
        (
            "xla-max-pool",
            under_xla("max_pool_gradient", "MaxPooling2D", 0.0, 5.0, 0.0),
            [under_xla("max_pool_gradient", "MaxPooling2D", 50.0, 4.9, 0.0)],
        ),
    ],
    xla.xla_would_be_slower: [
        (
            "xla-would-be-slower",
            profiled(DEPTHWISE),
            [
                profiled(FEW_DEPTHWISE),
                profiled(DEPTHWISE, xla=True),
                profiled(DEPTHWISE, eager=True),
                profiled(DEPTHWISE, device=GPU),
            ],
        ),
    ],
    xla.xla_may_help: [
        (
            "xla-may-help",
            profiled(executor=0.2),
            [
                profiled(executor=0.19),
                profiled(DEPTHWISE, executor=0.5),
                profiled(executor=0.5, xla=True),
                profiled(fact("python_function"), executor=0.5),
                profiled(fact("recurrent_loop", time_steps=9), executor=0.5),
            ],
        ),
    ],
    xla.grouped_convolution: [
        ("grouped-convolution", grouped(5.0), [grouped(4.9), grouped(50.0, device=GPU), grouped(50.0, xla=True)])
    ],
    precision.half_unsupported: [
        (
            "half-unsupported",
            products(5.0, **HALF),
            [products(4.9, **HALF), products(50.0, half=("float16",), **HALF), products(50.0)],
        ),
    ],
    precision.bfloat16_possible: [
        (
            "bfloat16-possible",
            products(50.0),
            [
                products(49.0),
                products(50.0, half=()),
                products(50.0, precision="mixed_bfloat16"),
                products(50.0, xla=True),
                products(50.0, found=(fact("recurrent_loop", time_steps=9),)),
            ],
        ),
    ],
    precision.odd_dimensions: [
        (
            "odd-dimensions",
            profiled(ODD, device=GPU, **HALF),
            [profiled(EVEN, device=GPU, **HALF), profiled(ODD, **HALF), profiled(ODD, device=GPU)],
        ),
    ],
    precision.many_casts: [("many-casts", casting(5.0), [casting(4.9)])],
    precision.float64: [("float64", named("float64", 5.0), [named("float64", 4.9)])],
    overhead.retracing: [("retracing", retraced(1), [retraced(0)])],
    overhead.input_bound: [
        ("input-bound", profiled(brackets={"input": 10.0}, rows={}), [profiled(brackets={"input": 9.9}, rows={})])
    ],
    overhead.small_batch: [
        ("small-batch", profiled(executor=0.15), [profiled(executor=0.14), profiled(executor=0.5, eager=True)]),
    ],
    overhead.optimizer_share: [
        (
            "optimizer-share",
            profiled(UPDATES, rows={"m/a": ("Dense", 40.0, 40.0, 20.0)}),
            [
                profiled(UPDATES, rows={"m/a": ("Dense", 40.0, 40.0, 19.9)}),
                profiled(UPDATES, TABLE, rows={"m/e": ("Embedding", 40.0, 30.0, 30.0)}),
            ],
        )
    ],
    overhead.python_functions: [("python-functions", in_python(5.0), [in_python(4.9)])],
    overhead.eager: [("eager", profiled(eager=True), [profiled()])],
    waste.dense_embedding_update: [("dense-embedding-update", updating(5.0), [updating(4.9)])],
    waste.repeated_work: [
        (
            "repeated-work",
            named("repeated_work", 5.0),
            [named("repeated_work", 4.9), named("repeated_work", 50.0, xla=True)],
        )
    ],
    waste.needless_transposes: [
        (
            "needless-transposes",
            named("needless_transposes", 5.0),
            [named("needless_transposes", 4.9), named("needless_transposes", 50.0, xla=True)],
        )
    ],
    waste.recurrent_loop: [
        (
            "recurrent-loop",
            looping(25.0),
            [looping(24.0), looping(25.0, 65), looping(25.0, 0), looping(25.0, xla=True), looping(25.0, device=GPU)],
        ),
    ],
    waste.unfused_recurrence: [("recurrence-unfused", profiled(UNFUSED, device=GPU), [profiled(UNFUSED)])],
    layers.far_off_the_roof: [
        (
            "off-the-roof",
            roofed(0.09, 0.4),
            [roofed(0.09, 0.36), roofed(0.1, 0.9), roofed(0.09, 0.4, share=9.9), roofed(0.09, 0.4, count=2)],
        )
    ],
    layers.dear_activation: [
        ("dear-activation", activated(10.1), [activated(10.0), activated(50.0, "PartitionedCall")])
    ],
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_speaks_of_its_problem_and_of_nothing_else(rule: Callable[[ProfileRecord], Any]) -> None:
    for id, problem, sound in CASES[rule]:
        found = [advice for advice in rule(problem) if advice.id == id]
        assert len(found) == 1, id
        assert_well_said(found[0])
        for silent in sound:
            assert [advice.id for advice in rule(silent)] == [], id


def assert_well_said(advice: Advice) -> None:
    """Numbers in evidence, gains that are fractions, a command that a shell splits."""
    assert advice.message
    assert advice.action
    assert advice.evidence or advice.id == "recurrence-unfused"
    if advice.gain_low is not None and advice.gain_high is not None:
        assert 0 <= advice.gain_low <= advice.gain_high <= 1
    if advice.command:
        assert shlex.split(advice.command)[0] == "tfopt"


def test_there_is_no_advice_without_facts() -> None:
    """A record of an older version still reads; rules that look at its own numbers alone still speak."""
    made = msgspec.structs.replace(retraced(1), facts=None)
    assert [one.id for one in advise(made)] == ["retracing"]


def test_advice_is_ranked_by_severity_then_by_gain() -> None:
    made = profiled(
        DEPTHWISE, UPDATES, rows={"m/a": ("Dense", 10.0, 10.0, 60.0)}, executor=0.05, brackets={"input": 15.0}
    )
    assert [one.id for one in advise(made)] == ["optimizer-share", "input-bound", "xla-would-be-slower"]


def test_the_gain_of_leaving_xla_off_follows_from_the_share() -> None:
    """79 % of an MLP's step were Dropout under XLA, and 75 % of it vanished without (docs/advice.md)."""
    (advice,) = xla.slow_kernels(under_xla("lone_random", "Dropout", 79.0, 0.0, 0.0))
    assert advice.gain_low is not None
    assert advice.gain_high is not None
    assert advice.gain_low < 0.747 < advice.gain_high
    assert advice.severity == "high"


def test_what_is_repeated_spares_its_gradient_too() -> None:
    made = profiled(
        fact("repeated_work", "m/a", ops=("m/a_1/MatMul", "m/a_1/BiasAdd")),
        ops=[
            ("_MklNativeFusedMatMul", "m/a_1/BiasAdd", "m/a", "forward", 10.0),
            ("MatMul", "gradient_tape/m/a_1/MatMul/MatMul", "m/a", "backward", 20.0),
            ("MatMul", "gradient_tape/m/a/MatMul/MatMul", "m/a", "backward", 20.0),
        ],
    )
    (advice,) = waste.repeated_work(made)
    assert (advice.gain_low, advice.gain_high) == (pytest.approx(0.07), pytest.approx(0.3))


def test_notes_no_longer_say_what_advice_says() -> None:
    from tfopt.profiling.notes import remarks

    said: list[Note] = [
        note
        for made in (retraced(1), under_xla("depthwise_convolution", "DepthwiseConv2D", 50.0, 40.0, 0.0))
        for note in remarks(made)
    ]
    assert not [note for note in said if "traced" in note.message or "XLA" in note.message]


def test_every_rule_is_documented() -> None:
    documented = (Path(__file__).parents[2] / "docs" / "advice.md").read_text(encoding="utf-8")
    assert [id for cases in CASES.values() for id, *_ in cases if f"| `{id}` |" not in documented] == []


def test_a_machine_that_does_not_tell_its_half_precision_is_not_blamed() -> None:
    made = products(50.0, half=(), **HALF)
    assert made.facts is not None
    assert [one.id for one in precision.half_unsupported(made)] == ["half-unsupported"]
    untold = msgspec.structs.replace(made, facts=msgspec.structs.replace(made.facts, half_known=False))
    assert list(precision.half_unsupported(untold)) == []

"""Advice: every rule speaks of a step that has its problem, and is silent on one that just has not."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest
from records_for_tests import flat, op, record, row

from tfopt.cli.main import COMMANDS
from tfopt.model.source import ModelSource
from tfopt.profiling.advice import RULES, advise, layers, overhead, precision, waste, xla
from tfopt.profiling.arms import entries
from tfopt.profiling.notes import remarks
from tfopt.profiling.variants import parse_variant
from tfopt.records.advice import Advice, Fact, StepFacts
from tfopt.records.base import Note
from tfopt.records.profile import PrecisionInfo, ProfileRecord, Retrace
from tfopt.report import render
from tfopt.report.advice import gain
from tfopt.report.view import View
from tfopt.workload.duel import Contestant
from tfopt.workload.options import Options

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


def fact(
    kind: str,
    *layers: str,
    count: int = 1,
    ops: tuple[str, ...] = (),
    repeats: tuple[str, ...] = (),
    detail: str = "",
    **numbers: float,
) -> Fact:
    return Fact(kind=kind, count=count, layers=layers, ops=ops, repeats=repeats, detail=detail, numbers=numbers)


DEPTHWISE = fact("depthwise_convolution", "m/d", count=17, forward_macs=1e7, gradient_ops=34)
FEW_DEPTHWISE = fact("depthwise_convolution", "m/d", forward_macs=1e5)
TABLE = fact("dense_embedding_update", "m/e", rows=1000, looked_up=100, width=8, ops=("opt/Mul",))
GPU = "GPU:0 Example H200"


def under_xla(kind: str, layer: str, *times: float) -> ProfileRecord:
    return profiled(fact(kind, "m/d", forward_macs=1e7, values=1e6), rows={"m/d": (layer, *times)}, xla=True)  # type: ignore[arg-type]


def products(share: float, found: tuple[Fact, ...] = (), **options: Any) -> ProfileRecord:
    return profiled(*found, ops=[("_MklMatMul", "m/a/MatMul", "m/a", "forward", share)], **options)


def updating(optimizer_ms: float) -> ProfileRecord:
    return profiled(TABLE, rows={"m/e": ("Embedding", 1.0, 1.0, optimizer_ms)})


def halved(ms: float, **options: Any) -> ProfileRecord:
    """Half-precision products of so long in one layer, float32 products in another, and a fused one in the first."""
    options = {"precision": "mixed_float16"} | options
    ops: list[Op] = [
        ("MatMul", "m/a/MatMul", "m/a", "forward", ms - 1.0),
        ("_MklNativeFusedMatMul", "m/a/Relu", "m/a", "forward", 1.0),
        ("MatMul", "m/b/MatMul", "m/b", "forward", 40.0),
    ]
    return profiled(FLOAT16, ops=ops, **options)


def waiting(ms: float, **run: Any) -> ProfileRecord:
    return profiled(timing={"input_ms": ms}, **run)


def retraced(times: int) -> ProfileRecord:
    causes = (Retrace(argument="x", before="float32(8, 4)", after="float32(7, 4)"),) * times
    return profiled(timing={"retraces": times, "retrace_causes": causes})


def activated(ms: float, kind: str = "Erf", *facts: Fact, **run: Any) -> ProfileRecord:
    ops: list[Op] = [("MatMul", "m/a/MatMul", "m/a", "forward", 10.0), (kind, "m/a/Gelu/x", "m/a", "forward", ms)]
    return profiled(*(facts or (GELU,)), ops=ops, **run)


def in_python(ms: float) -> ProfileRecord:
    return profiled(fact("python_function", "m/p"), ops=[("EagerPyFunc", "m/p/EagerPyFunc", "m/p", "forward", ms)])


def grouped(ms: float, **run: Any) -> ProfileRecord:
    name = "m/c/StatefulPartitionedCall"
    compiled = fact("convolution_under_xla", "m/c", ops=(name,))
    return profiled(compiled, ops=[("StatefulPartitionedCall", name, "m/c", "forward", ms)], **run)


def named(kind: str, ms: float, **run: Any) -> ProfileRecord:
    found = fact(kind, "m/a", ops=("m/a/Op",), bytes=8e6)
    return profiled(found, ops=[("Mul", "m/a/Op", "m/a", "forward", ms)], **run)


def repeating(ms: float, *, first_ran: bool = True, **run: Any) -> ProfileRecord:
    """Ops of so long that repeat what another one computed, if that one ran."""
    found = fact("repeated_work", "m/a", ops=("m/a_1/MatMul",), repeats=("m/a/MatMul",))
    ops: list[Op] = [("MatMul", "m/a_1/MatMul", "m/a", "forward", ms)]
    ops += [("MatMul", "m/a/MatMul", "m/a", "forward", 1.0)] * first_ran
    return profiled(found, ops=ops, **run)


def looping(ms: float, steps: int = 20, **run: Any) -> ProfileRecord:
    return profiled(
        fact("recurrent_loop", "m/l", time_steps=steps), rows={"m/l/cell": ("LSTMCell", ms, 0.0, 0.0)}, **run
    )


def casting(ms: float) -> ProfileRecord:
    ops: list[Op] = [("Cast", "m/Cast", "m/a", "forward", ms), ("Cast", "image/Cast", "m", "forward", 40.0)]
    return profiled(
        fact("half_casts", "m/a", count=25, ops=("m/Cast",), bytes=1e7), ops=ops, precision="float32, mixed_bfloat16"
    )


def roofed(first: float, others: float, share: float = 10.0, count: int = 3) -> ProfileRecord:
    """A layer and its peers, by the share of the roof that they reach."""
    names = {"m/slow": ("Dense", share, 0.0, 0.0)} | {f"m/{n}": ("Dense", 10.0, 0.0, 0.0) for n in range(count)}
    made = profiled(rows=names)
    rows = (
        msgspec.structs.replace(line, roof_share=first if line.path == "m/slow" else others) for line in made.layers
    )
    return msgspec.structs.replace(made, layers=tuple(line for line in rows if line.path.startswith("m/")))


FLOAT16 = fact("half_products", "m/a", count=3, ops=("m/a/MatMul",), detail="float16")
GELU = fact("activation", "m/a", detail="gelu")
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
    xla.grouped_convolution: [("grouped-convolution", grouped(5.0), [grouped(4.9), grouped(50.0, xla=True)])],
    precision.half_unsupported: [
        (
            "half-unsupported",
            halved(5.0),
            [halved(4.9), halved(50.0, half=("float16",)), products(50.0)],
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
            profiled(ODD, FLOAT16, device=GPU),
            [profiled(EVEN, FLOAT16, device=GPU), profiled(ODD, FLOAT16), profiled(ODD, device=GPU)],
        ),
    ],
    precision.many_casts: [("many-casts", casting(5.0), [casting(4.9)])],
    precision.float64: [("float64", named("float64", 5.0), [named("float64", 4.9)])],
    overhead.retracing: [("retracing", retraced(1), [retraced(0)])],
    overhead.input_bound: [("input-bound", waiting(10.0), [waiting(9.9)])],
    overhead.small_batch: [
        (
            "small-batch",
            profiled(executor=0.15, batch_size=1024),
            [profiled(executor=0.14), profiled(executor=0.5, eager=True), profiled(executor=0.5, batch_size=1025)],
        ),
    ],
    overhead.optimizer_share: [
        (
            "optimizer-share",
            profiled(UPDATES, rows={"m/a": ("Dense", 40.0, 40.0, 20.0)}),
            [
                profiled(UPDATES, rows={"m/a": ("Dense", 40.0, 40.0, 19.9)}),
                profiled(UPDATES, TABLE, rows={"m/e": ("Embedding", 40.0, 30.0, 30.0)}),
                profiled(UPDATES, rows={"m/a": ("Dense", 10.0, 10.0, 80.0)}, batch_size=1025),
            ],
        )
    ],
    overhead.python_functions: [("python-functions", in_python(5.0), [in_python(4.9)])],
    overhead.eager: [("eager", profiled(eager=True), [profiled()])],
    waste.dense_embedding_update: [("dense-embedding-update", updating(5.0), [updating(4.9)])],
    waste.repeated_work: [
        (
            "repeated-work",
            repeating(5.0),
            [repeating(4.9), repeating(50.0, first_ran=False), repeating(50.0, xla=True)],
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
            [looping(24.0), looping(25.0, 65), looping(25.0, 0), looping(25.0, xla=True)],
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
        (
            "dear-activation",
            activated(10.1),
            [
                activated(10.0),
                activated(50.0, "PartitionedCall"),
                activated(50.0, "AddV2", fact("activation", "m/b", detail="gelu")),
                activated(50.0, xla=True),
                activated(50.0, eager=True),
            ],
        )
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
    assert advice.action or not advice.command
    assert advice.evidence
    if advice.gain_low is not None:
        assert 0 <= advice.gain_low <= (1 if advice.gain_high is None else advice.gain_high) <= 1
    if advice.command:
        assert_accepted(advice.command)


def assert_accepted(line: str) -> None:
    """The verb's own parsers read it, and `tfopt compare` finds at least two different arms in it."""
    tfopt, verb, *words = shlex.split(line)
    assert tfopt == "tfopt"
    options = import_module(COMMANDS[verb][0]).command.make_context(verb, words).params
    if verb == "compare":
        variants = [parse_variant(name) for name in options["variants"]]
        source = ModelSource("m.keras", "m", "keras", None, None)
        arms = entries([source], variants, options["batch_sizes"] or (None,), Contestant("", "", Options()))
        assert len({(arm.contestant.options, arm.contestant.device) for arm in arms}) == len(arms)
    else:
        assert verb == "profile"


@pytest.mark.parametrize("precision", ["float32", "mixed_float16", "bfloat16", "float64", "float32, mixed_bfloat16"])
@pytest.mark.parametrize("program", [{}, {"xla": True}, {"eager": True}])
@pytest.mark.parametrize("data", ["synthetic", "x.npz", "my.module:batches"])
def test_tfopt_accepts_the_commands_of_all_advice(precision: str, program: dict[str, bool], data: str) -> None:
    run = {"precision": precision, "data": data, **program}
    for cases in CASES.values():
        for _, problem, _ in cases:
            for advice in advise(msgspec.structs.replace(problem, run=msgspec.structs.replace(problem.run, **run))):
                assert_well_said(advice)


ALL = (80.0, 95.0, 100.0)  # ms of the step


@pytest.mark.parametrize("ms", ALL)
def test_what_takes_nearly_all_of_a_step_does_not_save_more_than_that(ms: float) -> None:
    in_graph: Op = ("EagerPyFunc", "m/p/EagerPyFunc", "m/p", "unattributed", ms)
    tables = profiled(TABLE, UPDATES, rows={"m/e": ("Embedding", 0.0, 0.0, ms)})
    shared: list[Op] = [("MatMul", f"m/a{n}/MatMul", "m/a", "forward", ms / 3) for n in ("", "_1")]
    shared.append(("MatMul", "gradient_tape/m/a_1/MatMul/MatMul", "m/a", "backward", ms / 3))
    steps = [
        under_xla("lone_random", "Dropout", ms, 0.0, 0.0),
        named("needless_transposes", ms),
        named("float64", ms),
        profiled(fact("python_function", "m/p"), ops=[in_graph], rows={}, brackets={"unattributed": ms}),
        profiled(rows={}, executor=ms / 100 - 0.05),
        tables,
        profiled(fact("repeated_work", "m/a", ops=("m/a_1/MatMul",), repeats=("m/a/MatMul",)), ops=shared, rows={}),
        looping(ms),
        grouped(ms),
        activated(ms),
        waiting(ms),
    ]
    for step in steps:
        found = advise(step)
        assert found
        for advice in found:
            assert_well_said(advice)


def test_there_is_no_advice_without_facts() -> None:
    """A record of an older version still reads; rules that look at its own numbers alone still speak."""
    made = msgspec.structs.replace(retraced(1), facts=None)
    assert [one.id for one in advise(made)] == ["retracing"]


def test_advice_is_ranked_by_severity_then_by_gain() -> None:
    made = profiled(
        DEPTHWISE, UPDATES, rows={"m/a": ("Dense", 20.0, 15.0, 60.0)}, executor=0.05, timing={"input_ms": 15.0}
    )
    assert [one.id for one in advise(made)] == ["optimizer-share", "input-bound", "xla-would-be-slower"]


def test_the_gain_of_leaving_xla_off_follows_from_the_share() -> None:
    """79 % of an MLP's step were Dropout under XLA, and 75 % of it vanished without (docs/advice.md)."""
    (advice,) = xla.slow_kernels(under_xla("lone_random", "Dropout", 79.0, 0.0, 0.0))
    assert advice.gain_low is not None
    assert advice.gain_high is not None
    assert advice.gain_low < 0.747 < advice.gain_high
    assert advice.severity == "high"


def test_xla_is_left_off_for_all_of_its_slow_kernels_at_once() -> None:
    """Two pieces of advice whose gains overlap would promise the same time twice."""
    made = profiled(
        fact("lone_random", "m/r", count=2, values=1e5),
        fact("max_pool_gradient", "m/p", values=1e6),
        rows={"m/r": ("Dropout", 20.0, 0.0, 0.0), "m/p": ("MaxPooling2D", 0.0, 30.0, 0.0)},
        xla=True,
    )
    (advice,) = xla.slow_kernels(made)
    assert advice.id == "xla-max-pool"
    assert "1 max-pool gradient and 2 random layers have no fast kernel under XLA on CPU" in advice.message
    assert advice.evidence["share"] == pytest.approx(0.5)
    assert advice.layers == ("m/p", "m/r")


@pytest.mark.parametrize(("ms", "sure"), [(29.0, False), (30.0, True)])
def test_xla_is_to_be_left_off_only_where_that_cannot_lose(ms: float, sure: bool) -> None:
    (advice,) = xla.slow_kernels(under_xla("depthwise_convolution", "DepthwiseConv2D", ms, 0.0, 0.0))
    assert (advice.action, advice.gain_low is None) == (
        ("leave XLA off", False) if sure else ("compare without XLA", True)
    )


def test_off_the_cpu_nothing_is_read_off_tables_that_show_the_host() -> None:
    on_gpu = [
        msgspec.structs.replace(problem, run=msgspec.structs.replace(problem.run, device=GPU))
        for cases in CASES.values()
        for _, problem, _ in cases
    ]
    said = {advice.id: advice.message for step in on_gpu for advice in advise(step)}
    assert set(said) == {
        *("eager", "half-unsupported", "input-bound", "odd-dimensions", "recurrence-unfused", "retracing")
    }
    assert [id for id, message in said.items() if "of the step" in message] == ["input-bound"]


def test_tables_of_one_shape_share_their_clipping() -> None:
    """Two tables whose facts name the same op: its time is there once."""
    tables = [fact("dense_embedding_update", f"m/{n}", rows=100, looked_up=10, width=8, ops=("clip",)) for n in "ab"]
    made = profiled(
        *tables,
        UPDATES,
        rows={"m/a": ("Embedding", 0.0, 0.0, 10.0), "m/b": ("Embedding", 0.0, 0.0, 10.0)},
        ops=[("Mul", "clip", "(optimizer)", "optimizer", 40.0), ("Mul", "u", "m/a", "optimizer", 10.0)],
        brackets={"optimizer": 45.0},
    )
    (advice,) = waste.dense_embedding_update(made)
    assert advice.evidence == {"share": pytest.approx(0.6), "rows": 200, "looked_up": 20}
    assert advice.gain_low == pytest.approx(0.6 * 0.9 * 0.85)
    assert "trains differently" in advice.action
    assert list(overhead.optimizer_share(made)) == []  # what is left of the 65 ms are 5


def test_half_precision_products_are_told_from_others() -> None:
    (advice,) = precision.half_unsupported(halved(10.0))
    assert advice.evidence["share"] == pytest.approx(0.1)
    assert advice.message == (
        "10.0 % of the step: 3 matrix products and convolutions in float16, for which this CPU has no instructions"
    )


@pytest.mark.parametrize(("kind", "action"), [("Erfc", "or gelu with approximate=True"), ("Tanh", "try relu")])
def test_a_gelu_that_is_approximate_already_is_not_told_to_be(kind: str, action: str) -> None:
    (advice,) = layers.dear_activation(activated(20.0, kind))
    assert "the activation (gelu) of a takes longer" in advice.message
    assert advice.action.endswith(action)


@pytest.mark.parametrize(("mode", "told"), [("train", True), ("infer", False)])
def test_fit_is_advised_on_where_somebody_trains(mode: str, told: bool) -> None:
    (advice,) = overhead.small_batch(profiled(executor=0.5, mode=mode))
    assert ("steps_per_execution" in advice.action) == told


@pytest.mark.parametrize(("times", "severity"), [(1, "low"), (2, "high")])
def test_one_tracing_more_is_an_epochs_end(times: int, severity: str) -> None:
    (advice,) = overhead.retracing(retraced(times))
    assert advice.severity == severity


def test_nothing_is_to_be_done_where_xla_is_off_already() -> None:
    (advice,) = xla.xla_would_be_slower(profiled(DEPTHWISE))
    assert advice.message == "XLA would be slower here: 17 depthwise convolutions have no fast kernel under XLA on CPU"
    assert (advice.severity, advice.action, advice.command) == ("low", "", "")
    made = msgspec.structs.replace(profiled(DEPTHWISE), advice=(advice,))
    shown = render(made, View(width=120)).splitlines()
    at = next(number for number, line in enumerate(shown) if "XLA would be slower" in line)
    assert not any(line.strip() for line in shown[at + 1 :])
    assert f"- {advice.message}\n" in f"{render(made, View(), 'md')}\n"


def test_a_layer_of_which_other_advice_speaks_is_not_off_its_roof_too() -> None:
    made = roofed(0.09, 0.4)
    assert [advice.id for advice in layers.far_off_the_roof(made, {"m/slow"})] == []
    assert [advice.id for advice in layers.far_off_the_roof(made, {"m"})] == []
    assert [advice.id for advice in layers.far_off_the_roof(made, {"m/slo"})] == ["off-the-roof"]
    found = msgspec.structs.replace(made, facts=msgspec.structs.replace(made.facts, facts=(GELU,)))
    assert "off-the-roof" in [advice.id for advice in advise(found)]


@pytest.mark.parametrize(("kind", "who"), [("Dense", "other Dense layers"), ("LSTM", "other layers")])
def test_who_the_peers_are_is_said(kind: str, who: str) -> None:
    made = roofed(0.09, 0.4)
    rows = [msgspec.structs.replace(line, type=kind) if line.path == "m/slow" else line for line in made.layers]
    (advice,) = layers.far_off_the_roof(msgspec.structs.replace(made, layers=tuple(rows)))
    assert f", {who} 2.5" in advice.message


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (None, None, ""),
        (0.26, None, "saves at least 26 %"),
        (0.0, None, ""),
        (0.0, 0.3, "saves up to 30 %"),
        (0.1, 0.3, "saves 10 to 30 %"),
    ],
)
def test_a_gain_is_said_as_far_as_it_is_known(low: float | None, high: float | None, said: str) -> None:
    (advice,) = overhead.input_bound(waiting(50.0))
    assert gain(msgspec.structs.replace(advice, gain_low=low, gain_high=high)) == said


def test_a_savedmodel_is_not_told_to_change_its_precision() -> None:
    made = products(60.0)
    model = msgspec.structs.replace(made.model, format="savedmodel")
    assert list(precision.bfloat16_possible(msgspec.structs.replace(made, model=model))) == []


def test_what_keras_has_xla_compile_gains_nothing_by_bfloat16() -> None:
    made = products(60.0)
    compiled = tuple(msgspec.structs.replace(op, instruction="3:convolution.1") for op in made.ops)
    assert list(precision.bfloat16_possible(msgspec.structs.replace(made, ops=compiled))) == []


def test_what_is_repeated_spares_its_gradient_too() -> None:
    made = profiled(
        fact(
            "repeated_work",
            "m/a",
            ops=("m/a_1/MatMul", "m/a_1/BiasAdd"),
            repeats=("m/a/MatMul", "m/a/BiasAdd"),
        ),
        ops=[
            ("_MklNativeFusedMatMul", "m/a/BiasAdd", "m/a", "forward", 10.0),
            ("_MklNativeFusedMatMul", "m/a_1/BiasAdd", "m/a", "forward", 10.0),
            ("MatMul", "gradient_tape/m/a_1/MatMul/MatMul", "m/a", "backward", 20.0),
            ("MatMul", "gradient_tape/m/a/MatMul/MatMul", "m/a", "backward", 20.0),
        ],
    )
    (advice,) = waste.repeated_work(made)
    assert (advice.gain_low, advice.gain_high) == (pytest.approx(0.07), pytest.approx(0.3))


def test_notes_no_longer_say_what_advice_says() -> None:
    said: list[Note] = [
        note
        for made in (retraced(1), profiled(executor=0.5), under_xla("lone_random", "Dropout", 50.0, 40.0, 0.0))
        for note in remarks(made)
    ]
    assert not [note for note in said if any(word in note.message for word in ("traced", "XLA", "own work"))]


def test_every_rule_is_documented() -> None:
    documented = (Path(__file__).parents[2] / "docs" / "advice.md").read_text(encoding="utf-8")
    assert [id for cases in CASES.values() for id, *_ in cases if f"| `{id}` |" not in documented] == []


def test_a_machine_that_does_not_tell_its_half_precision_is_not_blamed() -> None:
    made = halved(50.0, half=())
    assert made.facts is not None
    assert [one.id for one in precision.half_unsupported(made)] == ["half-unsupported"]
    untold = msgspec.structs.replace(made, facts=msgspec.structs.replace(made.facts, half_known=False))
    assert list(precision.half_unsupported(untold)) == []

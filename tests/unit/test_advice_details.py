"""Advice in detail: what it counts, what it expects to gain, and how it says so."""

from __future__ import annotations

import msgspec
import pytest
from steps_for_tests import (
    DEPTHWISE,
    UPDATES,
    activated,
    fact,
    halved,
    in_python,
    products,
    profiled,
    retraced,
    roofed,
    under_xla,
    waiting,
)

from tfopt.profiling.advice import advise, layers, overhead, precision, waste, xla
from tfopt.report import render
from tfopt.report.advice import gain
from tfopt.report.view import View


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


def test_tables_of_one_shape_share_their_clipping() -> None:
    """Two tables whose facts name the same ops: their time is there once, and that of the layers' own in their rows."""
    tables = [
        fact("dense_embedding_update", f"m/{n}", rows=100, looked_up=10, width=8, ops=("clip", "u")) for n in "ab"
    ]
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


def test_python_functions_of_no_known_layer_are_not_counted_twice() -> None:
    made = profiled(
        fact("python_function", "m/p"),
        ops=[("EagerPyFunc", "EagerPyFunc", "(unattributed)", "unattributed", 20.0)],
        rows={"m/a": ("Dense", 60.0, 0.0, 0.0)},
        brackets={"unattributed": 30.0},
    )
    (advice,) = overhead.python_functions(made)
    assert (advice.gain_low, advice.gain_high) == (pytest.approx(0.1), pytest.approx(0.4))  # with 10 ms idle


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
    slow = in_python(5.0)  # in m/p
    rows = tuple(msgspec.structs.replace(line, path=line.path.replace("slow", "p")) for line in made.layers)
    assert "off-the-roof" in [advice.id for advice in advise(made)]
    found = msgspec.structs.replace(made, layers=rows, facts=slow.facts, ops=slow.ops)
    ids = [advice.id for advice in advise(found)]
    assert "python-functions" in ids
    assert "off-the-roof" not in ids


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


def test_a_machine_that_does_not_tell_its_half_precision_is_not_blamed() -> None:
    made = halved(50.0, half=())
    assert made.facts is not None
    assert [one.id for one in precision.half_unsupported(made)] == ["half-unsupported"]
    untold = msgspec.structs.replace(made, facts=msgspec.structs.replace(made.facts, half_known=False))
    assert list(precision.half_unsupported(untold)) == []

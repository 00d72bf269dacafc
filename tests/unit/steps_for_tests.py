"""Profiled steps of 100 ms for tests of advice: of each rule one that has its problem, and some that just have not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from records_for_tests import flat, op, record, row

from tfopt.profiling.advice import layers, overhead, precision, waste, xla
from tfopt.records.advice import Fact, StepFacts
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

"""Profile records for tests: a flat network, a nested one under XLA, and one whose names mean harm.

Times are made up from a few numbers and then closed the way a real profile is: rows add up to the step exactly.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import msgspec

from tfopt.profiling.roofline import with_rates
from tfopt.records.advice import Advice
from tfopt.records.base import Note
from tfopt.records.diagnosis import DiagnosisRecord, Finding
from tfopt.records.difference import DifferenceRecord
from tfopt.records.machine import Machine
from tfopt.records.memory import MemoryInfo
from tfopt.records.profile import (
    Coverage,
    InputInfo,
    LayerRow,
    ModelInfo,
    OpCharge,
    OpRow,
    Phase,
    PhaseRow,
    PrecisionInfo,
    ProfileRecord,
    Retrace,
    RunInfo,
    Source,
    StepInfo,
    TraceInfo,
)
from tfopt.report.against import diff
from tfopt.workload.peak.xla import xla_memory

HOSTILE = {
    "ansi": "\x1b]0;owned\x07\x1b[31mred",
    "markup": "[red]markup[link=x]",
    "formula": "=cmd()",
    "pipe": "a|b`c",
    "newline": "two\nlines",
    "long": "very_" * 39 + "long!",
    "wide": "卷积层_конволюция_🙂",
    "bidi": "abc\u202edcba",
}

# A leaf: (path, class, forward, backward, optimizer, inferred part of its own time)
Leaf = tuple[str, str, float, float, float, float]


FOLDER = "runs/model-20261120-093107"


def layer_rows(root: str, containers: dict[str, str], leaves: Sequence[Leaf], step: float) -> list[LayerRow]:
    """Rows of a tree: `containers` maps inner paths to classes, times of `leaves` are summed upwards."""
    times: dict[str, list[float]] = {path: [0.0, 0.0, 0.0] for path in containers}
    for path, _, *parts, _ in leaves:
        ancestors = [path[:at] for at, char in enumerate(path) if char == "/"]
        for place in (*ancestors, path):
            known = times.setdefault(place, [0.0, 0.0, 0.0])
            for at, part in enumerate(parts):
                known[at] += part
    own = {path: (kind, sum(parts), inferred) for path, kind, *parts, inferred in leaves}
    rows = []
    for path in sorted(times, key=lambda place: place.split("/")):
        kind, self_ms, inferred = own.get(path, (containers.get(path, "Functional"), 0.0, 0.0))
        rows.append(row(path, kind, times[path], self_ms, step, inferred=inferred))
    return rows


def row(
    path: str, kind: str, times: Sequence[float], self_ms: float, step: float, *, calls: int = 1, inferred: float = 0.0
) -> LayerRow:
    forward, backward, optimizer = times
    total = max(sum(times), self_ms)
    source: Source = "none" if path.startswith("(") else "inferred" if inferred else "own"
    return LayerRow(
        path=path,
        type=kind,
        depth=path.count("/"),
        calls=calls,
        forward_ms=forward,
        backward_ms=backward,
        optimizer_ms=optimizer,
        self_ms=self_ms,
        total_ms=total,
        share=self_ms / step,
        total_share=total / step,
        source=source,
        inferred_ms=inferred,
    )


def with_work(line: LayerRow) -> LayerRow:
    """A row with the work that its type and time stand for."""
    if line.type not in RATES or not line.self_ms:
        return line
    rate, intensity = RATES[line.type]
    flops = round(rate * line.self_ms * 1e6)
    moved = round(flops / intensity)
    return with_rates(msgspec.structs.replace(line, flops=flops, moved_bytes=moved), flops, moved, "float32", MACHINE)


def op(
    kind: str,
    name: str,
    layer: str,
    phase: Phase,
    self_ms: float,
    step: float,
    source: Source = "own",
    per: float = 1.0,
    parts: Sequence[float] = (),
) -> OpRow:
    """An op of one layer; `parts` splits its time between forward, backward and optimizer."""
    phases: tuple[Phase, ...] = ("forward", "backward", "optimizer")
    charges = (
        OpCharge(layer=layer, phase=name, fraction=part / self_ms) for name, part in zip(phases, parts, strict=False)
    )
    return OpRow(
        type=kind,
        name=name,
        layer=layer,
        phase=phase,
        per_step=per,
        self_ms=self_ms,
        busy_ms=self_ms * 1.7,
        share=self_ms / step,
        source=source,
        charges=tuple(charges),
    )


def record(
    model: ModelInfo,
    step: float,
    rows: Sequence[LayerRow],
    ops: Sequence[OpRow],
    brackets: dict[str, float],
    *,
    run: dict[str, Any] | None = None,
    timing: dict[str, Any] | None = None,
    precision: PrecisionInfo | None = None,
    notes: tuple[Note, ...] = (),
    trace: str | None = "plugins/profile/2026_11_20_09_31_07/host.xplane.pb",
) -> ProfileRecord:
    """A record closed from its parts: phases and coverage follow from the rows, `(idle)` takes what is left."""
    named = sum(line.self_ms for line in rows) + sum(brackets.values())
    bracket_rows = [row(f"({name})", "", (0.0, 0.0, 0.0), ms, step) for name, ms in brackets.items()]
    idle = max(0.0, step - named)
    layers = (*rows, *bracket_rows, row("(idle)", "", (0.0, 0.0, 0.0), idle, step))
    leaves = leaves_of(rows)
    sums = [sum(getattr(leaf, f"{part}_ms") for leaf in leaves) for part in ("forward", "backward", "optimizer")]
    phases: dict[Phase, float] = {
        "input": brackets.get("input", 0.0),
        "forward": sums[0],
        "loss": brackets.get("loss", 0.0),
        "backward": sums[1],
        "optimizer": sums[2] + brackets.get("optimizer", 0.0),
        "unattributed": brackets.get("unattributed", 0.0),
        "idle": idle,
    }
    inferred = sum(line.inferred_ms for line in rows) / step
    lost = phases["unattributed"] / step
    busy = 1 - idle / step
    return ProfileRecord(
        model=model,
        run=msgspec.structs.replace(RUN, **(run or {})),
        step=msgspec.structs.replace(STEP, **({"median_ms": step, **(timing or {})})),
        phases=tuple(PhaseRow(phase=phase, share=ms / step, ms=ms) for phase, ms in phases.items()),
        layers=layers,
        ops=tuple(ops),
        coverage=Coverage(
            own=busy - inferred - lost,
            inferred=inferred,
            unattributed=lost,
            idle=idle / step,
            attributed=1 - lost / busy,
        ),
        precision=precision or PrecisionInfo(compute_ops={"float32": 53}, float32_ops=()),
        trace=TraceInfo(
            run_dir=None if trace is None else FOLDER,
            file=trace,
            bytes=4_300_000,
            steps=5,
            events=165_701,
            every_op=True,
        ),
        notes=notes,
    )


def leaves_of(rows: Sequence[LayerRow]) -> list[LayerRow]:
    """The rows without rows below them."""
    inner = {line.path.rpartition("/")[0] for line in rows}
    return [line for line in rows if line.path not in inner]


RUN = RunInfo(
    mode="train",
    device="CPU",
    precision="float32",
    xla=False,
    eager=False,
    batch_size=16,
    steps=40,
    trace_steps=5,
    seed=0,
    threads=2,
    clock="perf_counter_ns",
    cpu="Example CPU @ 2.00GHz",
    command="tfopt profile mobilenet.keras --batch-size 16",
    data="synthetic",
    inputs=(InputInfo(name="images", shape=(16, 96, 96, 3), dtype="float32", values="uniform in [0, 1)"),),
    step_source="tfopt",
    loss="sparse_categorical_crossentropy",
    optimizer="adam",
    started_at="2026-11-20T09:31:07+01:00",
    tfopt="0.1.0",
    python="3.11.7",
    tensorflow="2.21.0",
    keras="3.15.1",
)

# A ridge of 10 operations per byte in float32, of 20 in bfloat16.
MACHINE = Machine(
    device="CPU",
    cpu="Example",
    threads=2,
    peak_gflops={"float32": 100.0, "bfloat16": 200.0},
    bandwidth_gb_per_s=10.0,
    measured_at="2026-11-20T09:31:07+00:00",
    tensorflow="2.21.0",
)

# Made-up rates by type: operations per second (10⁹), operations per byte.
RATES = {"Conv2D": (62.0, 40.0), "BatchNormalization": (3.1, 0.8), "DepthwiseConv2D": (0.62, 4.0)}

STEP = StepInfo(
    median_ms=142.6,
    low_ms=140.9,
    high_ms=144.8,
    p95_ms=149.1,
    cpu_ms=251.3,
    samples=40,
    warmup_steps=5,
    compile_s=6.12,
    retraces=0,
    retrace_causes=(),
    examples_per_s=112.2,
    traced_ms=147.0,
    overhead=0.031,
    skipped_steps=0,
    last_loss=2.31,
    nonfinite_losses=0,
)


def flat(blocks: int = 20, time: float = 3.2, step: float = 142.6) -> ProfileRecord:
    """A MobileNet-like chain of 61 layers, trained in float32 on the CPU; `time` is what its first block takes."""
    root = "mobilenetv2_1.00_96"
    leaves: list[Leaf] = [(f"{root}/Conv_1", "Conv2D", 3.1, 5.27, 0.413, 0.0)]
    ops: list[OpRow] = [
        op(kind, f"gradient_tape/{root}/Conv_1_1/convolution/{kind}", f"{root}/Conv_1", "backward", ms, step)
        for kind, ms in (("Conv2DBackpropInput", 3.2), ("Conv2DBackpropFilter", 2.07))
    ]
    ops.append(op("Conv2D", f"{root}/Conv_1_1/convolution", f"{root}/Conv_1", "forward", 3.1, step))
    ops.append(op("ResourceApplyAdam", "adam/update", f"{root}/Conv_1", "optimizer", 0.413, step))
    for block in range(1, blocks + 1):
        size = time / block**0.5
        for name, kind, forward, backward in (
            (f"block_{block}_expand", "Conv2D", size * 0.6, size),
            (f"block_{block}_expand_BN", "BatchNormalization", size * 0.2, size * 1.1),
            (f"block_{block}_depthwise", "DepthwiseConv2D", size * 0.7, size * 1.3),
        ):
            path = f"{root}/{name}"
            guessed = forward * 0.4 if kind == "BatchNormalization" else 0.0
            leaves.append((path, kind, forward, backward, 0.04, guessed))
            source: Source = "inferred" if guessed else "own"
            ops.append(op(f"_MklNative{kind}", f"{root}/{name}_1/{kind}", path, "forward", forward, step, source))
            ops.append(op(f"{kind}Grad", f"gradient_tape/{root}/{name}_1/{kind}Grad", path, "backward", backward, step))
            ops.append(op("ResourceApplyAdam", f"adam/{name}", path, "optimizer", 0.04, step, per=2.0))
    rows = [with_work(line) for line in layer_rows(root, {root: "Functional"}, leaves, step)]
    ops += [
        op("SparseSoftmaxCrossEntropyWithLogits", "loss/xent", "(loss)", "loss", 0.9, step),
        op("AssignAddVariableOp", "adam/iterations", "(optimizer)", "optimizer", 0.31, step),
        op("NoOp", "unknown", "(unattributed)", "unattributed", 0.52, step),
    ]
    model = ModelInfo(
        path="models/mobilenet.keras",
        name=root,
        type="Functional",
        format="keras",
        params=2_270_794,
        trainable_params=2_236_682,
        weight_bytes=9_083_176,
        size_bytes=9_204_512,
        keras_version="3.15.1",
    )
    brackets = {"loss": 0.9, "optimizer": 0.31, "unattributed": 0.52, "input": 0.0}
    advice = (
        Advice(
            id="small-batch",
            severity="medium",
            message="26.4 % of the step is idle or TensorFlow's own work around ops, whatever the batch",
            action="a batch of 64 takes less per example; for fit also set steps_per_execution",
            evidence={"idle_share": 0.074, "executor_share": 0.19},
            gain_low=0.1,
            command="tfopt compare mobilenet.keras --variants graph --batch-sizes 16,32,64",
        ),
        Advice(
            id="xla-would-be-slower",
            severity="low",
            message="XLA would be slower here: 17 depthwise convolutions have no fast kernel under XLA on CPU",
            action="",
            evidence={"ops": 17},
            layers=tuple(path for path, kind, *_ in leaves if kind == "DepthwiseConv2D"),
        ),
    )
    note = Note(
        message="the model is not compiled; assumed: the optimizer Adam", hint="choose with --loss and --optimizer"
    )
    made = record(model, step, rows, ops, brackets, notes=(note,))
    return msgspec.structs.replace(made, advice=advice, machine=MACHINE)


def nested() -> ProfileRecord:
    """A small transformer whose blocks are models, in inference under XLA and mixed precision on a GPU."""
    step = 1.873
    leaves: list[Leaf] = []
    containers = {"captioner": "Captioner"}
    ops: list[OpRow] = []
    for block in range(4):
        place = f"captioner/decoder/block_{block}"
        containers["captioner/decoder"] = "Functional"
        containers[place] = "Functional"
        for name, kind, ms in (
            ("attention", "MultiHeadAttention", 0.17),
            ("norm", "LayerNormalization", 0.031),
            ("feed_forward", "Dense", 0.12 - block * 0.01),
        ):
            leaves.append((f"{place}/{name}", kind, ms, 0.0, 0.0, ms * 0.3))
            ops.append(
                op("fusion", f"{place}/{name}/fusion.{block}", f"{place}/{name}", "forward", ms, step, "inferred")
            )
    leaves.append(("captioner/embedding", "Embedding", 0.0004, 0.0, 0.0, 0.0))
    ops.append(op("gather", "captioner/embedding/gather", "captioner/embedding", "forward", 0.0004, step))
    rows = layer_rows("captioner", containers, leaves, step)
    own = 0.21  # the subclassed model's own ops
    at = next(i for i, line in enumerate(rows) if line.path == "captioner")
    head = rows[at]
    rows[at] = row("captioner", "Captioner", (head.forward_ms + own, 0.0, 0.0), own, step)
    shared = next(i for i, line in enumerate(rows) if line.path.endswith("block_0/norm"))
    rows[shared] = msgspec.structs.replace(rows[shared], calls=3)
    ops.append(op("custom-call", "captioner/matmul", "captioner", "forward", own, step, per=3.0))
    model = ModelInfo(
        path="app:Captioner",
        name="captioner",
        type="Captioner",
        format="application",
        params=43_512,
        trainable_params=43_512,
        weight_bytes=174_048,
        size_bytes=None,
        keras_version=None,
    )
    cause = Retrace(argument="tokens", before="int32[32, 41]", after="int32[7, 41]")
    made = record(
        model,
        step,
        rows,
        ops,
        {},
        run={
            "mode": "infer",
            "device": "GPU:0 Example H200",
            "precision": "mixed_float16",
            "xla": True,
            "batch_size": 32,
            "inputs": (
                InputInfo(name="tokens", shape=(32, 41), dtype="int32", values="integers below 8000"),
                InputInfo(name="features", shape=(32, 8, 8, 1280), dtype="float32", values="uniform in [0, 1)"),
            ),
            "loss": None,
            "optimizer": None,
        },
        timing={
            "low_ms": 1.85,
            "high_ms": 1.91,
            "retraces": 1,
            "retrace_causes": (cause,),
            "examples_per_s": 17_085.0,
            "last_loss": None,
        },
        precision=PrecisionInfo(compute_ops={"float16": 12, "float32": 1}, float32_ops=("captioner/logits/MatMul",)),
        notes=(
            Note(
                message="the step was traced 2 times: tokens changed from int32[32, 41] to int32[7, 41]",
                hint="keep shapes and dtypes fixed: drop the last partial batch, pad to one length",
            ),
        ),
        trace=None,
    )
    forward = sum(line.total_ms for line in made.layers if line.depth == 0 and line.path == "captioner")
    phases = tuple(
        msgspec.structs.replace(p, ms=forward, share=forward / step) if p.phase == "forward" else p for p in made.phases
    )
    return msgspec.structs.replace(made, phases=phases, memory=xla_memory([40_000_000, 512], [174_048], []))


def hostile() -> ProfileRecord:
    """Names that try to act: escape sequences, markup, formulas, table syntax, endless and wide text."""
    step = 10.0
    root = "=HYPERLINK(1)"
    leaves: list[Leaf] = [
        (f"{root}/{name}", f"Layer{name}", 0.3 + at * 0.1, 0.2 + at * 0.05, 0.01, 0.0)
        for at, name in enumerate(HOSTILE.values())
    ]
    rows = layer_rows(root, {root: "@SUM"}, leaves, step)
    ops = [
        op(f"Op{name}", f"{root}/{name}/op", f"{root}/{name}", "forward", sum(parts), step, parts=parts)
        for name, (_, _, *parts, _) in zip(HOSTILE.values(), leaves, strict=True)
    ]
    ops.append(op("Xent", "loss/xent", "(loss)", "loss", 0.1, step))
    model = ModelInfo(
        path="dir/[bold]\x1b[2Jevil.keras",
        name=root,
        type="@SUM",
        format="keras",
        params=999,
        trainable_params=0,
        weight_bytes=3_996,
        size_bytes=512,
        keras_version="3.15.1",
    )
    note = Note(message="layer \x1b[31m`x|y` <b>@team</b>\nspans lines", hint="rename [it](http://example.org)")
    advice = tuple(
        Advice(
            id=name,
            severity="high",
            message=f"12.0 % of the step: the activation (gelu) of {text} takes longer than the product",
            action="try relu",
            gain_low=low,
            gain_high=0.1,
            command=shlex.join(["tfopt", "compare", text, "--variants", "graph,xla"]),
            layers=(f"{root}/{text}",),
        )
        for (name, text), low in zip(HOSTILE.items(), (0.0, 0.03, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0), strict=True)
    )
    memory = MemoryInfo(
        source="liveness",
        estimate_bytes=10_000_000,
        weight_bytes=3_996,
        slot_bytes=0,
        gradient_bytes=0,
        activation_bytes=9_000_000,
        temporary_bytes=996_004,
        peak_layer=f"{root}/{HOSTILE['ansi']}",
        measured_bytes=11_000_000,
    )
    made = record(model, step, rows, ops, {"loss": 0.1}, notes=(note,), run={"data": "-module:make"})
    return msgspec.structs.replace(made, advice=advice, memory=memory)


def changed() -> DifferenceRecord:
    """The flat network after somebody took a block away, made the others faster and the batch larger."""
    after = flat(blocks=19, time=2.9, step=131.2)
    run = msgspec.structs.replace(after.run, batch_size=32, tensorflow="2.22.0")
    step = msgspec.structs.replace(after.step, low_ms=130.0, high_ms=133.0)
    return diff(msgspec.structs.replace(after, run=run, step=step), flat(), "runs/new", "runs/old")


def strangers() -> DifferenceRecord:
    """Two runs with nothing in common but that names in them mean harm."""
    return diff(hostile(), nested(), "runs/[bold]\x1b[2Jevil", "runs/=old")


RECORDS = {"flat": flat, "nested": nested, "hostile": hostile}
DIFFERENCES = {"changed": changed, "strangers": strangers}


def diagnosis(*, sound: bool = False) -> DiagnosisRecord:
    """What the doctor found: one problem in an odd file, notes with and without a command; or nothing at all."""
    fine = [
        Finding(id="packages.versions", status="ok", found="Python 3.11.7, TensorFlow 2.21.0, Keras 3.15.1"),
        Finding(id="packages.requirements", status="ok", found="every package has what it requires"),
        Finding(id="machine.memory", status="ok", found="24.5 GB of 25.3 GB memory free"),
    ]
    bad = [
        Finding(
            id="packages.shadows",
            status="problem",
            found=f"import tensorflow loads {''.join(HOSTILE.values())}.py, not the installed tensorflow 2.21.0",
            mend="mv 'a folder with a long name/and another one/tensorflow.py' 'a folder with a long name/my_tf.py'",
        ),
        Finding(
            id="machine.processors",
            status="note",
            found="the container allows 1.5 of 8 processors, yet TensorFlow starts 8 threads: times are uneven",
            mend="tfopt profile MODEL --threads 1",
        ),
        Finding(id="machine.half_precision", status="note", found="no instructions for bfloat16 or float16"),
        Finding(id="gpu.seen", status="unknown", found="TensorFlow could not list its devices"),
    ]
    return DiagnosisRecord(
        target="logs/=cmd()|`x" if sound else None,
        findings=tuple(fine if sound else [*fine, *bad]),
        started_at="2026-11-20T09:31:07+00:00",
        tfopt="0.1.0",
        command="tensorboard --logdir 'logs/=cmd()|`x'" if sound else "",
    )

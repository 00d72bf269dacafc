"""A flat network: a chain of 61 layers, trained in float32 on the CPU."""

from __future__ import annotations

import msgspec

from tfopt.records.advice import Advice
from tfopt.records.base import Note
from tfopt.records.profile import (
    ModelInfo,
    OpRow,
    ProfileRecord,
    Source,
)

from .closing import record
from .rows import MACHINE, Leaf, layer_rows, op, with_work


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

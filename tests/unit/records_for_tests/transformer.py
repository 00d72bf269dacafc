"""A nested network: blocks that are models, in inference under XLA and mixed precision on a GPU."""

from __future__ import annotations

import msgspec

from tfopt.records.base import Note
from tfopt.records.profile import (
    InputInfo,
    ModelInfo,
    OpRow,
    PrecisionInfo,
    ProfileRecord,
    Retrace,
)
from tfopt.workload.peak.xla import xla_memory

from .closing import record
from .rows import Leaf, layer_rows, op, row


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

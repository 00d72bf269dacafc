"""A network whose names try to act."""

from __future__ import annotations

import shlex

import msgspec

from tfopt.records.advice import Advice
from tfopt.records.base import Note
from tfopt.records.memory import MemoryInfo
from tfopt.records.profile import (
    ModelInfo,
    ProfileRecord,
)

from .closing import record
from .rows import Leaf, layer_rows, op

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

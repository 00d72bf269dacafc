"""Inspection records for tests: a network with a model, a recurrent layer and a stranger's layer in it, and one whose
names mean harm."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from records_for_tests import HOSTILE, flat

from tfopt.records.base import Note
from tfopt.records.cost import CostSource, LayerCost
from tfopt.records.inspection import CostTotals, InspectionInfo, InspectionRecord
from tfopt.records.memory import MemoryInfo, MemoryLimit
from tfopt.records.profile import InputInfo

__all__ = ["INSPECTIONS", "hostile", "plain"]


def layer(
    path: str,
    type: str,
    size: int = 0,
    shape: tuple[int, ...] | None = (32, 10),
    source: CostSource = "formula",
    **more: int | str,
) -> LayerCost:
    """A row whose amounts all follow from `size`."""
    amounts = {
        "calls": 1,
        "params": size,
        "trainable_params": size,
        "weight_bytes": 4 * size,
        "macs": 32 * size,
        "forward_flops": 65 * size,
        "backward_flops": 129 * size,
        "optimizer_flops": 12 * size,
        "forward_bytes": 9 * size,
        "backward_bytes": 17 * size,
        "optimizer_bytes": 28 * size,
        "activation_bytes": 5 * size,
    }
    depth = path.count("/")
    return LayerCost(path=path, type=type, depth=depth, output_shape=shape, source=source, **amounts | more)  # type: ignore[arg-type]


def record(layers: Sequence[LayerCost], mode: str = "train", notes: tuple[Note, ...] = ()) -> InspectionRecord:
    """The record of these layers."""
    return InspectionRecord(
        model=flat().model,
        run=InspectionInfo(
            mode="train" if mode == "train" else "infer",
            precision="float32",
            batch_size=32,
            inputs=(InputInfo(name="image", shape=(32, 96, 96, 3), dtype="float32", values="standard normal"),),
            optimizer="Adam" if mode == "train" else None,
            loss="mean_squared_error" if mode == "train" else None,
            device="CPU",
            threads=2,
            seed=7 if mode == "train" else 0,
            command="tfopt inspect model.keras",
            started_at="2026-11-21T14:00:00+00:00",
            tfopt="0.1.0",
            python="3.11.9",
            tensorflow="2.21.0",
            keras="3.15.1",
        ),
        totals=CostTotals.of(layers),
        layers=tuple(layers),
        notes=notes,
    )


def plain() -> InspectionRecord:
    """Six kinds of rows, sixteen layers."""
    layers = [
        layer("net", "Functional", shape=(32, 5)),
        layer("net/backbone", "Sequential", shape=(32, 9, 64)),
        *(layer(f"net/backbone/conv_{at}", "Conv2D", 10_000 * at, (32, 9, 64)) for at in range(1, 8)),
        layer("net/backbone/flatten", "Flatten", shape=(32, 576)),
        layer("net/lstm", "LSTM", shape=(32, 7)),
        layer("net/lstm/lstm_cell", "LSTMCell", 200_000, (32, 7), calls=20),
        layer("net/odd", "Odd", 777, None, "ops", detail="not counted: Frobnicate ops"),
        layer("net/aux", "Dense", 0, None, "none", calls=0, params=900, weight_bytes=3600),
        layer("net/head", "Dense", 40),
    ]
    note = Note(message="there is no formula for odd (Odd): counted from the ops that it makes")
    memory = MemoryInfo(
        source="liveness",
        estimate_bytes=98_765_432,
        weight_bytes=4_000_000,
        slot_bytes=8_000_000,
        gradient_bytes=1_234_000,
        activation_bytes=70_000_000,
        temporary_bytes=9_531_432,
        peak_layer="net/backbone/conv_7",
        allocator_bytes=6_000_000,
    )
    limit = MemoryLimit(
        limit_bytes=8 * 2**30,
        asked="8GiB",
        batch_size=2816,
        measured_bytes=8_412_345_678,
        resident_bytes=9_234_567_890,
        over_batch_size=2874,
        over_bytes=8_590_123_456,
        over="estimated",
    )
    return msgspec.structs.replace(record(layers, notes=(note,)), memory=memory, limit=limit)


def hostile() -> InspectionRecord:
    """Names that try to act, in inference."""
    root = "=HYPERLINK(1)"
    layers = [
        layer(f"{root}/{name}", f"Layer{name}", 1000 * at, detail=name) for at, name in enumerate(HOSTILE.values(), 1)
    ]
    memory = MemoryInfo(
        source="liveness",
        estimate_bytes=1000,
        weight_bytes=1000,
        slot_bytes=0,
        gradient_bytes=0,
        activation_bytes=0,
        temporary_bytes=0,
        peak_layer=f"{root}/{HOSTILE['ansi']}",
    )
    return msgspec.structs.replace(record([layer(root, "@SUM"), *layers], "infer"), memory=memory)


INSPECTIONS = {"inspected": plain, "inspected-hostile": hostile}

"""Records of gradients for tests: two that say everything, and two whose names mean harm."""

from __future__ import annotations

import math

import msgspec
from records_for_tests import HOSTILE, flat

from tfopt.records.base import Note
from tfopt.records.gradcheck import DirectionCheck, GradcheckRecord, Verdict
from tfopt.records.gradients import Gradient, GradientRun, GradientsRecord, LayerGradients, VariableGradient
from tfopt.records.profile import InputInfo

__all__ = ["GRADCHECKS", "GRADIENTS", "gradcheck", "gradients", "variable"]

RUN = GradientRun(
    loss="sparse_categorical_crossentropy",
    precision="float32",
    batch_size=8,
    inputs=(InputInfo(name="image", shape=(8, 28, 28, 1), dtype="float32", values="standard normal"),),
    data="synthetic",
    device="CPU",
    threads=2,
    seed=7,
    command="tfopt gradients model.keras",
    started_at="2026-11-21T14:00:00+00:00",
    tfopt="0.1.0",
    python="3.11.9",
    tensorflow="2.21.0",
    keras="3.15.1",
)


def gradient(norm: float, size: int, zeros: int = 0) -> Gradient:
    """One whose largest element has half the norm."""
    return Gradient(norm=norm, largest=norm / 2, zeros=zeros, nonfinite=0)


def variable(layer: str, name: str, size: int, norm: float, after: float | None = None) -> VariableGradient:
    """A row; with `after` it is modified."""
    return VariableGradient(
        path=f"{layer.rpartition('/')[2]}/{name}",
        layer=layer,
        size=size,
        norm=math.sqrt(size) / 4,
        gradient=gradient(norm, size, size // 10),
        modified=after is not None,
        after=None if after is None else gradient(after, size, size // 2),
    )


def gradients() -> GradientsRecord:
    """A plain pass, with a variable that has no gradient and one that is not finite."""
    rows = (
        variable("net/body/conv", "kernel", 288, 0.3),
        variable("net/body/conv", "bias", 32, 0.04),
        msgspec.structs.replace(variable("net/aux", "kernel", 100, 0.0), gradient=None),
        msgspec.structs.replace(
            variable("net/odd", "gain", 10, 0.0), gradient=Gradient(norm=None, largest=None, zeros=1, nonfinite=3)
        ),
        variable("net/head", "kernel", 640, 1.2),
    )
    types = {"net": "Functional", "net/body": "Sequential", "net/body/conv": "Conv2D", "net/aux": "Dense"}
    types |= {"net/odd": "Odd", "net/head": "Dense"}
    note = Note(message="the loss does not depend on aux/kernel: no gradient, which is not a zero")
    return GradientsRecord(
        model=flat().model,
        run=RUN,
        loss=2.3,
        layers=tuple(LayerGradients(path=path, type=type, depth=path.count("/")) for path, type in types.items()),
        variables=rows,
        notes=(note,),
    )


def modified() -> GradientsRecord:
    """Two passes, the second through a threshold; seven layers, so that some rows are hidden."""
    layers = [f"net/conv_{number}" for number in range(7)]
    rows = [variable(layer, "kernel", 900, 0.1 * at, 0.15 * at) for at, layer in enumerate(layers, 1)]
    rows += [msgspec.structs.replace(variable("net/norm", "gamma", 64, 0.02), after=gradient(0.01, 64))]
    rows += [msgspec.structs.replace(variable("net/step", "kernel", 64, 0.02, 0.1), after=None)]
    places = [*layers, "net/norm", "net/step"]
    return msgspec.structs.replace(
        gradients(),
        run=msgspec.structs.replace(RUN, modify=("scale=0.5", "threshold=0.1"), seed=0),
        loss_after=2.7,
        layers=(
            LayerGradients(path="net", type="Functional", depth=0),
            *(LayerGradients(path=path, type="Conv2D", depth=1) for path in places),
        ),
        variables=tuple(rows),
        notes=(),
    )


def hostile() -> GradientsRecord:
    """Names that try to act."""
    root = "=HYPERLINK(1)"
    places = [f"{root}/{name}" for name in HOSTILE.values()]
    rows = [variable(path, "kernel", 100, 0.1 * at, 0.1) for at, path in enumerate(places, 1)]
    return msgspec.structs.replace(
        gradients(),
        run=msgspec.structs.replace(RUN, data=HOSTILE["ansi"], loss=HOSTILE["markup"], modify=(HOSTILE["newline"],)),
        layers=(
            LayerGradients(path=root, type="@SUM", depth=0),
            *(LayerGradients(path=path, type=HOSTILE["formula"], depth=1) for path in places),
        ),
        variables=tuple(rows),
        loss_after=1.0,
        untracked=tuple(places),
        notes=tuple(Note(message=name, hint=name) for name in HOSTILE.values()),
    )


def _check(path: str, verdict: Verdict, derivative: float | None, error: float | None) -> DirectionCheck:
    said = derivative or 0.0
    return DirectionCheck(
        path=path,
        layer=f"net/{path.partition('/')[0]}",
        of="weight",
        size=288,
        derivative=derivative,
        difference=said * (1 + (error or 0.0)),
        error=error,
        verdict=verdict,
    )


def gradcheck(*, sound: bool = False) -> GradcheckRecord:
    """Every verdict there is, or none that is bad."""
    checks = [
        _check("first/kernel", "agrees", 0.12, 3e-9),
        _check("first/bias", "kink", 0.04, 0.5),
        _check("norm/beta", "rounding", 1e-19, None),
        _check("aux/kernel", "no effect", None, None),
        msgspec.structs.replace(_check("head/kernel", "agrees", 0.2, 2e-8), of="modified weight"),
        msgspec.structs.replace(_check("first/kernel: scale=0.5", "agrees", 0.2, 0.0), of="factor"),
    ]
    if not sound:
        checks += [
            _check("second/kernel", "disagrees", 0.06, 0.5),
            _check("norm/gamma", "undecided", 5e8, None),
            msgspec.structs.replace(_check("stopped/kernel", "no gradient", None, None), difference=0.3),
            msgspec.structs.replace(_check("odd/gain", "not finite", None, None), difference=None),
        ]
    return GradcheckRecord(
        model=flat().model,
        run=msgspec.structs.replace(RUN, precision="mixed_bfloat16", modify=("scale=0.5",)),
        loss=2.3,
        tolerance=1e-6,
        directions=2,
        checks=tuple(checks),
        notes=(Note(message="not all is computed in float64: first/Cast", hint="give a larger --tolerance"),),
    )


def hostile_check() -> GradcheckRecord:
    """Names that try to act."""
    checks = tuple(_check(f"{name}/kernel", "disagrees", 0.1, 0.1) for name in HOSTILE.values())
    return msgspec.structs.replace(gradcheck(), checks=checks)


GRADIENTS = {"gradients": gradients, "gradients-modified": modified, "gradients-hostile": hostile}
GRADCHECKS = {"gradcheck": gradcheck, "gradcheck-hostile": hostile_check}

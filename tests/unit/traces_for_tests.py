"""Small traces written event by event, as TensorFlow, JAX and their GPUs and TPUs would."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tfopt.records.trace import TraceRecord
from tfopt.trace.protos import message
from tfopt.trace.summary import read_trace

Event = tuple[str, int, int, dict[str, Any]]  # name, offset (ps), duration (ps), stats
Lines = Mapping[str, Sequence[Event]]
US = 10**6  # picoseconds

CONV = ("jit(step)/jvp(Net)/conv/conv_general_dilated", "jit(step)/transpose(jvp(Net))/conv/conv_general_dilated")


def stat(names: dict[str, int], name: str, value: Any) -> Any:
    """An XStat; `names` grows by the names it needs."""
    made = message("XStat")(metadata_id=names.setdefault(name, len(names) + 1))
    if isinstance(value, str):
        made.ref_value = names.setdefault(value, len(names) + 1)
    elif isinstance(value, bytes):
        made.bytes_value = value
    else:
        made.int64_value = value
    return made


def xspace(planes: Mapping[str, Lines], programs: Mapping[int, Mapping[str, str]] | None = None) -> bytes:
    """The bytes of a trace. `programs` are XLA programs by id: the op's name of each instruction."""
    space = message("XSpace")()
    for plane_name, lines in planes.items():
        plane, stats, kinds = space.planes.add(name=plane_name), dict[str, int](), dict[str, int]()
        for line_name, events in lines.items():
            line = message("XLine")(name=line_name)
            for name, offset, duration, own in events:
                key = kinds.setdefault(name, len(kinds))
                encoded = [stat(stats, *item).SerializeToString() for item in own.items()]
                line.events.add(metadata_id=key, offset_ps=offset, duration_ps=duration, stats=encoded)
            plane.lines.append(line.SerializeToString())
        for name, key in kinds.items():
            plane.event_metadata.add(key=key).value.name = name
        for name, key in stats.items():
            plane.stat_metadata.add(key=key).value.name = name
    if programs:
        add_programs(space.planes.add(name="/host:metadata"), programs)
    return bytes(space.SerializeToString())


def add_programs(plane: Any, programs: Mapping[int, Mapping[str, str]]) -> None:
    """Each program as an HloProto on the plane of metadata."""
    names: dict[str, int] = {}
    for key, instructions in programs.items():
        hlo = message("HloProto")()
        computation = hlo.hlo_module.computations.add(name="main", id=1)
        for at, (name, op_name) in enumerate(instructions.items()):
            computation.instructions.add(name=name, opcode="fusion", id=at).metadata.op_name = op_name
        kind = plane.event_metadata.add(key=key)
        kind.value.name = f"jit_step({key})"
        kind.value.stats.append(stat(names, "Hlo Proto", hlo.SerializeToString()))
    for name, key in names.items():
        plane.stat_metadata.add(key=key).value.name = name


def launched(name: str, offset: int, duration: int, hlo_op: str) -> Event:
    """A kernel of a GPU that XLA launched, times in µs."""
    return name, offset * US, duration * US, {"hlo_op": hlo_op, "program_id": 7, "tf_op": "XlaModule:"}


def gpu() -> bytes:
    """Two GPUs that run a convolution forward and backward, with copies beside it on the first; one GPU idle all along.

    GPU:0: span 100 µs, kernels 40 + 20 µs on one stream, copies 10 + 10 µs on another, of which 10 overlap.
    GPU:1: span 50 µs, one kernel of 25 µs from first to half.
    """
    first: Lines = {
        "Stream #1(Kernel)": [launched("conv.kd", 0, 40, "conv.1"), launched("conv_grad.kd", 80, 20, "conv.2")],
        "Stream #2(Memcpy)": [
            ("CopyDeviceToDevice", 10 * US, 10 * US, {"memcpy_details": "kind:Unknown size:655360"}),
            ("CopyDeviceToDevice", 50 * US, 10 * US, {"memcpy_details": "kind:Unknown size:655360"}),
        ],
        "Steps": [("0", 0, 50 * US, {}), ("1", 50 * US, 50 * US, {})],
        "XLA Modules": [("jit_step(7)", 0, 100 * US, {})],
        "Framework Name Scope": [("jit(step)", 0, 100 * US, {})],
    }
    second: Lines = {"Stream #1(Kernel)": [launched("conv.kd", 0, 25, "conv.1"), ("fill.kd", 50 * US, 0, {})]}
    planes = {"/device:GPU:0": first, "/device:GPU:1": second, "/device:GPU:2": {}}
    return xspace(planes, {7: {"conv.1": CONV[0], "conv.2": CONV[1]}})


def tpu() -> bytes:
    """A TPU: a loop of 60 µs around two ops of 20 µs, with lines that repeat it all."""
    text = "%{0} = f32[8,128]{{1,0}} {1}(...)"
    body = {"tf_op": "jit(step)/while/body/Net/dense/dot_general:"}
    return xspace(
        {
            "/device:TPU:0": {
                "XLA Ops": [
                    (text.format("while.1", "while"), 0, 60 * US, {"tf_op": "jit(step)/while:"}),
                    (text.format("fusion.2", "fusion"), 10 * US, 20 * US, body),
                    (text.format("fusion.2", "fusion"), 30 * US, 20 * US, body),
                ],
                "Async XLA Ops": [("copy-done.1", 0, 60 * US, {})],
                "XLA Modules": [("jit_step(3)", 0, 60 * US, {})],
                "Steps": [("0", 0, 30 * US, {}), ("1", 30 * US, 30 * US, {})],
                "XLA TraceMe": [("whatever", 0, 60 * US, {})],
            }
        }
    )


def host(steps: bool = False) -> bytes:
    """TensorFlow on a CPU: a forward and a backward MatMul of 30 and 50 µs in 100 µs, an optimizer op of 10 µs."""
    ops = [
        ("net_1/dense_1/MatMul:MatMul", 0, 30 * US, {}),
        ("gradient_tape/net_1/dense_1/MatMul/MatMul_1:MatMul", 30 * US, 50 * US, {}),
        ("StatefulPartitionedCall/adam/Sub:Sub", 90 * US, 10 * US, {}),
    ]
    marks = [("my step", 0, 80 * US, {"step_num": 4})] if steps else []
    return xspace({"/host:CPU": {"python": marks, "tf_Compute/1": ops}})


def hostile() -> bytes:
    """Names from strangers: escape sequences, markup, formulas, pipes, 10 kB."""
    names = ("\x1b[2J[bold red]x[/]|`|\n=cmd()", "=1+1|" + "k" * 10_000, "a" * 3000 + "/卷积层/‮evil")
    events = [(name, at * 10 * US, 10 * US, {"tf_op": f"{name}/scope/op:Op"}) for at, name in enumerate(names)]
    return xspace({"/device:GPU:0": {"Stream #1": events}})


def record_of(content: Callable[[], bytes], name: str = "trace.xplane.pb") -> TraceRecord:
    """The record of a trace in a file called `name`, wherever it lay."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "host.xplane.pb"
        path.write_bytes(content())
        record = read_trace(path)
    return msgspec.structs.replace(record, source=msgspec.structs.replace(record.source, path=name, files=(name,)))

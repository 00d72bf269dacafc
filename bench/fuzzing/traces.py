"""Damage to traces that keeps them well-formed: hostile times, ids, names, steps and XLA programs."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from bench.fuzzing.mutators import mutator
from tfopt.trace.protos import message

_TIMES = (0, 1, -1, -(10**6), 2**62, 2**63 - 1, -(2**63), 10**18, 10**15)
_NAMES = (
    "", "\x1b[31mred", "[bold]x[/]", "=cmd()", "a|b\nc", "x" * 10_000, "a/b:C", "EagerLocalExecute: ", "tfopt:layer:x",
    "end: fusion", "/".join("ab" * 4000) + ":Op", "\0", "train", "tfopt:phase:input", "a" * 5000 + ":" + "b" * 5000,
)  # fmt: skip


def _edited(data: bytes, edit: Callable[[Any], None]) -> bytes:
    space = message("XSpace").FromString(data)
    edit(space)
    return bytes(space.SerializeToString())


def _in_line(data: bytes, rng: Random, edit: Callable[[Any], None]) -> bytes:
    """Edit one line of events of one plane."""

    def choose(space: Any) -> None:
        planes = [plane for plane in space.planes if plane.lines]
        if planes:
            plane = rng.choice(planes)
            at = rng.randrange(len(plane.lines))
            line = message("XLine").FromString(plane.lines[at])
            edit(line)
            plane.lines[at] = line.SerializeToString()

    return _edited(data, choose)


@mutator("xspace")
def hostile_times(data: bytes, rng: Random) -> bytes:
    def edit(line: Any) -> None:
        if rng.random() < 0.3:
            line.timestamp_ns = rng.choice(_TIMES)
        for event in rng.sample(list(line.events), min(len(line.events), rng.choice((1, 10, 1000)))):
            setattr(event, rng.choice(("offset_ps", "duration_ps")), rng.choice(_TIMES))

    return _in_line(data, rng, edit)


@mutator("xspace")
def hostile_ids(data: bytes, rng: Random) -> bytes:
    def edit(line: Any) -> None:
        line.id = rng.choice(_TIMES)
        for event in rng.sample(list(line.events), min(len(line.events), rng.choice((1, 100)))):
            event.metadata_id = rng.choice(_TIMES)

    return _in_line(data, rng, edit)


@mutator("xspace")
def pile_up(data: bytes, rng: Random) -> bytes:
    """Tens of thousands of events that lie in each other, or all at one instant."""

    def edit(line: Any) -> None:
        if line.events:
            model, count = rng.choice(list(line.events)), rng.choice((1000, 50_000))
            nested = rng.random() < 0.7
            for number in range(count):
                event = line.events.add()
                event.CopyFrom(model)
                if nested:
                    event.offset_ps, event.duration_ps = number, 2 * (count - number)

    return _in_line(data, rng, edit)


@mutator("xspace")
def crossing(data: bytes, rng: Random) -> bytes:
    """Events of one thread that overlap without lying in each other."""

    def edit(line: Any) -> None:
        for number, event in enumerate(line.events):
            event.offset_ps, event.duration_ps = 1000 * number, 1500

    return _in_line(data, rng, edit)


@mutator("xspace")
def hostile_names(data: bytes, rng: Random) -> bytes:
    def edit(space: Any) -> None:
        plane = rng.choice([plane for plane in space.planes if plane.event_metadata] or [space.planes.add()])
        entries = [*plane.event_metadata, *plane.stat_metadata]
        for entry in rng.sample(entries, min(len(entries), rng.choice((1, 5, 100)))):
            entry.value.name = rng.choice((*_NAMES, rng.choice(entries).value.name))
        if rng.random() < 0.2:
            plane.name = rng.choice((*_NAMES, "/device:GPU:0", "/host:CPU", "/host:metadata"))

    return _edited(data, edit)


@mutator("xspace")
def many_kinds(data: bytes, rng: Random) -> bytes:
    """A hundred thousand kinds of event or stat, and a plane of thousands of lines."""

    def edit(space: Any) -> None:
        plane = rng.choice(space.planes)
        way = rng.randrange(3)
        for number in range(20_000):
            if way == 2:
                plane.lines.append(message("XLine")(id=number, name=f"line {number}").SerializeToString())
            else:
                entry = (plane.event_metadata, plane.stat_metadata)[way].add(key=10**6 + number)
                entry.value.name = f"op_{number}:Type"

    return _edited(data, edit)


@mutator("xspace")
def drop_parts(data: bytes, rng: Random) -> bytes:
    """Without steps, names, metadata, planes or lines."""

    def edit(space: Any) -> None:
        plane = rng.choice(space.planes)
        way = rng.randrange(5)
        if way == 0:
            space.planes.remove(plane)
        elif way == 1:
            plane.ClearField(rng.choice(("lines", "event_metadata", "stat_metadata", "name", "stats")))
        elif way == 2:
            for at in sorted(rng.sample(range(len(plane.lines)), len(plane.lines) // 2), reverse=True):
                del plane.lines[at]
        elif way == 3:
            for entry in [
                entry for entry in plane.stat_metadata if entry.value.name in ("step_num", "hlo_op", "program_id")
            ]:
                entry.value.name = "gone"
        else:
            for entry in [entry for entry in plane.event_metadata if entry.value.name == "train"]:
                entry.value.name = "gone"

    return _edited(data, edit)


@mutator("xspace")
def hostile_stats(data: bytes, rng: Random) -> bytes:
    """Stats of another type than their readers expect."""

    def edit(space: Any) -> None:
        plane = rng.choice(space.planes)
        names = [entry.key for entry in plane.stat_metadata]
        stat = message("XStat")(metadata_id=rng.choice((*names, -1)))
        field, value = rng.choice(
            (("str_value", "x"), ("double_value", float("nan")), ("int64_value", -(2**63)), ("uint64_value", 2**64 - 1),
             ("bytes_value", b"\xff"), ("ref_value", 2**63), ("metadata_id", 0))
        )  # fmt: skip
        setattr(stat, field, value)
        for at, encoded in enumerate(plane.lines):
            line = message("XLine").FromString(encoded)
            for event in line.events:
                if event.stats and rng.random() < 0.3:
                    event.stats[rng.randrange(len(event.stats))] = stat.SerializeToString()
            plane.lines[at] = line.SerializeToString()
        for entry in plane.event_metadata:
            entry.value.stats.append(stat)

    return _edited(data, edit)


@mutator("xspace")
def hostile_programs(data: bytes, rng: Random) -> bytes:
    """XLA programs whose computations call each other in circles, with giant shapes and twice-used ids."""

    def edit(space: Any) -> None:
        stats = [stat for plane in space.planes for entry in plane.event_metadata for stat in entry.value.stats]
        for stat in [stat for stat in stats if len(stat.bytes_value) > 100]:
            try:
                program = message("HloProto").FromString(stat.bytes_value)
            except Exception:  # some other bytes
                continue
            _damage_program(program.hlo_module, rng)
            stat.bytes_value = program.SerializeToString()

    return _edited(data, edit)


def _damage_program(module: Any, rng: Random) -> None:
    computations = list(module.computations)
    ids = [computation.id for computation in computations]
    instructions = [instruction for computation in computations for instruction in computation.instructions]
    for instruction in rng.sample(instructions, min(len(instructions), rng.choice((1, 10, 10_000)))):
        way = rng.randrange(6)
        if way == 0:
            instruction.called_computation_ids[:] = rng.choices((*ids, -1), k=rng.choice((1, 3)))
            instruction.opcode = rng.choice((instruction.opcode, "fusion"))
        elif way == 1:
            instruction.operand_ids[:] = [other.id for other in rng.choices(instructions, k=3)]
        elif way == 2:
            instruction.shape.dimensions[:] = rng.choice(
                ([2**62] * 30, [-1], [0], [2**63 - 1, 2**63 - 1], [10**9] * 40)
            )
            instruction.opcode = rng.choice((instruction.opcode, "dot", "reduce"))
        elif way == 3:
            shape = instruction.shape
            for _ in range(rng.choice((3, 40, 90))):
                shape = shape.tuple_shapes.add()
        elif way == 4:
            instruction.id = rng.choice((0, -1, 2**63 - 1, instructions[0].id))
        else:
            instruction.name = rng.choice((*_NAMES, instructions[0].name))
            instruction.metadata.op_name = rng.choice((*_NAMES, "gradient_tape/" * 1000))

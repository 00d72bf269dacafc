"""From a kernel to the op that it worked for: through the trace's XLA programs, else by the kernel's own stats."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tfopt.trace.devices import Kernel
from tfopt.trace.graph import Graph, Node
from tfopt.trace.opnames import without_calls

__all__ = ["Joined", "join", "what"]

_COPY = re.compile(r"mem_?cpy|copybuffer|copy(Device|Host)To|^Memcpy", re.IGNORECASE)
_SET = re.compile(r"mem_?set|fillbuffer", re.IGNORECASE)


@dataclass(frozen=True)
class Joined:
    """The op's full name, its type where the trace says it, and how the name was found."""

    name: str
    type: str
    source: Literal["program", "stat", "event", "hlo"]


def join(kernel: Kernel, programs: Mapping[int, Graph]) -> Joined | None:
    """The op of `kernel`, None where the trace does not say. A fusion without a name of its own has that of its member
    with the most work."""
    graph = programs.get(kernel.program)
    node = graph.nodes.get(kernel.hlo_op) if graph else None
    if node is not None and (name := _program_name(node)):
        return Joined(name, "", "program")
    name, _, type_ = kernel.tf_op.rpartition(":")
    if name and name != "XlaModule":  # what XLA's runtime calls every kernel
        return Joined(without_calls(name), type_, "stat")
    if kernel.label:
        return Joined(kernel.label, "", "stat")
    return Joined(kernel.hlo_op, "", "hlo") if kernel.hlo_op else None


def _program_name(node: Node) -> str:
    if node.op_name:
        return node.op_name
    named = [member for member in node.members if member.op_name]
    return max(named, key=lambda member: member.work).op_name if named else ""


def what(kernel: Kernel) -> str:
    """What a kernel without an op is."""
    if kernel.copies or _COPY.search(kernel.name):
        return "copies"
    return "memory sets" if _SET.search(kernel.name) else "kernels without an op"

"""Kernels that TensorFlow's optimizer merged from several ops, and the op among them that does the work.

A fused kernel (`_FusedConv2D`, `_MklNativeFusedMatMul`, …) carries the name of the *last* op it swallowed: a Conv2D
followed by a ReLU layer runs under the ReLU's name. Walking back from there through the unoptimized graph finds the
convolution or matrix product. An op that ran by itself in the same trace was not swallowed: that tells the branches of
an Add apart.
"""

from __future__ import annotations

import re
from collections.abc import Set

from tfopt.trace.graph import Graph, Node

__all__ = ["swallowed"]

_FUSED = re.compile(r"^_(?:Mkl)?(?:Native)?Fused(.+?)(?:Ex|Grad)?$")
# What may lie between the heavy op and the kernel's name.
_FUSABLE = re.compile(
    r"^(Add|AddV2|BiasAdd|Elu|Erf|Exp|FusedBatchNorm\w*|Gelu|Identity|LeakyRelu|Maximum|Mul|Relu|Relu6|Reshape|"
    r"Sigmoid|Squeeze|Sub|Tanh|Pad|Softplus)$"
)
_REACH = 12


def swallowed(kernel: str, node: Node, graph: Graph, ran: Set[str]) -> list[Node]:
    """The ops that `kernel` did under the name of `node`, the heavy one first; empty where it is no fused kernel, or
    is named after the heavy op itself. `ran` holds the ids of all nodes that ran by themselves."""
    match = _FUSED.match(kernel)
    if match is None or match[1] in node.type:
        return []
    paths, seen = [[node]], {node.id}
    while paths:
        path = paths.pop(0)
        last = path[-1]
        if match[1] in last.type:
            return path[::-1]
        if not _FUSABLE.match(last.type) or len(path) > _REACH:
            continue
        for source in last.inputs:
            if source in graph.nodes and source not in seen and source not in ran:
                seen.add(source)
                paths.append([*path, graph.nodes[source]])
    return []

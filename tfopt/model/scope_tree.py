"""The tree of a SavedModel's name scopes, which take the place of layers there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tfopt.model.layers import LayerNode, unique_path
from tfopt.trace.scopes import BRACKETED

__all__ = ["scope_tree"]


def scope_tree(serving: Any) -> tuple[LayerNode, ...]:
    """The signature, and every name scope of its ops: a scope's path is the root's, a `/` and the scope."""
    root = LayerNode(unique_path(serving.name, set(BRACKETED)), "SavedModel", 0, serving)
    paths = _scope_paths(serving.op_names())
    return (root, *(LayerNode(f"{root.path}/{path}", "scope", path.count("/") + 1, None) for path in paths))


def _scope_paths(names: Iterable[str]) -> list[str]:
    """Every scope that holds an op, with its parents, in pre-order and in the order of first appearance."""
    children: dict[str, dict[str, None]] = {}
    for name in names:
        parts = name.split("/")[:-1]
        for depth in range(len(parts)):
            parent = "/".join(parts[:depth])
            children.setdefault(parent, {})["/".join(parts[: depth + 1])] = None
    ordered: list[str] = []
    stack = [*reversed(children.get("", {}))]
    while stack:
        path = stack.pop()
        ordered.append(path)
        stack.extend(reversed(children.get(path, {})))
    return ordered

"""The layer tree: what a model consists of, by containment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras.src.models.functional import Functional

from tfopt.trace.scopes import BRACKETED

__all__ = ["CALLS", "LayerNode", "layer_tree", "own_variables", "unique_path"]

# The methods of a layer, one of which Keras runs when the layer is called.
CALLS = ("call", "quantized_call")


@dataclass(frozen=True)
class LayerNode:
    """One layer in its place.

    `path` is its place in the tree, names joined by `/`, unique (`#2` marks a path said again, or one that means
    something else in a profile, such as `(idle)`); `type` its class; `depth` 0 for the model. A layer that several
    layers hold is listed once, at its first place.
    """

    path: str
    type: str
    depth: int
    layer: Any


def _children(layer: Any) -> list[Any]:
    """The layers that `layer` tracks, each once, and the `keras.ops` calls between them in a Functional model.

    An InputLayer computes nothing.
    """
    operations = getattr(layer, "operations", ()) if isinstance(layer, Functional) else ()
    tracked = {id(child): child for child in (*operations, *getattr(layer, "_layers", ()))}
    return [child for child in tracked.values() if not isinstance(child, keras.layers.InputLayer)]


def unique_path(path: str, taken: set[str]) -> str:
    """`path`, or `path#2`, `path#3`, … where it is `taken`, to which it is added."""
    candidate, number = path, 1
    while candidate in taken:
        number += 1
        candidate = f"{path}#{number}"
    taken.add(candidate)
    return candidate


def layer_tree(model: Any) -> tuple[LayerNode, ...]:
    """The model and every layer in it, in pre-order: nested models, wrapped layers, cells, a subclass's attributes.

    `keras.ops` calls of a Functional model count as layers: they have a name and a place, and take time.

    Layers that were attached and never called are there too. Paths keep the layers' true names.
    """
    seen: set[int] = set()
    taken = set(BRACKETED)

    def walk(layer: Any, wanted: str, depth: int) -> Iterator[LayerNode]:
        seen.add(id(layer))
        path = unique_path(wanted, taken)
        yield LayerNode(path, type(layer).__name__, depth, layer)
        for child in _children(layer):
            if id(child) not in seen:
                yield from walk(child, f"{path}/{child.name}", depth + 1)

    return tuple(walk(model, str(model.name), 0))


def own_variables(tree: Sequence[LayerNode]) -> dict[str, list[Any]]:
    """The weights of each layer by its path, without those of the layers inside it; a shared one is the first's."""
    holders: dict[int, tuple[Any, LayerNode]] = {}
    for node in tree:
        for variable in getattr(node.layer, "weights", ()):
            _, known = holders.get(id(variable), (variable, node))
            if node.path.startswith(f"{known.path}/"):
                known = node
            holders[id(variable)] = variable, known
    own: dict[str, list[Any]] = {node.path: [] for node in tree}
    for variable, node in holders.values():
        own[node.path].append(variable)
    return own

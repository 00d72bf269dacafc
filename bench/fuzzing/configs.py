"""Damage to the JSON that describes a network: any value may become anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

from bench.fuzzing.mutators import mutator

# What JSON can say and `json.dumps` cannot: written as a placeholder, replaced in the text.
_RAW = {
    "@raw:digits": "9" * 100_000,
    "@raw:deep-list": "[" * 100_000 + "]" * 100_000,
    "@raw:deeper": "[" * 900 + "]" * 900,
    "@raw:deep-dict": '{"a":' * 5000 + "1" + "}" * 5000,
    "@raw:nan": "NaN",
    "@raw:infinity": "-Infinity",
    "@raw:float": "1e400",
}
_HUGE = (2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, 10**12, 10**20, 10**400)
_NAMES = (
    "\x1b[31mred\x1b[0m",
    "[bold]x[/bold]",
    "=cmd()",
    "a|b",
    "a\nb",
    "x" * 10_000,
    "../../evil",
    "a/b",
    "",
    "\0",
    "\ud800",
    "ß→🦆",
)
_HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, -(2**31), -(2**63), 0.5, -0.0, 1e308, "", "1", "float16", "int32", "string",
    "complex64",
    [], {}, [[]], [None], [0], [-1, -1], [10**9] * 4, {"class_name": "Dense"}, *_HUGE, *_NAMES, *_RAW,
)  # fmt: skip
_CLASSES = (
    "Lambda", "TFSMLayer", "Functional", "Sequential", "Dense", "Conv2D", "Conv3D", "LSTM", "Bidirectional",
    "InputLayer",
    "Embedding", "MultiHeadAttention", "TimeDistributed", "RNN", "StringLookup", "Normalization", "Model", "Layer",
    "Adam", "GlorotUniform", "DTypePolicy", "Absent", "os", "", "__lambda__", "__tensor__", "__numpy__", "slice",
)  # fmt: skip
_MODULES = (
    "os",
    "subprocess",
    "builtins",
    "keras.src.engine.functional",
    "absent.module",
    "",
    "keras",
    "keras.layers",
    "numpy",
)
# Keys whose numbers become sizes of weights, tensors or loops.
_SIZES = frozenset(
    ("units", "filters", "input_dim", "output_dim", "batch_shape", "shape", "kernel_size", "strides", "pool_size",
     "axis", "groups", "rate", "n", "target_shape", "size", "batch_input_shape", "num_heads", "key_dim",
     "dilation_rate")
)  # fmt: skip

Place = tuple[Any, Any]  # the container and the key or index in it


def _places(config: Any) -> Iterator[Place]:
    """Every place of a value in the tree."""
    pending = [config]
    while pending:
        item = pending.pop()
        keys = list(item) if isinstance(item, dict) else range(len(item))
        for key in keys:
            yield item, key
            if isinstance(item[key], dict | list) and item[key]:
                pending.append(item[key])


def _dump(config: Any) -> bytes:
    text = json.dumps(config)
    for placeholder, raw in _RAW.items():
        text = text.replace(f'"{placeholder}"', raw)
    return text.encode()


def _edit(data: bytes, edit: Any) -> bytes:
    config = json.loads(data)
    edit(config, list(_places(config)))
    return _dump(config)


@mutator("config")
def hostile_value(data: bytes, rng: Random) -> bytes:
    def edit(config: Any, places: list[Place]) -> None:
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            item, key = rng.choice(places)
            item[key] = rng.choice(_HOSTILE)

    return _edit(data, edit)


@mutator("config")
def hostile_size(data: bytes, rng: Random) -> bytes:
    """Giant, negative and absurd units, shapes and counts."""

    def edit(config: Any, places: list[Place]) -> None:
        sizes = [place for place in places if place[1] in _SIZES] or places
        item, key = rng.choice(sizes)
        if isinstance(item[key], list) and item[key] and rng.random() < 0.7:
            item, key = item[key], rng.randrange(len(item[key]))
        item[key] = rng.choice(
            (*_HUGE, 0, -1, -7, 2.5, 1000, 65536, 2**20, 2**24, 2**28, [10**6, 10**6], None, "7", "@raw:digits")
        )

    return _edit(data, edit)


@mutator("config")
def scale_number(data: bytes, rng: Random) -> bytes:
    def edit(config: Any, places: list[Place]) -> None:
        numbers = [(item, key) for item, key in places if type(item[key]) in (int, float)] or places
        item, key = rng.choice(numbers)
        item[key] = item[key] * rng.choice((-1, 0, 2, 10, 1000, 10**6)) if type(item[key]) in (int, float) else 3

    return _edit(data, edit)


@mutator("config")
def drop_value(data: bytes, rng: Random) -> bytes:
    def edit(config: Any, places: list[Place]) -> None:
        item, key = rng.choice(places)
        del item[key]

    return _edit(data, edit)


@mutator("config")
def swap_values(data: bytes, rng: Random) -> bytes:
    """One part of the tree in another's place: layers in layers, absent layers, other inbound nodes."""

    def edit(config: Any, places: list[Place]) -> None:
        (item, key), (other, place) = rng.choice(places), rng.choice(places)
        item[key] = json.loads(json.dumps(other[place]))

    return _edit(data, edit)


@mutator("config")
def rename_class(data: bytes, rng: Random) -> bytes:
    def edit(config: Any, places: list[Place]) -> None:
        key = rng.choice(("class_name", "class_name", "module", "registered_name", "dtype", "name", "activation"))
        item, at = rng.choice([place for place in places if place[1] == key] or places)
        values = {"class_name": _CLASSES, "module": _MODULES, "name": _NAMES}
        item[at] = rng.choice(values.get(key, (*_NAMES, *_CLASSES, "float16", "relu", "lambda x: x")))

    return _edit(data, edit)


@mutator("config")
def tie_nodes(data: bytes, rng: Random) -> bytes:
    """Layers that wait for themselves or for layers that are not there, and calls that never happened."""

    def edit(config: Any, places: list[Place]) -> None:
        names = [item[key] for item, key in places if key == "name" and isinstance(item[key], str)]
        for place, (item, key) in ((place, place) for place in places if place[1] == "keras_history"):
            if rng.random() < 0.2 and isinstance(place[0][key], list):
                item[key] = [rng.choice((*names, "absent")), rng.choice((0, 0, 1, -1, 10**9)), rng.choice((0, 0, 5))]
        inbound = [place for place in places if place[1] in ("inbound_nodes", "input_layers", "output_layers")]
        if inbound and rng.random() < 0.5:
            item, key = rng.choice(inbound)
            item[key] = rng.choice(([], [[names[0], 0, 0]], [[names[-1], 0, 0]], rng.choice(inbound)[0].get(key)))

    return _edit(data, edit)


@mutator("config")
def repeat_layers(data: bytes, rng: Random) -> bytes:
    """A layer many times, or a model in itself."""

    def edit(config: Any, places: list[Place]) -> None:
        lists = [item[key] for item, key in places if key == "layers" and isinstance(item[key], list) and item[key]]
        if lists:
            layers = rng.choice(lists)
            layers.extend([json.loads(json.dumps(rng.choice((config, *layers))))] * rng.choice((1, 2, 50)))

    return _edit(data, edit)

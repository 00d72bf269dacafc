"""The JSON that describes a network: read safely, and searched without loading anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tfopt.errors import InputError
from tfopt.model.text import human_bytes, one_line

__all__ = ["CONFIG_LIMIT_BYTES", "find_class", "is_keras2", "parse_config", "registered_names", "saved_compiled"]

# The largest known configurations are a few MB; Python needs twenty times the text to hold it parsed.
CONFIG_LIMIT_BYTES = 64 * 2**20

_DAMAGED = "the file is damaged: download or copy it again, or save the model again"
# Module prefixes that only Keras 2 wrote.
_KERAS2_MODULES = ("keras.src.engine", "keras.engine", "keras.layers.", "tensorflow.python.keras", "tf_keras")


def parse_config(text: bytes | str, label: str, where: str = "config.json") -> dict[str, Any]:
    """The network's configuration: a dict with `class_name` (str) and `config` (dict, or list in old files).

    Raises:
        InputError: `text` is no such thing; `label` names the file and `where` the place in it.
    """
    if len(text) > CONFIG_LIMIT_BYTES:
        raise InputError(
            f"{label} has a configuration of {human_bytes(len(text))}, more than any network needs",
            f"{where} may hold at most {human_bytes(CONFIG_LIMIT_BYTES)}",
        )
    try:
        config = json.loads(text)
    except RecursionError:
        raise InputError(f"{label} is damaged: {where} is nested too deeply", _DAMAGED) from None
    except ValueError as error:
        raise InputError(f"{label} is damaged: {where} is not JSON ({one_line(error, 120)})", _DAMAGED) from None
    if not isinstance(config, dict):
        raise InputError(f"{label} is damaged: {where} holds a {type(config).__name__}, not a model", _DAMAGED)
    if not isinstance(config.get("class_name"), str) or not isinstance(config.get("config"), dict | list):
        raise InputError(f"{label} is not a Keras model: {where} names no class and configuration", _DAMAGED)
    return config


def _dicts(config: object) -> Iterator[dict[str, Any]]:
    """Every dict inside `config`, outer before inner; no recursion, so depth does not matter."""
    pending = [config]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            yield item
            pending.extend(reversed(item.values()))
        elif isinstance(item, list):
            pending.extend(reversed(item))


def find_class(config: dict[str, Any], class_name: str) -> str | None:
    """The name of the first object of `class_name` (registered packages aside) in `config`, None without one."""
    for item in _dicts(config):
        found = item.get("class_name")
        if isinstance(found, str) and found.rpartition(">")[2] == class_name:
            inner = item.get("config")
            name = inner.get("name") if isinstance(inner, dict) else None
            return one_line(name if isinstance(name, str) else class_name, 60)
    return None


def registered_names(config: dict[str, Any]) -> frozenset[str]:
    """Every `package>name` under which `config` refers to a custom object."""
    values = (item.get(key) for item in _dicts(config) for key in ("registered_name", "class_name"))
    return frozenset(value for value in values if isinstance(value, str) and ">" in value)


def saved_compiled(config: dict[str, Any]) -> bool:
    """Whether the configuration carries a loss and optimizer to compile with."""
    return bool(config.get("compile_config"))


def is_keras2(config: dict[str, Any], keras_version: str | None) -> bool:
    """Whether Keras 2 (or older) wrote the file: by its version, else by the modules its objects come from."""
    if keras_version is not None:
        return keras_version.startswith(("0.", "1.", "2."))
    modules = (item.get("module") for item in _dicts(config))
    return any(isinstance(module, str) and module.startswith(_KERAS2_MODULES) for module in modules)

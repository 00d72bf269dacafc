"""Environment variables, and Keras's configuration file, that change what TensorFlow and Keras do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from tfopt.diagnosis.finding import note, ok, problem
from tfopt.records.diagnosis import Finding
from tfopt.workload.keras_file import keras_file
from tfopt.workload.runtime import ends_tensorflow

__all__ = ["RULES", "Rule", "examine", "keras_settings", "legacy_keras", "variables"]

_FALSE = ("0", "false", "off", "no")


@dataclass(frozen=True)
class Rule:
    """A variable that matters where `when` says so of its value; `what` may name the value as `{}`. Of a `wanted` one
    nobody needs to be told how to be rid of it; of a `fatal` one everybody does."""

    variable: str
    what: str
    when: Callable[[str], bool] = bool
    wanted: bool = False
    fatal: bool = False

    def finding(self, value: str) -> Finding:
        """What to say of the variable where it matters."""
        what = f"{self.variable}={value}: {self.what.replace('{}', value)}"
        return (problem if self.fatal else note)("variables.set", what, "" if self.wanted else f"unset {self.variable}")


def _off(value: str) -> bool:
    return value.lower() in _FALSE


def _on(value: str) -> bool:
    return bool(value) and not _off(value)


RULES = (
    Rule("TF_ENABLE_ONEDNN_OPTS", "oneDNN is off: convolutions and matrix products run slower kernels", _off),
    Rule(
        "TF_XLA_FLAGS",
        "XLA compiles parts of every graph: a run without --xla is not without XLA",
        lambda value: "--tf_xla_auto_jit=" in value and "--tf_xla_auto_jit=0" not in value,
    ),
    Rule("XLA_FLAGS", "XLA compiles with options of your own"),
    Rule(
        "TF_NUM_INTRAOP_THREADS",
        "an op may use {} threads, unless --threads says otherwise",
        lambda value: bool(value) and not ends_tensorflow(value),
    ),
    Rule("TF_NUM_INTRAOP_THREADS", "TensorFlow ends the process at its first op", ends_tensorflow, fatal=True),
    Rule("TF_NUM_INTEROP_THREADS", "{} ops may run at a time, unless --threads says otherwise"),
    Rule("TF_DETERMINISTIC_OPS", "ops are made deterministic: some run slower kernels", _on),
    Rule("TF_CUDNN_DETERMINISTIC", "cuDNN is made deterministic: some convolutions are slower", _on),
    Rule(
        "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION",
        "protobuf runs in plain Python: traces are read many times more slowly",
        lambda value: value == "python",
    ),
    Rule("LD_PRELOAD", "these libraries are loaded before all others, such as another allocator", wanted=True),
)
_NAMED = ("TF_CPP_MIN_LOG_LEVEL", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "KERAS_BACKEND", "TF_ENABLE_ONEDNN_OPTS")


def examine() -> Iterator[Finding]:
    """All findings about settings from outside."""
    yield from variables(os.environ)
    yield from keras_settings(os.environ.get("KERAS_BACKEND"), keras_file())
    yield from legacy_keras(os.environ.get("TF_USE_LEGACY_KERAS", ""), find_spec("tf_keras") is not None)


def variables(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Variables that change speed or numbers."""
    found = False
    for rule in RULES:
        value = environment.get(rule.variable, "")
        if value and rule.when(value):
            found = True
            yield rule.finding(value)
    if not found:
        named = [f"{name}={environment[name]}" for name in _NAMED if name in environment]
        yield ok(
            "variables.set",
            f"no variable changes speed or numbers{' (' if named else ''}{', '.join(named)}{')' if named else ''}",
        )


def keras_settings(variable: str | None, file: Mapping[str, Any]) -> Iterator[Finding]:
    """The backend that Keras takes (the variable wins over the file), and defaults that change every new model."""
    backend = variable or file.get("backend", "tensorflow")
    if backend != "tensorflow":
        where, mend = ("KERAS_BACKEND", "unset KERAS_BACKEND") if variable else _IN_FILE
        yield problem("variables.keras", f"{where} has Keras run on {backend}; tfopt runs it on TensorFlow", mend)
        return
    usual = {"floatx": "float32", "image_data_format": "channels_last"}
    odd = [f"{key} {file[key]}" for key, value in usual.items() if file.get(key, value) != value]
    if odd:
        yield note("variables.keras", f"keras.json sets {' and '.join(odd)} for every new model", _IN_FILE[1])
    else:
        yield ok("variables.keras", "Keras runs on TensorFlow")


_IN_FILE = ("keras.json", 'edit "${KERAS_HOME:-$HOME/.keras}/keras.json"')


def legacy_keras(value: str, has_tf_keras: bool) -> Iterator[Finding]:
    """TF_USE_LEGACY_KERAS makes `tf.keras` Keras 2 (the package tf_keras), which tfopt does not read."""
    if not _on(value):
        return
    if has_tf_keras:
        what = "tf.keras is Keras 2 (tf_keras) here; tfopt loads models with Keras 3"
        yield note("variables.legacy_keras", f"TF_USE_LEGACY_KERAS={value}: {what}", "unset TF_USE_LEGACY_KERAS")
    else:
        what = "tf.keras needs the package tf_keras, which is not installed"
        yield problem("variables.legacy_keras", f"TF_USE_LEGACY_KERAS={value}: {what}", "unset TF_USE_LEGACY_KERAS")

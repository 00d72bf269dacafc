"""Turns what Keras says about a file it cannot load into what a person can do about it."""

from __future__ import annotations

import re
from collections.abc import Callable

import keras

from tfopt.errors import InputError
from tfopt.model.config import is_keras2
from tfopt.model.source import ModelSource, file_label
from tfopt.model.text import one_line

__all__ = ["cause", "explain"]

_CAUSE_LIMIT = 200
# Keras appends the whole configuration to many messages; what comes before it is what went wrong.
_DUMP = re.compile(r"\s*(Full object config|Full config|config\s?=|Received: config|List of objects)")
_INNER = "Exception encountered:"
_COULD_NOT_LOAD = re.compile(r"\AA total of \d+ objects could not be loaded.*?object (<.*?>):\s*", re.DOTALL)
_GRAPH_NODE = re.compile(r"\{\{\w+ .*?\}\}\s*")
_KINDS = {"hdf5": "an HDF5 file", "keras": "a model"}
# What Python says when a configuration has other contents than the code that reads it expects.
_CONFUSED = (KeyError, IndexError, AttributeError, AssertionError, RecursionError, UnboundLocalError, OverflowError)
_PYTHON_SAYS = re.compile(
    r"indices must be|unhashable type|not supported between|is not (iterable|subscriptable|callable)"
    r"|unsupported operand|must be a mapping|has no len\(\)|cannot unpack|values to unpack"
    r"|cannot be interpreted as an integer|can't multiply sequence|invalid literal for|could not convert string"
    r"|can only concatenate|argument must be"
)

# "Could not locate class 'X'" (zip format), "Unknown layer: 'X'" (HDF5): an object whose code is not here.
_ABSENT = re.compile(r"(?:Could not locate|Unknown) (\w+):? ['\"]([^'\"]{1,200})['\"]")
_PYTHON_CODE = re.compile(r"safe_mode|unsafe deserialization|Python lambda|deserialization of a `?Lambda")
# Layers that only Keras 2 had: TensorFlow ops wrapped as layers.
_KERAS2_LAYERS = frozenset({"TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "TensorFlowOpLayer"})


def cause(error: BaseException, expected: str = "its configuration is not as Keras expects it") -> str:
    """What went wrong, in one line without configuration dumps; `expected` where only Python itself complains."""
    text = str(error).rpartition(_INNER)[2]
    text = _COULD_NOT_LOAD.sub(r"\1: ", _GRAPH_NODE.sub("", text.strip()))
    line = one_line(_DUMP.split(text, maxsplit=1)[0], _CAUSE_LIMIT).rstrip(".:, ")
    if isinstance(error, _CONFUSED) or _PYTHON_SAYS.search(line) or not line or line.isdigit():
        return f"{expected} ({': '.join(filter(None, (type(error).__name__, line)))})"
    return line


def _is_keras_class(name: str) -> bool:
    return any(hasattr(place, name) for place in (keras, keras.layers, keras.losses, keras.metrics, keras.optimizers))


def _absent_class(source: ModelSource, error: BaseException) -> InputError | None:
    found = _ABSENT.search(str(error))
    if found is None or found[2] in _KERAS2_LAYERS or _is_keras_class(found[2]):
        return None
    kind, name = found[1], one_line(found[2].rpartition(">")[2], 60)
    what = "function" if kind == "function" else "class"
    return InputError(
        f"{file_label(source.path)} needs the custom {what} {name}, whose code is not in the file",
        f"name the module that defines {name}: --import package.module",
    )


def _python_code(source: ModelSource, error: BaseException) -> InputError | None:
    if not _PYTHON_CODE.search(str(error)):
        return None
    return InputError(
        f"{file_label(source.path)} holds code (a Lambda or TFSMLayer), which would run on this machine",
        "if you trust whoever made the file, pass --unsafe, which runs that code",
    )


def _keras2(source: ModelSource, error: BaseException) -> InputError | None:
    if source.config is None or not is_keras2(source.config, source.keras_version):
        return None
    version = source.keras_version or "2"
    saved = "is HDF5 saved" if source.format == "hdf5" else "was saved"
    return InputError(
        f"{file_label(source.path)} {saved} by Keras {version}, which Keras 3 cannot load: {cause(error)}",
        _way_out(version, source.format),
    )


def _way_out(version: str, format: str) -> str:
    """What brings a Keras 2 file over, tried with files of Keras 2.2 and 2.13.

    tf_keras reads HDF5 of any version but not the zip format, which only its own TensorFlow does (TensorFlow and
    Keras 2 share their version numbers). Both can export a SavedModel.
    """
    numbers = re.match(r"(2\.\d+)", version)
    own = f"`pip install 'tensorflow=={numbers[1] if numbers else '2.15'}.*'` in an environment of its own"
    install, load = ("`pip install tf-keras`", "tf_keras") if format == "hdf5" else (own, "tf.keras")
    return (
        f"{install}, load it with {load}.models.load_model and call its export('folder'): `--mode infer` profiles that "
        "folder; to train it, build the network in Keras 3 and load the weights"
    )


def _version_said(source: ModelSource, error: BaseException) -> InputError:
    saved = f"it was saved by Keras {source.keras_version}, this is Keras {keras.__version__}; "
    return InputError(
        f"{file_label(source.path)} cannot be loaded: {cause(error)}",
        f"{saved if source.keras_version else ''}if the file is damaged, copy it again or save the model again",
    )


_EXPLANATIONS: tuple[Callable[[ModelSource, BaseException], InputError | None], ...] = (
    _absent_class,
    _python_code,
    _keras2,
)


def explain(source: ModelSource, error: BaseException) -> InputError:
    """The error to show for `error`, which loading `source` raised."""
    if isinstance(error, InputError):
        return error
    for explanation in _EXPLANATIONS:
        explained = explanation(source, error)
        if explained is not None:
            return explained
    return _version_said(source, error)

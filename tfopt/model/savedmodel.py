"""A SavedModel folder: one opaque layer to Keras 3, run through its serving signature."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfopt.errors import InputError
from tfopt.model.failure import cause
from tfopt.model.gathers import CALLED_FUNCTIONS
from tfopt.model.source import ModelSource, file_label
from tfopt.model.text import one_line, quoted

__all__ = ["ServingFunction", "ServingOp", "load_serving"]

_DEFAULT = "serving_default"
_DEEPEST_CALL = 50


@dataclass(frozen=True)
class ServingOp:
    """One op: its name in the function that holds it (`model/dense/MatMul`), its type, and the call ops around it."""

    name: str
    type: str
    calls: tuple[str, ...]


class ServingFunction:
    """The signature of a SavedModel that serves predictions: named tensors in, named tensors out, no training.

    Attributes:
        name: the folder's name.
        signature: the signature's name.
        input_specs: by name, the shape (None where free; None for an unknown rank) and dtype of each input.
        variables: the variables that the signature reads.
        concrete: the TensorFlow function itself, whose graph tells what is computed.
    """

    def __init__(self, name: str, signature: str, loaded: Any) -> None:
        self.name = name
        self.signature = signature
        self.concrete = loaded.signatures[signature]
        self._loaded = loaded  # holds the variables alive
        self.input_specs: dict[str, tuple[tuple[int | None, ...] | None, str]] = {
            key: (None if spec.shape.rank is None else tuple(spec.shape), spec.dtype.name)
            for key, spec in self.concrete.structured_input_signature[1].items()
        }
        self.variables: list[tf.Variable] = _variables(self.concrete, loaded)

    def __call__(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The outputs for `inputs` (tensors by name); may be called inside a `tf.function`."""
        outputs: dict[str, Any] = self.concrete(**inputs)
        return outputs

    def ops(self) -> tuple[ServingOp, ...]:
        """Every op of the graph and of the functions that it calls, each call site for itself.

        A trace names an inlined op by its calls and its own name: `StatefulPartitionedCall/model/dense/MatMul`.
        """
        graph = self.concrete.graph.as_graph_def()
        library = {function.signature.name: function.node_def for function in graph.library.function}
        return tuple(_ops(graph.node, library, ()))

    def op_names(self) -> tuple[str, ...]:
        """The names of all ops, scopes separated by `/`, without the calls around them."""
        return tuple(op.name for op in self.ops())


def _ops(nodes: Any, library: dict[str, Any], calls: tuple[str, ...]) -> Iterator[ServingOp]:
    for node in nodes:
        yield ServingOp(node.name, node.op, calls)
        if len(calls) < _DEEPEST_CALL:
            for attribute in CALLED_FUNCTIONS:
                called = node.attr[attribute].func.name if attribute in node.attr else ""
                yield from _ops(library.get(called, ()), library, (*calls, node.name))


def _variables(concrete: Any, loaded: Any) -> list[tf.Variable]:
    """The variables whose handles the function captures, else all that the object holds."""
    captured = {id(tensor) for tensor in concrete.captured_inputs}
    own = [variable for variable in concrete.variables if id(variable.handle) in captured]
    return own or list(getattr(loaded, "variables", ()))


def _choose(loaded: Any, label: str) -> str:
    signatures = sorted(str(name) for name in getattr(loaded, "signatures", {}))
    if _DEFAULT in signatures:
        return _DEFAULT
    if len(signatures) == 1:
        return signatures[0]
    if not signatures:
        raise InputError(
            f"{label} is a SavedModel without signatures: nothing says how it is called",
            "save it with model.export(folder), or with tf.saved_model.save(…, signatures=…)",
        )
    raise InputError(
        f"{label} has no {_DEFAULT} signature, but several others: {quoted(signatures, 10)}",
        f"save it again with one signature, or name one of them {_DEFAULT}",
    )


def load_serving(source: ModelSource) -> ServingFunction:
    """The serving signature of the SavedModel folder that `source` names.

    Raises:
        InputError: the folder cannot be read, or has no signature that can be chosen.
    """
    label = file_label(source.path)
    try:
        loaded = tf.saved_model.load(source.path)
        signature = _choose(loaded, label)
        serving = ServingFunction(source.name, signature, loaded)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{label} is a SavedModel that cannot be read: {cause(error, 'its graph is not as TensorFlow expects it')}",
            "copy the whole folder again, or save the model again",
        ) from error
    if not serving.input_specs:
        raise InputError(
            f"{label}: its signature {one_line(signature, 60)} has no inputs", "save it with a signature that has some"
        )
    return serving

"""Register which scope every layer's ops are traced under.

While a step is traced (or run eagerly), each layer's `call` is wrapped on the instance: it notes the TensorFlow name
scope that is open, and in eager mode records a marker event around the call. `compute_loss`, the optimizers' `apply`
and update of each variable, and `GradientTape.gradient` get scopes of their own.
Everything is undone on leaving.

Private name of Keras used here: `Layer._trainable_variables`. A test checks that it exists.
"""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from tfopt.model.layers import CALLS, LayerNode
from tfopt.model.patching import patching
from tfopt.records.profile import Phase
from tfopt.trace.recording import marker_name
from tfopt.trace.scopes import LOSS, OPTIMIZER, Place, ScopeTable
from tfopt.workload.scope_names import cleaned

__all__ = ["Scopes"]


@dataclass
class Scopes:
    """The scopes of one workload: filled while its step is traced, read when its trace is attributed."""

    tree: tuple[LayerNode, ...]
    table: ScopeTable = field(default_factory=ScopeTable)
    calls: Counter[str] = field(default_factory=Counter)
    applied: list[Any] = field(default_factory=list)  # the optimizers that the step applies
    _open: list[str] = field(default_factory=list)  # the scopes of the calls that are being traced, innermost last

    @contextlib.contextmanager
    def intercept(self, model: Any, optimizers: Sequence[Any]) -> Iterator[None]:
        """Register scopes while the block traces (or eagerly runs) a step of `model` with its `optimizers`."""
        self.calls.clear()
        self._open.clear()
        self.applied.clear()
        gradient = tf.GradientTape.gradient
        try:
            tf.GradientTape.gradient = self._phased(gradient, "backward", Place(None, "backward"))
            with patching() as patch:
                for index, node in enumerate(self.tree):
                    for name in CALLS:
                        if hasattr(node.layer, name):
                            patch(node.layer, name, self._registering(getattr(node.layer, name), node, index))
                if hasattr(model, "compute_loss"):
                    patch(model, "compute_loss", self._phased(model.compute_loss, "loss", Place(LOSS, "loss")))
                for optimizer in optimizers:
                    patch(optimizer, "apply", self._applying(optimizer))
                    inner = getattr(optimizer, "inner_optimizer", optimizer)
                    patch(inner, "update_step", self._per_variable(inner.update_step))
                yield
        finally:
            tf.GradientTape.gradient = gradient

    @contextlib.contextmanager
    def phase(self, name: Phase, place: Place) -> Iterator[None]:
        """A scope (graph) or marker (eager) for the ops of one phase."""
        if tf.executing_eagerly():
            with tf.profiler.experimental.Trace(marker_name("phase", name)):
                yield
        else:
            with tf.name_scope(f"tfopt_{name}") as scope:
                self.table.register(scope, place)
                yield

    def _phased(self, function: Callable[..., Any], name: Phase, place: Place) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self.phase(name, place):
                return function(*args, **kwargs)

        return wrapped

    def _applying(self, optimizer: Any) -> Callable[..., Any]:
        apply = self._phased(optimizer.apply, "optimizer", Place(OPTIMIZER, "optimizer"))

        @functools.wraps(apply)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if not any(optimizer is other for other in self.applied):
                self.applied.append(optimizer)
            return apply(*args, **kwargs)

        return wrapped

    def _registering(self, call: Callable[..., Any], node: LayerNode, index: int) -> Callable[..., Any]:
        @functools.wraps(call)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.calls[node.path] += 1
            if tf.executing_eagerly():
                with tf.profiler.experimental.Trace(marker_name("layer", index)):
                    return call(*args, **kwargs)
            with self._scope_of_its_own(node.layer.name) as scope:
                if scope:
                    self.table.register(scope, Place(node.path, "forward"))
                return call(*args, **kwargs)

        return wrapped

    @contextlib.contextmanager
    def _scope_of_its_own(self, name: str) -> Iterator[str]:
        """The scope that is open for a layer's call. A layer's `__call__` opens one; where only `call` was called
        (TimeDistributed does) or a `keras.ops` function, the open scope is the caller's, and one is opened here."""
        scope = tf.get_current_name_scope()
        if not self._open or self._open[-1] != scope:
            opened: AbstractContextManager[str] = contextlib.nullcontext(scope)
        else:
            opened = tf.name_scope(cleaned(name))
        with opened as scope:
            self._open.append(scope.rstrip("/"))
            try:
                yield scope
            finally:
                self._open.pop()

    def _per_variable(self, update_step: Callable[..., Any]) -> Callable[..., Any]:
        owners: dict[int, str] = {}
        for node in self.tree:
            for variable in getattr(node.layer, "_trainable_variables", ()):
                # update_step is given the tf.Variable inside the Keras variable.
                owners.setdefault(id(variable), node.path)
                owners.setdefault(id(variable.value), node.path)
        numbers: dict[int, int] = {}

        @functools.wraps(update_step)
        def wrapped(gradient: Any, variable: Any, *args: Any, **kwargs: Any) -> Any:
            number = numbers.setdefault(id(variable), len(numbers))
            if tf.executing_eagerly():
                return update_step(gradient, variable, *args, **kwargs)
            with tf.name_scope(f"tfopt_variable_{number}") as scope:
                self.table.register(scope, Place(owners.get(id(variable), OPTIMIZER), "optimizer"))
                return update_step(gradient, variable, *args, **kwargs)

        return wrapped

"""Variables that read as given tensors for a while, so that gradients reach whatever those tensors were made of."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt.errors import RunFailed, TfoptError

__all__ = ["PRIVATE", "OverrideScope"]

PRIVATE = (
    (keras.StatelessScope(), "state_mapping"),
    (keras.StatelessScope(), "collect_losses"),
    (keras.StatelessScope, "add_update"),
    (keras.StatelessScope, "get_current_value"),
)


class OverrideScope(keras.StatelessScope):  # type: ignore[misc]
    """Inside it, and in this thread, the given variables read as the given tensors; all others are read and written as
    outside of it, by an outer scope or for good. No variable can be created in it.

    Unlike a `keras.StatelessScope` it neither casts what it is given, nor drops updates, nor losses, nor what a scope
    around it overrides.

    Args:
        overrides: pairs of a Keras variable and a tensor of its shape.
        dtype: floating variables that are not overridden read as cast to it; None for as they are.
    """

    def __init__(self, overrides: Sequence[tuple[Any, Any]], dtype: str | None = None) -> None:
        super().__init__(collect_losses=True, initialize_variables=False)
        # Given to the constructor, they would be cast to the variables' dtypes.
        self.state_mapping.update((id(variable), tensor) for variable, tensor in overrides)
        self._kept = [variable for variable, _ in overrides]  # while they live, nothing else has their ids
        self._dtype = dtype
        self._refusal: TfoptError | None = None

    def get_current_value(self, variable: Any) -> Any:
        """What `variable` reads as."""
        found = self.state_mapping.get(id(variable))
        if found is None:
            with self._outside():
                found = variable.value
        raising = self._dtype is not None and found.dtype.is_floating
        return tf.cast(found, self._dtype) if raising else found

    def add_update(self, update: tuple[Any, Any]) -> None:
        """Write a variable; RunFailed where it is overridden."""
        variable, value = update
        if id(variable) in self.state_mapping:
            self._refusal = RunFailed(
                f"{variable.path} is overridden, and the call updates it: the update would be lost",
                "call the model with training=False: no gradient reaches a weight that its layer writes in training",
            )
            raise self._refusal
        with self._outside():
            variable.assign(value)

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """A refusal is raised as such: Keras makes other errors of those that pass through its layers."""
        try:
            yield
        except Exception:
            if self._refusal is not None:
                raise self._refusal from None
            raise

    @contextlib.contextmanager
    def _outside(self) -> Iterator[None]:
        self.__exit__(None, None, None)
        try:
            yield
        finally:
            self.__enter__()

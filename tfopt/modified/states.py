"""What a pass leaves behind: seeds, statistics, states of recurrent layers, also those that Keras does not list."""

from __future__ import annotations

from typing import Any

__all__ = ["States"]


class States:
    """The values, as they are now, of all variables in a traced function but a model's trainable ones."""

    def __init__(self, traced: Any, model: Any) -> None:
        trainable = {id(variable.value) for variable in model.trainable_variables}
        self._values = [(each, each.numpy()) for each in traced.variables if id(each) not in trainable]

    def restore(self) -> None:
        """Put them back."""
        for variable, value in self._values:
            variable.assign(value)

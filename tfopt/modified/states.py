"""What a pass leaves behind: seeds, statistics, states of recurrent layers, also those that Keras does not list."""

from __future__ import annotations

from typing import Any

__all__ = ["States"]


class States:
    """The values, as they are now, of all variables that a traced function reads or writes: also of trainable ones,
    which layers such as SpectralNormalization write. Those that are overridden are not among them."""

    def __init__(self, traced: Any) -> None:
        self._values = [(each, each.numpy()) for each in traced.variables]

    def restore(self) -> None:
        """Put them back."""
        for variable, value in self._values:
            variable.assign(value)

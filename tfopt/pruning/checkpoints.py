"""Where fine-tuning was when it ended, so that it goes on from there bit for bit."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from keras.src.random.seed_generator import global_seed_generator

from tfopt.errors import InputError, UsageError
from tfopt.pruning.prunable import Masks
from tfopt.pruning.slots import all_optimizers
from tfopt.pruning.storage import check_checkpoint
from tfopt.records.pruning import Epoch
from tfopt.report.files import write_file

__all__ = ["Checkpoint", "fingerprint"]

_ABOUT = "about"


class _About(msgspec.Struct, frozen=True):
    fingerprint: str
    optimized: tuple[tuple[int, ...], ...]  # by each optimizer: numbers in model.weights, none before it is built
    variables: tuple[tuple[str, tuple[int, ...]], ...]
    masks: int
    epochs: tuple[Epoch, ...]


def fingerprint(model: Any, options: Mapping[str, Any]) -> str:
    """What a run starts from: the model's weights, before anything is removed, and the options that decide what
    happens to them (as JSON has them)."""
    digest = hashlib.sha256(msgspec.json.encode(dict(options), order="sorted"))
    for weight in model.weights:
        digest.update(f"{weight.shape} {weight.dtype}".encode())
        digest.update(np.ascontiguousarray(weight.numpy()).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Checkpoint:
    """One file: all variables of the model and its optimizers, with the states of random layers, the masks and what the
    epochs gave. `resume`: go on from it; else there must be none."""

    path: Path
    fingerprint: str
    resume: bool = False

    def begin(self, model: Any, weights: int) -> tuple[Masks | None, tuple[Epoch, ...]]:
        """The masks of `weights` weights and the epochs that are done, after the model and its optimizers were put
        where these left them; no masks where nothing is resumed.

        Raises UsageError where there is one that is not resumed, none to resume or one of another run, InputError where
        it cannot be read.
        """
        check_checkpoint(self.path, resume=self.resume)
        if not self.resume:
            return None, ()
        about, values, masks = self._read()
        _build(model, about.optimized)
        variables = _variables(model)
        if (about.fingerprint, about.variables, about.masks) != (self.fingerprint, _signature(variables), weights):
            raise UsageError(
                f"{self.path} is of another model, or of a run with other data or options",
                "give what it was made with, or start anew without --resume",
            )
        for variable, value in zip(variables, values, strict=True):
            # Kinds of numbers that numpy does not know (bfloat16) come back as bytes.
            variable.assign(value.view(variable.numpy().dtype))
        return masks, about.epochs

    def save(self, model: Any, masks: Masks, epochs: tuple[Epoch, ...]) -> None:
        """Write it, whole or not at all. Raises RunFailed where it cannot be written."""
        variables = _variables(model)
        about = _About(self.fingerprint, _optimized(model), _signature(variables), len(masks), epochs)
        arrays = {f"variable{number}": variable.numpy() for number, variable in enumerate(variables)}
        arrays |= {f"mask{number}": mask for number, mask in enumerate(masks)}
        arrays[_ABOUT] = np.frombuffer(msgspec.json.encode(about), np.uint8)
        stream = io.BytesIO()
        np.savez(stream, allow_pickle=False, **arrays)
        write_file(self.path, stream.getvalue(), force=True)

    def remove(self) -> None:
        """Nothing is left to resume."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> tuple[_About, list[np.ndarray], Masks]:
        try:
            with self.path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
                about = msgspec.json.decode(archive[_ABOUT].tobytes(), type=_About)
                values = [archive[f"variable{number}"] for number in range(len(about.variables))]
                return about, values, [archive[f"mask{number}"] for number in range(about.masks)]
        except Exception as error:  # a damaged archive fails in any way
            raise InputError(
                f"the checkpoint {self.path} cannot be read", "remove it and start anew without --resume"
            ) from error


def _optimized(model: Any) -> tuple[tuple[int, ...], ...]:
    numbers = {id(weight): number for number, weight in enumerate(model.weights)}
    return tuple(
        tuple(numbers[id(each)] for each in optimizer._trainable_variables if id(each) in numbers)
        for optimizer in all_optimizers(model)
    )


def _build(model: Any, optimized: Sequence[Sequence[int]]) -> None:
    """Build the optimizers that were built: those of a model's own training step see their weights only there."""
    weights = model.weights
    for optimizer, numbers in zip(all_optimizers(model), optimized, strict=False):
        if numbers and not optimizer.built and max(numbers) < len(weights):
            optimizer.build([weights[number] for number in numbers])


def _variables(model: Any) -> list[Any]:
    """All that an epoch goes on from, in an order that the model decides."""
    optimizers = [variable for optimizer in all_optimizers(model) for variable in optimizer.variables]
    every = [*model.variables, *optimizers, global_seed_generator().state]
    return list({id(variable): variable for variable in every}.values())


def _signature(variables: list[Any]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple((str(each.dtype), tuple(each.shape)) for each in variables)

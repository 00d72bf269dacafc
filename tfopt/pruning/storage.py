"""The pruned model as a file: written beside its place, proved to be what was meant, and only then given its name."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfopt.errors import RunFailed, TfoptError, UsageError
from tfopt.model.load import load
from tfopt.pruning.prunable import Masks, Prunable
from tfopt.records.pruning import Sizes
from tfopt.report.files import check_target
from tfopt.scratch import scratch_folder
from tfopt.wording import listed
from tfopt.workload.failures import first_line

__all__ = [
    "check_checkpoint",
    "check_output",
    "checkpoint_file",
    "deflated_bytes",
    "nonzero",
    "saved",
    "sizes",
    "verify",
]

_CHUNK = 2**20
# As far as two runs of one program on one batch may be apart, over the largest output.
_ROUNDING = 1e-5


def checkpoint_file(output: Path) -> Path:
    """Where fine-tuning keeps what it has until `output` is written."""
    return output.with_name(f"{output.name}.checkpoint")


def check_checkpoint(path: Path, *, resume: bool) -> None:
    """UsageError where there is one that is not resumed, or none to resume."""
    if resume and not path.exists():
        raise UsageError(f"there is nothing to resume: {path} does not exist", "leave --resume out")
    if path.exists() and not resume:
        raise UsageError(
            f"{path} is the checkpoint of a run that did not end", "go on from it with --resume, or remove it"
        )


def check_output(output: Path, model: str | None, *, force: bool) -> None:
    """UsageError where the pruned model cannot be written to `output`, or would replace `model` unasked."""
    if output.suffix != ".keras":
        raise UsageError(f"a pruned model is not written to {output}", f"name it {output.with_suffix('.keras')}")
    if (
        model is not None
        and output.exists()
        and os.path.exists(model)
        and os.path.samefile(output, model)
        and not force
    ):
        raise UsageError(f"{output} is the model itself", "choose another -o, or add --force to replace it")
    check_target(output, force=force)


@contextlib.contextmanager
def saved(model: Any, folder: Path, *, compress: bool) -> Iterator[Path]:
    """The model in a temporary file in `folder`, deflated or as Keras writes it; gone at the end unless moved.

    Raises RunFailed where it cannot be written.
    """
    with contextlib.ExitStack() as stack:
        with _explained(model, folder):
            scratch = stack.enter_context(scratch_folder(folder))
            path = scratch / "model.keras"
            model.save(path)
            if compress:
                plain = path.rename(scratch / "plain.keras")
                with path.open("wb") as file:
                    _deflate(plain, file)
                plain.unlink()
        yield path


@contextlib.contextmanager
def _explained(model: Any, folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunFailed(f"cannot write into {folder}: {error.strerror or error}", "make room") from error
    except Exception as error:
        raise RunFailed(
            f"{model.name} cannot be saved: {first_line(error)}", "its layers need a get_config that says all of them"
        ) from error


def _deflate(source: Path, target: Any) -> None:
    """The members of a zip archive, or a whole other file as one member, deflated."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        if not zipfile.is_zipfile(source):
            new.write(source, source.name)
            return
        with zipfile.ZipFile(source) as old:
            for info in old.infolist():
                with old.open(info) as member, new.open(info.filename, "w", force_zip64=True) as copy:
                    shutil.copyfileobj(member, copy, _CHUNK)


class _Counter(io.RawIOBase):
    """Counts what is written to it, and keeps nothing."""

    size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.size += len(data)
        return len(data)


def deflated_bytes(path: Path) -> int:
    """How many bytes the file would have, deflated."""
    counter = _Counter()
    _deflate(path, counter)
    return counter.size


def nonzero(variable: Any) -> int:
    """How many of a variable's numbers are not zero; all of them where they are no numbers."""
    values = np.asarray(variable.numpy())
    return int(np.count_nonzero(values)) if values.dtype.kind in "biufcV" else int(values.size)


def sizes(model: Any, path: Path | None) -> Sizes:
    """What `model` holds, and its file."""
    weights = list({id(each): each for each in model.weights}.values())
    return Sizes(
        params=sum(int(np.prod(each.shape)) for each in weights),
        nonzero=sum(map(nonzero, weights)),
        file_bytes=None if path is None else path.stat().st_size,
        deflated_bytes=None if path is None else deflated_bytes(path),
    )


def verify(
    path: Path, model: Any, weights: Sequence[Prunable], masks: Masks, x: Any, *, imports: Sequence[str], unsafe: bool
) -> None:
    """Load the file and compare it with the model: each weight bit for bit, what the masks removed with zero, and the
    outputs for `x` as closely as the model repeats its own.

    Raises RunFailed, with what differs.
    """
    again = "keep the model that you have; --debug shows more"
    try:
        loaded = load(path, imports=imports, unsafe=unsafe).model
    except TfoptError as error:
        raise RunFailed(f"the pruned model, once written, cannot be loaded: {error.message}", error.hint) from error
    pairs = list(zip(model.weights, loaded.weights, strict=False))
    wrong = [one.path for one, other in pairs if not _same_bits(one, other)]
    if wrong or len(model.weights) != len(loaded.weights):
        what = listed(wrong) or f"{len(loaded.weights)} weights in place of {len(model.weights)}"
        raise RunFailed(f"the pruned model, once written, comes back with other weights: {what}", again)
    twins = {id(one): other for one, other in pairs}
    alive = [
        each.path
        for each, mask in zip(weights, masks, strict=True)
        if np.any(np.asarray(twins[id(each.variable)].numpy())[~mask])
    ]
    if alive:
        raise RunFailed(f"removed weights of {listed(alive)} are not zero in the file", again)
    first, second, other = (_outputs(each, x) for each in (model, model, loaded))
    for one, repeated, new in zip(first, second, other, strict=True):
        allowed = 2 * _apart(one, repeated) + _ROUNDING * float(np.max(np.abs(one[np.isfinite(one)]), initial=0.0))
        if one.shape != new.shape or not _apart(one, new) <= allowed:
            raise RunFailed("the pruned model, once written, computes other outputs", again)


def _same_bits(one: Any, other: Any) -> bool:
    first, second = np.asarray(one.numpy()), np.asarray(other.numpy())
    return first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()


def _outputs(model: Any, x: Any) -> list[np.ndarray]:
    import keras

    outputs = model(x, training=False) if getattr(model, "_call_has_training_arg", True) else model(x)
    return [np.asarray(keras.ops.convert_to_numpy(each), np.float64) for each in keras.tree.flatten(outputs)]


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference; infinite where one is finite and the other not."""
    if one.shape != other.shape or not np.array_equal(np.isfinite(one), np.isfinite(other)):
        return float("inf")
    sound = np.isfinite(one)
    return float(np.max(np.abs(one[sound] - other[sound]), initial=0.0))

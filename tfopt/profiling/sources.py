"""The models of a comparison: files that workers load, and names that tell them apart."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tfopt.errors import InputError, UsageError
from tfopt.model.source import ModelSource, identify
from tfopt.scratch import temporary_folder

__all__ = ["sources_of"]


def sources_of(model: Any, stack: contextlib.ExitStack) -> list[ModelSource]:
    """Where one model, or each of several, comes from; objects are saved to files that last as long as `stack`.

    Raises UsageError or InputError.
    """
    models = list(model) if isinstance(model, list | tuple) else [model]
    if not models:
        raise UsageError("there is no model to compare", "name at least one")
    found = [identify(os.fspath(one)) if isinstance(one, str | os.PathLike) else _saved(one, stack) for one in models]
    return [
        replace(source, name=f"{source.name} {number}") if (number := _among_namesakes(found, at)) else source
        for at, source in enumerate(found)
    ]


def _among_namesakes(sources: Sequence[ModelSource], at: int) -> int:
    """A model object's number among those of one name, 0 where there are no others: a clone has its model's name."""
    same = [place for place, one in enumerate(sources) if (one.format, one.name) == ("object", sources[at].name)]
    return same.index(at) + 1 if at in same and len(same) > 1 else 0


def _saved(model: Any, stack: contextlib.ExitStack) -> ModelSource:
    """A model object in a temporary file, for workers to load."""
    if not hasattr(model, "save") or not hasattr(model, "layers"):
        raise UsageError(f"{type(model).__name__} is not a model", "give a path, app:NAME or a keras.Model")
    path = stack.enter_context(temporary_folder()) / "model.keras"
    try:
        model.save(path)
    except Exception as error:
        raise InputError(
            f"{model.name} cannot be saved for the workers: {str(error).splitlines()[0][:200]}",
            "save it yourself and compare the file",
        ) from error
    return replace(identify(str(path)), format="object", name=str(model.name))

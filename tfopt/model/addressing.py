"""A model's variables as a user names them: by their paths, or by themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import keras

from tfopt.errors import UsageError

__all__ = ["ByVariable", "by_variable"]

ByVariable = Mapping[str, Any] | Sequence[tuple[Any, Any]]
"""`{path: array}`, or pairs of a path or a Keras variable (they cannot be keys) and an array or tensor."""


def by_variable(
    owner: str, variables: Sequence[Any], given: ByVariable, *, strict: bool = True
) -> list[tuple[Any, Any]]:
    """Pairs of a variable and what is given for it, in the order in which they are given.

    Args:
        owner: whose `variables` these are, for messages.
        variables: Keras variables; one that occurs twice counts once.
        given: what is given for some of them.
        strict: refuse what names none of `variables`; otherwise unknown paths are passed over.

    Raises:
        UsageError: a key is neither path nor Keras variable, names no variable or several, or one that another names.
    """
    known = {id(variable): variable for variable in variables}
    paths = Counter(variable.path for variable in known.values())
    by_path = {variable.path: variable for variable in known.values()}
    found: dict[int, tuple[Any, Any]] = {}
    for key, value in _pairs(given):
        variable = by_path.get(key) if isinstance(key, str) else key
        if variable is None and not strict:
            continue
        if variable is None or (strict and id(variable) not in known):
            raise _unknown(owner, key if isinstance(key, str) else key.path, by_path)
        if isinstance(key, str) and paths[key] > 1:
            raise UsageError(f"{owner} has {paths[key]} variables {key}", "give pairs such as (layer.kernel, array)")
        if id(variable) in found:
            raise UsageError(f"{variable.path} is given twice", "give it once")
        found[id(variable)] = variable, value
    return list(found.values())


def _pairs(given: ByVariable) -> Iterator[tuple[Any, Any]]:
    for pair in given.items() if isinstance(given, Mapping) else given:
        key, value = pair if isinstance(pair, tuple | list) and len(pair) == 2 else (pair, None)
        if not isinstance(key, str | keras.Variable):
            raise UsageError(
                f"{type(key).__name__} is neither a path nor a Keras variable",
                "give {path: array}, or pairs such as (layer.kernel, array)",
            )
        yield key, value


def _unknown(owner: str, path: str, known: Mapping[str, Any]) -> UsageError:
    close = [each for each in known if each.endswith(f"/{path}")] or get_close_matches(path, known, n=1)
    hint = f"did you mean {close[0]}?" if close else "paths are those of model.variables: variable.path"
    return UsageError(f"{owner} has no variable {path}", hint)

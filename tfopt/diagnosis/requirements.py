"""Requirements that are not met: what packages say of themselves, from tfopt on to whatever it needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion

from tfopt.diagnosis.installed import TENSORFLOWS, Distribution, normal

__all__ = ["Unmet", "unmet"]

_NEAR = 2  # who is required by tfopt, or by what tfopt requires

_Wish = tuple[str, frozenset[str]]  # a distribution and the extras of it that are wanted


@dataclass(frozen=True)
class Unmet:
    """`by` requires `wanted`, such as `h5py<3.15`; `version` is there (None: nothing). `near`: tfopt needs it, or
    something that tfopt needs."""

    by: str
    wanted: str
    name: str
    version: str | None
    near: bool


def unmet(root: str, copies: Mapping[str, Sequence[Distribution]]) -> Iterator[Unmet]:
    """What is not met of the requirements of the distribution `root`, and of theirs."""
    seen: set[_Wish] = set()
    level: list[_Wish] = [(root, frozenset())]
    depth = 0
    while level:
        depth += 1
        further: list[_Wish] = []
        for name, extras in level:
            if (name, extras) in seen or name not in copies:
                continue
            seen.add((name, extras))
            for wanted in _requirements(copies[name][0], extras):
                provider = _provider(normal(wanted.name), copies)
                version = copies[provider][0].version if provider else None
                if version is None or not _fits(wanted, version):
                    by = f"{name} {copies[name][0].version}"
                    yield Unmet(by, f"{wanted.name}{wanted.specifier}", normal(wanted.name), version, depth <= _NEAR)
                if provider:
                    further.append((provider, frozenset(wanted.extras)))
        level = further


def _requirements(distribution: Distribution, extras: frozenset[str]) -> Iterator[Requirement]:
    for text in distribution.requires:
        try:
            wanted = Requirement(text)
        except InvalidRequirement:  # of packages from before the standard
            continue
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in extras | {""}):
            yield wanted


def _provider(name: str, copies: Mapping[str, Sequence[Distribution]]) -> str | None:
    names = TENSORFLOWS if name == "tensorflow" else (name,)
    return next((name for name in names if name in copies), None)


def _fits(wanted: Requirement, version: str) -> bool:
    try:
        return wanted.specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return True  # a version in a manner of its own

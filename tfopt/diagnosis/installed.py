"""What is installed, found without importing any of it."""

from __future__ import annotations

import json
import platform
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path

__all__ = ["TENSORFLOWS", "Distribution", "Packages", "normal", "packages", "pinned"]

# Distributions of one and the same package: whichever is there meets a requirement of the first.
TENSORFLOWS = (
    "tensorflow",
    "tensorflow-cpu",
    "tensorflow-gpu",
    "tensorflow-intel",
    "intel-tensorflow",
    "tensorflow-rocm",
    "tensorflow-cpu-aws",
    "tf-nightly",
    "tf-nightly-cpu",
)
_IMPORTED = ("tensorflow", "keras", "numpy", "h5py", "tensorboard", "xprof", "msgspec", "rich")
_GENERATED = re.compile(r"^# Protobuf Python Version: (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Distribution:
    """One installed distribution: its version, the folder that holds it, and what it requires. Of an `editable` one
    the code lies elsewhere."""

    version: str
    location: str
    requires: tuple[str, ...] = ()
    editable: bool = False


@dataclass(frozen=True)
class Packages:
    """What is installed. `copies` has the distributions by name, those of one name in the order of the path;
    `origins` the file that an import would load; `gencode` is the version of protobuf that generated TensorFlow's
    messages; `plugin_library`: whether the native part of the profiler's plugin is there (None: no plugin)."""

    copies: Mapping[str, tuple[Distribution, ...]]
    origins: Mapping[str, str] = field(default_factory=dict)
    gencode: str | None = None
    pkg_resources: bool = True
    plugin_library: bool | None = True
    python: str = "3.11"

    def version(self, name: str) -> str | None:
        """The version of the distribution that is found first."""
        return self.copies[name][0].version if name in self.copies else None


def normal(name: str) -> str:
    """A distribution's name in normal form, as the packaging standard has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def packages() -> Packages:
    """The packages that this process would import."""
    return Packages(
        copies=_copies(),
        origins={name: origin for name in _IMPORTED if (origin := _origin(name))},
        gencode=_gencode(),
        pkg_resources=_origin("pkg_resources") is not None,
        plugin_library=_plugin_library(),
        python=platform.python_version(),
    )


@cache
def pinned(name: str, extra: str = "") -> str:
    """The distribution `name` in the versions that tfopt says it needs, as a shell and pip read it:
    `'tensorflow[and-cuda]<2.22,>=2.21'`; in any, where tfopt is not installed as a package."""
    try:
        wanted = metadata.requires("tfopt") or []
    except metadata.PackageNotFoundError:
        wanted = []
    versions = (re.match(rf"{name}\s*([<>=!~][^;]*)", text) for text in wanted)
    return shlex.quote(name + extra + next((match[1].strip() for match in versions if match), ""))


def _copies() -> dict[str, tuple[Distribution, ...]]:
    found: dict[tuple[str, str], Distribution] = {}
    for one in metadata.distributions():
        name, location = one.metadata["Name"], str(Path(str(one.locate_file(""))).resolve())
        if name:  # a folder that was half removed has none
            found.setdefault(
                (normal(name), location),
                Distribution(one.version, location, tuple(one.requires or ()), _is_editable(one)),
            )
    copies: dict[str, tuple[Distribution, ...]] = {}
    for (name, _), distribution in found.items():
        copies[name] = (*copies.get(name, ()), distribution)
    return copies


def _is_editable(distribution: metadata.Distribution) -> bool:
    text = distribution.read_text("direct_url.json")
    try:
        return bool(text and json.loads(text).get("dir_info", {}).get("editable"))
    except ValueError:
        return False


def _origin(module: str) -> str | None:
    """What an import would load in a new process: what this one has loaded does not count."""
    try:
        spec = PathFinder.find_spec(module)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    places = list(spec.submodule_search_locations or ())
    return spec.origin or (places[0] if places else None)


def _gencode() -> str | None:
    origin = _origin("tensorflow")
    try:
        text = (Path(origin or "").parent / "core/framework/tensor_pb2.py").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    match = _GENERATED.search(text)
    return match[1] if match else None


def _plugin_library() -> bool | None:
    origin = _origin("xprof")
    return None if origin is None else any(Path(origin).parent.glob("convert/_pywrap_profiler_plugin*"))

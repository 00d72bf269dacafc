"""Where a trace lies: a file, the folder of a session, or a log folder as TensorBoard keeps it.

Log folders hold `plugins/profile/TIME/HOST.xplane.pb`, perhaps some folders further down (`logs/train/plugins/…`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tfopt.errors import InputError

__all__ = ["FIRST_BYTES", "Session", "find_session", "holds_trace", "looks_like_trace"]

_SUFFIX = ".xplane.pb"
# What an XSpace begins with: its planes, errors, warnings or hostnames, each with a length.
FIRST_BYTES = (b"\x0a", b"\x12", b"\x1a", b"\x22")
_NO_TRACE = "name an .xplane.pb file, the folder of a session, or a log folder with plugins/profile in it"


@dataclass(frozen=True)
class Session:
    """One recorded session: its files, one per host. `name` is its folder's (None for a file that was named itself),
    `sessions` how many its log folder holds."""

    path: Path
    name: str | None
    sessions: int
    files: tuple[Path, ...]
    hosts: tuple[str, ...]


def looks_like_trace(path: Path) -> bool:
    """Whether `path` is, by its content, worth reading as a trace; by its name where it cannot be read."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError:
        return path.name.endswith(_SUFFIX)
    if start.lstrip()[:1] in (b"{", b"["):  # JSON may begin with a line end, which is the tag of XSpace's planes
        return False
    return path.name.endswith(_SUFFIX) or start.startswith(FIRST_BYTES)


def holds_trace(folder: Path) -> bool:
    """Whether `folder` is that of a session, or a log folder with at least one."""
    return bool(_sessions(folder))


def find_session(path: Path) -> Session:
    """The session at `path`; of a log folder the latest, by its folder's name. InputError where there is none."""
    if not path.is_dir():
        return Session(path, None, 1, (path,), (_host(path),))
    folders = _sessions(path)
    if not folders:
        raise InputError(f"no trace in {path}", _NO_TRACE)
    latest = max(folders, key=lambda folder: (folder.name, folder.stat().st_mtime_ns))
    files = tuple(sorted(latest.glob(f"*{_SUFFIX}")))
    return Session(path, latest.name, len(folders), files, tuple(_host(file) for file in files))


def _sessions(folder: Path) -> list[Path]:
    try:
        if next(folder.glob(f"*{_SUFFIX}"), None) is not None:
            return [folder]
        return sorted({file.parent for file in folder.rglob(f"plugins/profile/*/*{_SUFFIX}")})
    except OSError as error:
        raise InputError(f"cannot read {folder}: {error.strerror or error}", "check its permissions") from error


def _host(file: Path) -> str:
    return file.name.removesuffix(_SUFFIX)

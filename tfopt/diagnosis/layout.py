"""Where recorded sessions lie in a folder, and where TensorBoard looks for them.

It lists `plugins/profile/SESSION/` in `--logdir` and in every folder below it, never above
(`ProfilePlugin.generate_runs` of xprof); of a session it shows files that are called `HOST.xplane.pb`.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tfopt.diagnosis.finding import note, ok, problem
from tfopt.records.diagnosis import Finding
from tfopt.wording import counted

__all__ = ["Layout", "host_of", "layout", "log_folder", "placement", "quoted"]

_TRACE = "xplane.pb"
_HOST = "host"  # for a trace that names none
# Written beside a trace, by older profilers or by TensorBoard's plugin: nothing is shown of these alone.
_DERIVED = ("*.op_stats*.pb", "*.hlo_proto.pb", "cache_version.txt", "*.trace.json.gz", "*.input_pipeline.pb")
_RECORD = "tfopt profile MODEL"


@dataclass(frozen=True)
class Layout:
    """What `target`, a folder or a trace's file, holds. `listed` are the folders of sessions that TensorBoard would
    list below it, `above` the log folder that it lies too deep in, `traces` all traces, those of the latest session
    first; `links` are links to folders, `derived` and `events` count other files that profilers and callbacks write."""

    target: Path
    listed: tuple[Path, ...] = ()
    above: Path | None = None
    traces: tuple[Path, ...] = ()
    links: tuple[Path, ...] = ()
    derived: int = 0
    events: int = 0

    @property
    def logdir(self) -> str:
        """The line that shows these traces in TensorBoard; '' where none does."""
        folder = self.above or (self.target if self.listed else None)
        shown = any(host_of(file) for file in self.traces)
        return f"tensorboard --logdir {quoted(folder)}" if folder is not None and shown else ""


def layout(target: Path) -> Layout:
    """The layout of `target`."""
    if target.is_file():
        return Layout(target, above=log_folder(target), traces=(target,))
    listed = tuple(sorted(folder for folder in target.rglob("plugins/profile/*") if folder.is_dir()))
    inside = (file for folder in listed for file in _traces(folder))
    found = inside if listed else (file for file in target.rglob(f"*{_TRACE}") if _is_trace(file))
    return Layout(
        target,
        listed,
        None if listed else log_folder(target),
        tuple(sorted(found, key=lambda file: (file.parent.name, str(file)), reverse=True)),
        tuple(entry for entry in sorted(target.iterdir()) if entry.is_symlink() and entry.is_dir()),
        sum(1 for pattern in _DERIVED for _ in target.rglob(pattern)),
        sum(1 for _ in target.rglob("events.out.tfevents*")),
    )


def _traces(session: Path) -> list[Path]:
    return [file for file in session.glob(f"*{_TRACE}") if _is_trace(file)]


def _is_trace(file: Path) -> bool:
    return file.name == _TRACE or file.name.endswith(f".{_TRACE}")


def host_of(trace: Path) -> str:
    """The host that a trace's name tells; '' where it tells none, and TensorBoard leaves it out."""
    return trace.name.removesuffix(_TRACE).removesuffix(".")


def log_folder(path: Path) -> Path | None:
    """The folder whose `plugins`, with a `profile` in it, holds `path`; None where there is none."""
    absolute = path.absolute()
    for folder in (absolute, *absolute.parents):
        if folder.name == "plugins" and (folder / "profile").is_dir():
            return folder.parent if path.is_absolute() else Path(os.path.relpath(folder.parent))
    return None


def placement(found: Layout) -> Iterator[Finding]:
    """Whether TensorBoard would find anything, and where."""
    where = found.target
    if found.listed:
        yield from _listed(found)
    elif found.above is not None and where.is_file() and _is_trace(where):
        yield ok("layout.level", f"{where.name} lies where TensorBoard looks, below {found.above}")
    elif found.above is not None and where.is_dir():
        what = f"{where} lies too deep: TensorBoard looks for plugins/profile below --logdir"
        yield problem("layout.level", what, found.logdir or _RECORD)
    elif found.traces:
        yield _misplaced(found)
    elif found.derived:
        what = f"{where} holds {found.derived} files that are made from traces, but no trace (*.{_TRACE})"
        yield problem("layout.traces", what, "copy the .xplane.pb files there as well")
    elif found.events:
        what = f"{where} holds event files (scalars, graphs) but no profile: the profiler was not on"
        mend = "keras.callbacks.TensorBoard(profile_batch=(10, 15)), in a run that reaches that batch"
        yield problem("layout.traces", what, mend)
    elif found.links:
        what = f"{where} holds no profile, but links to folders, which TensorBoard does not follow"
        yield problem("layout.traces", what, f"tensorboard --logdir {quoted(found.links[0].resolve())}")
    else:
        yield problem("layout.traces", f"{where} holds no profile: no plugins/profile, no *.{_TRACE}", _RECORD)


def _listed(found: Layout) -> Iterator[Finding]:
    empty = [folder for folder in found.listed if not _traces(folder)]
    shown = len(found.listed) - len(empty)
    if shown:
        yield ok("layout.traces", f"TensorBoard lists {counted(shown, 'session')} below {found.target}")
    for folder in empty:
        derived = any(next(folder.glob(pattern), None) for pattern in _DERIVED)
        holds = "only files that are made from traces" if derived else "no trace"
        name = folder.relative_to(found.target)
        what = f"TensorBoard lists {name} and shows nothing of it: it holds {holds} (*.{_TRACE})"
        yield note("layout.traces", what) if shown else problem("layout.traces", what, _RECORD)


def _misplaced(found: Layout) -> Finding:
    """Copying leaves what is there as it is, and works where one may only read."""
    folder = found.traces[0].parent
    here = [file for file in found.traces if file.parent == folder]
    alone = here if found.target.is_file() else [file for file in here if not host_of(file)]
    name = folder.name if found.target.is_dir() else host_of(found.target) or "session"
    session = Path("logs/plugins/profile") / name
    copies = [f"cp {quoted(file)} {quoted(session / f'{host_of(file) or _HOST}.{_TRACE}')}" for file in alone]
    if len(here) > len(alone):
        copies.append(f"cp {quoted(folder)}/*.{_TRACE} {quoted(session)}")
    what = f"{counted(len(here), 'trace')} in {folder}: TensorBoard looks in plugins/profile/SESSION only"
    lines = [f"mkdir -p {quoted(session)}", *copies, "tensorboard --logdir logs"]
    return problem("layout.level", what, " && ".join(lines))


def quoted(path: Path) -> str:
    """`path` as a shell reads it."""
    return shlex.quote(str(path))

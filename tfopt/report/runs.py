"""Run folders: `runs/MODEL-TIMESTAMP/` with `record.json` in it, beside the trace that TensorBoard reads."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from itertools import count
from pathlib import Path, PurePath

import msgspec

from tfopt.errors import InputError, UsageError
from tfopt.records.check import CHECK_SCHEMA, CheckRecord
from tfopt.records.comparison import COMPARISON_SCHEMA, ComparisonRecord
from tfopt.records.diagnosis import DIAGNOSIS_SCHEMA, DiagnosisRecord
from tfopt.records.difference import DIFFERENCE_SCHEMA, DifferenceRecord
from tfopt.records.gradcheck import GRADCHECK_SCHEMA, GradcheckRecord
from tfopt.records.gradients import GRADIENTS_SCHEMA, GradientsRecord
from tfopt.records.influence import INFLUENCE_SCHEMA, InfluenceRecord
from tfopt.records.inspection import INSPECTION_SCHEMA, InspectionRecord
from tfopt.records.profile import SCHEMA, ProfileRecord
from tfopt.records.pruning import PRUNING_SCHEMA, PruningRecord
from tfopt.records.trace import TRACE_SCHEMA, TraceRecord
from tfopt.records.trace_difference import TRACE_DIFFERENCE_SCHEMA, TraceDifferenceRecord
from tfopt.report.files import write_file
from tfopt.report.json import encode
from tfopt.scratch import scratch_folder
from tfopt.undo import undone

__all__ = [
    "RECORD_NAME",
    "Run",
    "check_trace",
    "create_run",
    "finish_run",
    "holds_run",
    "is_run",
    "missing",
    "read_any_record",
    "read_record",
    "read_run",
    "unfinished_run",
    "unreadable",
    "write_record",
]

RECORD_NAME = "record.json"
_MODEL = (b"PK\x03\x04", b"\x89HDF\r\n")  # how the files of models begin; arrays are zip archives, too
_HEAD_BYTES = 4096
_PROFILE_AGAIN = "tfopt profile MODEL writes a new one"


@dataclass(frozen=True)
class Run:
    """A record that was read, its file, and its run folder (None where the record lies outside of one)."""

    record: ProfileRecord
    file: Path
    folder: str | None


class _Header(msgspec.Struct):
    schema: str | None = None


_Shown = (
    ProfileRecord
    | ComparisonRecord
    | DiagnosisRecord
    | TraceRecord
    | DifferenceRecord
    | TraceDifferenceRecord
    | InspectionRecord
    | GradientsRecord
    | GradcheckRecord
    | InfluenceRecord
    | PruningRecord
    | CheckRecord
)
_KINDS: dict[str | None, type[_Shown]] = {
    SCHEMA: ProfileRecord,
    TRACE_SCHEMA: TraceRecord,
    DIAGNOSIS_SCHEMA: DiagnosisRecord,
    DIFFERENCE_SCHEMA: DifferenceRecord,
    TRACE_DIFFERENCE_SCHEMA: TraceDifferenceRecord,
    INSPECTION_SCHEMA: InspectionRecord,
    GRADIENTS_SCHEMA: GradientsRecord,
    GRADCHECK_SCHEMA: GradcheckRecord,
    INFLUENCE_SCHEMA: InfluenceRecord,
    PRUNING_SCHEMA: PruningRecord,
    COMPARISON_SCHEMA: ComparisonRecord,
    CHECK_SCHEMA: CheckRecord,
}


def create_run(root: str | Path, model: str, now: datetime | None = None) -> Path:
    """Make the folder `root/MODEL-YYYYMMDD-HHMMSS`, never one that exists: a second one in a second gets `-2`.

    `model` is a path or name, of which the harmless characters are kept. UsageError where `root` cannot hold it.
    """
    stamp = (now or datetime.now()).strftime("%Y%m%d-%H%M%S")
    name = f"{_harmless(model)}-{stamp}"
    try:
        Path(root).mkdir(parents=True, exist_ok=True)
        for attempt in count(1):
            folder = Path(root) / (name if attempt == 1 else f"{name}-{attempt}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise _no_room(root, error) from error
    raise AssertionError("count() does not end")


def _no_room(root: str | Path, error: OSError) -> UsageError:
    reason = error.strerror or str(error)
    return UsageError(f"cannot create a run folder in {root}: {reason}", "use --run-dir or --no-save")


@contextlib.contextmanager
def unfinished_run(root: str | os.PathLike[str]) -> Iterator[Path]:
    """A hidden folder in `root` for a run that is being made: gone at the end, unless `finish_run` made it a run.

    So a run folder is whole or absent, also after a crash. UsageError where `root` cannot hold it.
    """
    root = Path(root)
    with contextlib.ExitStack() as stack:
        try:
            made = [folder for folder in (root, *root.parents) if not folder.exists()]
            stack.enter_context(undone(lambda: _remove_empty(made)))
            root.mkdir(parents=True, exist_ok=True)
            folder = stack.enter_context(scratch_folder(root))
        except OSError as error:
            raise _no_room(root, error) from error
        yield folder


def finish_run(unfinished: Path, model: str, record: ProfileRecord, trace: Path) -> ProfileRecord:
    """Write `record` beside its `trace` in the folder of `unfinished_run`, and give that its name: now it is a run.

    Returns the record as it was written: with its folder, and the trace's place in it.
    """
    folder = create_run(unfinished.parent, model)
    with undone(lambda: _remove_empty([folder])):
        kept = {"run_dir": str(folder), "file": trace.relative_to(unfinished).as_posix()}
        record = msgspec.structs.replace(record, trace=msgspec.structs.replace(record.trace, **kept))
        write_record(unfinished, record)
        os.replace(unfinished, folder)
    return record


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _harmless(model: str) -> str:
    name = PurePath(model.rpartition(":")[2]).name
    stem = re.sub(r"\.(keras|h5|hdf5)$", "", name)  # a name such as mobilenetv2_1.00_96 keeps its end
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip(".-")[:60] or "model"


def write_record(folder: str | Path, record: ProfileRecord) -> Path:
    """Write `record` into a run folder, whole or not at all; gives the file's path."""
    path = Path(folder) / RECORD_NAME
    write_file(path, encode(record), force=True)
    return path


def read_run(target: str | Path = "runs", besides: Path | None = None) -> Run:
    """The record of `target`: a run folder, a record's file, or a folder of runs, of which the latest is taken that is
    not `besides`.

    InputError where there is none, or one that this version cannot read.
    """
    path = Path(target)
    try:
        if not path.exists():
            raise missing(path)
        file = path if path.is_file() else _record_in(path, besides)
    except OSError as error:
        raise unreadable(path, error) from error
    inside = file != path or is_run(file)
    return Run(read_record(file), file, str(file.parent) if inside else None)


def check_trace(folder: str | Path) -> None:
    """InputError where TensorBoard would find no profile in `folder` or below it."""
    path = Path(folder)
    if not path.exists():
        raise missing(path)
    if not path.is_dir():
        raise _no_folder(path)
    if next(path.rglob("plugins/profile/*/?*.xplane.pb"), None) is None:  # what names no host is left out there
        what = f"tfopt doctor {shlex.quote(str(path))} says what else is there"
        raise InputError(f"no profile in {path}", f"tfopt profile MODEL records one; {what}")


def _no_folder(file: Path) -> InputError:
    try:
        with file.open("rb") as opened:
            start = opened.read(_HEAD_BYTES)
    except OSError as error:
        return unreadable(file, error)
    return _given(file, start) or InputError(f"{file} is not a folder", "name a run folder or a folder of runs")


def _given(file: Path, start: bytes) -> InputError | None:
    """What to say of a file that profiles are given, a model or arrays; None where it is neither by its `start`."""
    if not start.startswith(_MODEL):
        return None
    first = start[30 : 30 + int.from_bytes(start[26:28], "little")]  # the name of a zip archive's first member
    if first.endswith(b".npy"):
        mend = f"profile with it: tfopt profile MODEL --data {file}"
        return InputError(f"{file} holds NumPy arrays, not the record of a run", mend)
    return InputError(f"{file} is a model, not the record of a run", f"profile it: tfopt profile {file}")


def holds_run(folder: Path) -> bool:
    """Whether `folder` is a run folder or a folder of runs."""
    return (folder / RECORD_NAME).is_file() or next(_runs_in(folder), None) is not None


def is_run(file: Path) -> bool:
    """Whether `file` is the record in a run folder."""
    return file.name == RECORD_NAME and (file.parent / "plugins" / "profile").is_dir()


def _record_in(folder: Path, besides: Path | None) -> Path:
    own = folder / RECORD_NAME
    if own.is_file():
        return own
    if (folder / "plugins").is_dir():
        raise InputError(f"{folder} holds a trace but no {RECORD_NAME}: its run did not finish", _PROFILE_AGAIN)
    runs = [file for file in _runs_in(folder) if besides is None or file.resolve() != besides.resolve()]
    if not runs:
        raise InputError(f"no {'other ' if besides else ''}run in {folder}", "tfopt profile MODEL records one")
    return max(runs, key=lambda file: (file.stat().st_mtime_ns, file.parent.name))


def _runs_in(folder: Path) -> Iterator[Path]:
    try:
        yield from (file for file in folder.glob(f"[!.]*/{RECORD_NAME}") if file.is_file())
    except OSError as error:
        raise unreadable(folder, error) from error


def read_record(file: Path) -> ProfileRecord:
    """The profile record in `file`; InputError says what is wrong with it."""
    record = read_any_record(file)
    if not isinstance(record, ProfileRecord):
        raise _foreign(file, record.schema)
    return record


def read_any_record(file: Path) -> _Shown:
    """The record in `file`, of a run, a trace or a difference; InputError says what is wrong with it."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise unreadable(file, error) from error
    if (given := _given(file, raw)) is not None:
        raise given
    schema = None
    try:
        schema = msgspec.json.decode(raw, type=_Header).schema
        if schema not in _KINDS:
            raise _foreign(file, schema)
        return msgspec.json.decode(raw, type=_KINDS[schema])
    except msgspec.ValidationError as error:
        raise InputError(f"{file} does not fit the schema {schema or SCHEMA}: {error}", _PROFILE_AGAIN) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = "is cut off" if "truncated" in str(error) else "is not JSON"
        raise InputError(f"{file} {what} ({error})", _PROFILE_AGAIN) from error


def _foreign(file: Path, schema: str | None) -> InputError:
    if schema is None:
        return InputError(f"{file} is not a tfopt record: it names no schema", "name a run folder or its record.json")
    return InputError(
        f"{file} follows the schema {schema}, this tfopt reads {', '.join(filter(None, _KINDS))}",
        "use the version of tfopt that wrote it, or profile again",
    )


def unreadable(path: Path, error: OSError) -> InputError:
    """What to say of a path that the system refuses to read."""
    return InputError(f"cannot read {path}: {error.strerror or error}", "check the path and its permissions")


def missing(path: Path) -> InputError:
    """What to say of a path that does not exist."""
    if path.is_symlink():
        return InputError(f"{path} is a link that leads nowhere", "name the run folder itself")
    beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    close = get_close_matches(path.name, beside, n=1)
    if close:
        hint = f"did you mean {path.parent / close[0]}?"
    elif beside and holds_run(path.parent):
        hint = f"tfopt report {shlex.quote(str(path.parent))} shows the latest run there"
    else:
        hint = "tfopt profile MODEL records a run under runs/"
    return InputError(f"{path} does not exist", hint)

"""Run a command in a child of its own, under watch, and say what was wrong with its ending."""

from __future__ import annotations

import hashlib
import os
import re
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

LIMIT_S, LIMIT_BYTES = 30.0, 4 * 2**30
# Addresses beyond what the command starts with: an attempt to take more fails in the child, not on the machine.
_MORE_ADDRESSES = 8 * 2**30
_LONGEST_LINE = 600
SOUND = {"accepted", "refused"}


@dataclass(frozen=True)
class Outcome:
    """How the command ended: `code` is negative for a signal; `changes` the files that are not as they were.

    `peak_bytes` is memory beyond what the fork started with, which is what the forking process had written.
    """

    code: int
    stdout: str
    stderr: str
    seconds: float
    peak_bytes: int
    changes: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """`refused`, `accepted`, or what is wrong."""
        return next(self._complaints(), "accepted" if self.code == 0 else "refused")

    def _complaints(self) -> Iterator[str]:
        lines = self.stderr.splitlines()
        if self.seconds > LIMIT_S:
            yield f"HANG over {LIMIT_S:.0f} s"
        if self.code < 0:
            yield f"KILLED by {signal.Signals(-self.code).name}"
        if self.changes:
            yield f"WROTE {', '.join(self.changes[:3])}"
        if self.peak_bytes > LIMIT_BYTES:
            yield f"MEMORY {self.peak_bytes / 2**30:.1f} GB"
        if "Traceback (most recent call last)" in self.stdout + self.stderr:
            yield "TRACEBACK"
        if self.code not in (0, 3):
            yield f"EXIT CODE {self.code}"
        if self.code == 0 and not self.stdout.strip():
            yield "SILENT SUCCESS"
        if self.code == 0 and lines:
            yield "NOISE on stderr"
        if self.code == 3 and (
            len(lines) != 2 or not lines[0].startswith("error: ") or not lines[1].startswith("help:  ")
        ):
            yield "NOT TWO LINES"
        if self.code == 3 and not all(line.isprintable() and len(line) < _LONGEST_LINE for line in lines):
            yield "UNREADABLE LINES"
        if self.code == 3 and self.stdout:
            yield "OUTPUT of a refusal"

    def message(self) -> str:
        """The first line on stderr, with what varies taken out: cases of one message have one template."""
        line = next(iter(self.stderr.splitlines()), "")
        line = re.sub(r"'[^']*'|\"[^\"]*\"|<[^>]*>|\([^()]*\)", "…", line)
        return re.sub(r"-?\d[\d.e+,]*( [kMGTPE]?B\b)?", "N", re.sub(r"\S+\.(keras|h5|pb)\b", "FILE", line))[:160]


def snapshot(folder: Path) -> dict[str, str]:
    """Every file and folder below, with what it holds and when it was changed."""
    return {
        path.relative_to(folder).as_posix(): (
            f"{path.stat().st_mtime_ns} {hashlib.sha1(path.read_bytes()).hexdigest()}" if path.is_file() else "folder"
        )
        for path in folder.rglob("*")
    }


def _memory(field: int) -> int:
    """This process's memory in bytes: addresses (field 0) or what is resident (field 1)."""
    return int(Path("/proc/self/statm").read_text().split()[field]) * resource.getpagesize()


def enter(folder: Path) -> None:
    """Make this process start from empty folders of its own, its output kept in `folder`."""
    os.setsid()
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder / "case" / "here")
    os.environ |= {"TMPDIR": str(folder / "case" / "tmp"), "HOME": str(folder / "case" / "home")}
    used = _memory(0)
    resource.setrlimit(resource.RLIMIT_AS, (used + _MORE_ADDRESSES, used + _MORE_ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def watched(main: Callable[[Sequence[str]], int], args: Sequence[str], folder: Path) -> Outcome:
    """Run `main(args)` in a fork of this process. `folder/case` is what must not change."""
    import tempfile

    for name in ("here", "tmp", "home"):
        (folder / "case" / name).mkdir(parents=True, exist_ok=True)
    before, started = snapshot(folder / "case"), time.monotonic()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            (folder / "held").write_text(str(_memory(1)))
            enter(folder)
            tempfile.tempdir = None
            code = main(args)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    poll = select.poll()
    descriptor = os.pidfd_open(child)
    poll.register(descriptor, select.POLLIN)
    ended = poll.poll(1000 * LIMIT_S)
    seconds = time.monotonic() - started
    if not ended:
        os.killpg(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    os.close(descriptor)
    after = snapshot(folder / "case")
    return Outcome(
        os.waitstatus_to_exitcode(status),
        (folder / "stdout").read_text(errors="replace"),
        (folder / "stderr").read_text(errors="replace"),
        seconds,
        max(0, usage.ru_maxrss * 1024 - int((folder / "held").read_text())),
        tuple(sorted(name for name in {*before, *after} if before.get(name) != after.get(name))),
    )

"""Every way a command can fail, as two lines on standard error and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

import click

from tfopt.cli.settings import BadChoice, Setting
from tfopt.cli.signals import ended, received
from tfopt.errors import TfoptError

__all__ = ["EXIT_CODES", "show_failure"]

EXIT_CODES = """\
    0  success
    1  a check failed: a gate, a gradient of gradcheck, a certificate with
       influence --strict; or doctor found a problem, or a pruned network
       collapsed
    2  wrong usage or configuration
    3  unreadable input: model, data, trace, run or lock
    4  the run failed
    5  check or compare could not decide, with --strict
  130  interrupted (Ctrl-C); 143 terminated (SIGTERM), 129 hung up"""


_LONGEST = 1000  # characters of a line; a name in it may have thousands


class _Failure(NamedTuple):
    message: str
    hint: str
    exit_code: int


def show_failure(error: BaseException, argv: Sequence[str]) -> int:
    """Print what went wrong and what to do, with the traceback if it was asked for; gives the exit code."""
    if received() or isinstance(error, KeyboardInterrupt | click.Abort):  # libraries make other errors of a signal
        return ended()
    if _debug(argv):
        import traceback

        _print("".join(traceback.format_exception(error)).rstrip())
    failure = next(describe(error) for kind, describe in _KINDS if isinstance(error, kind))
    from tfopt.cli.terminal import wants_color
    from tfopt.report.escape import one_line

    red, cyan = ("31", "36") if wants_color(sys.stderr) else ("", "")
    _print(f"{_painted('error:', red)} {one_line(failure.message, _LONGEST)}")
    _print(f"{_painted('help:', cyan)}  {one_line(failure.hint, _LONGEST)}")
    return failure.exit_code


def _debug(argv: Sequence[str]) -> bool:
    """Read without the parser, which may be what failed."""
    return "--debug" in argv or os.environ.get("TFOPT_DEBUG", "").lower() in ("1", "true", "yes", "on")


def _print(line: str) -> None:
    if sys.stderr is not None:
        print(line.encode(sys.stderr.encoding, "backslashreplace").decode(sys.stderr.encoding), file=sys.stderr)


def _painted(word: str, color: str) -> str:
    return f"\x1b[1;{color}m{word}\x1b[0m" if color else word


def _ours(error: BaseException) -> _Failure:
    assert isinstance(error, TfoptError)
    return _Failure(error.message, error.hint, error.exit_code)


def _no_such_option(error: BaseException) -> _Failure:
    assert isinstance(error, click.NoSuchOption)
    close = error.possibilities
    hint = _file_meant(error) or (f"did you mean {close[0]}?" if close else _help_of(error))
    return _Failure(f"no such option: {error.option_name}", hint, 2)


def _file_meant(error: click.UsageError) -> str:
    """A file's name that was taken for options."""
    argv = (error.ctx.find_object(list) if error.ctx is not None else None) or []
    name = next((word for word in argv if word.startswith("-") and os.path.exists(word)), None)
    return f"write ./{name} for the file of that name" if name else ""


def _missing(error: BaseException) -> _Failure:
    assert isinstance(error, click.MissingParameter)
    name = error.param.human_readable_name.removesuffix("...") if error.param is not None else "a value"
    usage = error.ctx.get_usage().partition(": ")[2] if error.ctx is not None else ""
    return _Failure(f"{name} is missing", f"write {usage}; {_help_of(error)}", 2)


def _usage(error: BaseException) -> _Failure:
    assert isinstance(error, click.UsageError)
    message = error.format_message().rstrip(".")
    hint = " ".join(filter(None, (_meant(error), _origin(error))))
    return _Failure(message[:1].lower() + message[1:], hint or _help_of(error), 2)


def _meant(error: click.UsageError) -> str:
    return f"did you mean {error.meant}?" if isinstance(error, BadChoice) and error.meant else ""


def _origin(error: click.UsageError) -> str:
    """Where a bad value stands, if not on the command line."""
    param, ctx = getattr(error, "param", None), error.ctx
    origin = param.origin(ctx) if isinstance(param, Setting) and ctx is not None else ""
    return f"the value comes from {origin}" if origin else ""


def _help_of(error: click.UsageError) -> str:
    command = error.ctx.command_path if error.ctx is not None else "tfopt"
    return f"{command} --help shows the options"


def _click(error: BaseException) -> _Failure:
    assert isinstance(error, click.ClickException)
    return _Failure(error.format_message(), "tfopt --help shows the commands", 2)


def _memory(error: BaseException) -> _Failure:
    return _Failure("out of memory", "try a smaller --batch-size", 4)


def _system(error: BaseException) -> _Failure:
    """What the system refused at a place that has no words of its own for it."""
    assert isinstance(error, OSError)
    reason = error.strerror or str(error) or type(error).__name__
    message = f"{reason}: {error.filename}" if error.filename else reason
    try:
        os.getcwd()
    except OSError:
        return _Failure("the working directory does not exist any more", "change to a folder that does", 2)
    return _Failure(message, "check the path and the disk; --debug shows where it happened", 4)


def _internal(error: BaseException) -> _Failure:
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return _Failure(f"internal error: {text}", "run again with --debug to see where it happened", 4)


_KINDS: tuple[tuple[type[BaseException], Callable[[BaseException], _Failure]], ...] = (
    (TfoptError, _ours),
    (click.NoSuchOption, _no_such_option),
    (click.MissingParameter, _missing),
    (click.UsageError, _usage),
    (click.ClickException, _click),
    (MemoryError, _memory),
    (OSError, _system),
    (BaseException, _internal),
)

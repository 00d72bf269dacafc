"""`python -m tfopt` and the `tfopt` command: from its first moment on a signal ends it tidily."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tfopt.cli.signals import ended, interruptible
from tfopt.undo import undo_all

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> int:
    """The process's whole life: run the command line and give its exit code, 128 + the signal if one ended it."""
    try:
        with interruptible():
            from tfopt.cli.main import main as run

            return run(args)
    except KeyboardInterrupt:  # outside of the command, while it was still imported
        return ended()
    finally:
        undo_all()


if __name__ == "__main__":
    sys.exit(main())

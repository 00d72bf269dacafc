"""`python -m tfopt` and the `tfopt` command."""

from __future__ import annotations

import sys

from tfopt.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())

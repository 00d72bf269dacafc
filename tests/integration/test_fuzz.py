"""A slice of `bench.fuzz`: damaged files end in success or in two lines, as a user would see it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.fuzzing.seeds import make_models, make_traces

ROOT = Path(__file__).resolve().parents[2]


# Keras, while saving.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(("what", "make", "count"), [("models", make_models, 10), ("traces", make_traces, 40)])
def test_damaged_files_are_refused_or_lived_with(
    what: str, make: Callable[[Path], None], count: int, tmp_path: Path
) -> None:
    make(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "bench.fuzz", what, "--count", str(count), "--seed", "7", "--seeds", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    counted = re.search(rf"^{count} cases: .*?(\d+) refused", done.stdout, re.MULTILINE)
    assert counted is not None
    assert int(counted[1]) > count / 4

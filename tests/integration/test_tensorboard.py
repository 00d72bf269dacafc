"""`tfopt tensorboard` for real: it serves the recorded profile, and takes its server along when it ends."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from profiled import profiled

from bench.zoo import ZOO

ROUTE = "data/plugin/profile"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """A served run: the process, the server's address and the run folder's name."""
    runs = tmp_path_factory.mktemp("served") / "runs"
    record = profiled(ZOO["cnn"](), steps=2, trace_steps=2, run_dir=runs)
    assert record.trace.run_dir is not None
    command = [sys.executable, "-m", "tfopt", "tensorboard", str(runs), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        yield process, address.removesuffix("#profile"), Path(record.trace.run_dir).name
        process.kill()


def _get(address: str, route: str, **query: str) -> Any:
    url = f"{address}{ROUTE}/{route}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=60) as answer:
        body = answer.read()
    return json.loads(gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body)


def _until(condition: Any, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = condition()
        except (urllib.error.URLError, json.JSONDecodeError):
            found = None
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def test_profile_data_is_served(served: tuple[subprocess.Popen[str], str, str]) -> None:
    _, address, run = served
    assert address.startswith("http://127.0.0.1:")
    runs = _until(lambda: _get(address, "runs"))
    assert len(runs) == 1
    assert runs[0].startswith(run)
    tools = _until(lambda: _get(address, "run_tools", run=runs[0]))
    assert {"overview_page", "framework_op_stats", "trace_viewer@"} & set(tools)
    hosts = _get(address, "hosts", run=runs[0], tag="framework_op_stats")
    host = hosts[0]["hostname"] if isinstance(hosts[0], dict) else hosts[0]
    stats = _get(address, "data", run=runs[0], tag="framework_op_stats", host=host)
    rows = [row for table in stats if isinstance(table, dict) for row in table.get("rows", [])]
    names = {str(cell.get("v")) for row in rows for cell in row["c"]}
    assert any("conv_0" in name for name in names)


def test_the_server_ends_with_its_command(served: tuple[subprocess.Popen[str], str, str]) -> None:
    process, address, _ = served
    children = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert children
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert _until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), 20)
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address, timeout=5)

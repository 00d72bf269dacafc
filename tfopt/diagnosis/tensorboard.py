"""TensorBoard: does it come up, list the profiler's plugin, and serve the trace of the trial run?"""

from __future__ import annotations

import gzip
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from tfopt.diagnosis.finding import ok, problem, unknown
from tfopt.diagnosis.installed import pinned
from tfopt.errors import TfoptError
from tfopt.records.diagnosis import Finding
from tfopt.report.serving import Server

__all__ = ["Served", "ask", "serves"]

SECONDS = 60.0
_PROFILE = "data/plugin/profile"
_AGAIN = f"pip install --force-reinstall {pinned('tensorboard')} {pinned('tensorboard-plugin-profile')}"


@dataclass(frozen=True)
class Served:
    """What a TensorBoard answered: whether the profiler's plugin is listed, the `runs` and `tools` that it offers.
    `error`: it did not come up; `slow`: it did not answer in time. `traced`: there is a trace to be served."""

    traced: bool
    listed: bool = False
    runs: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    error: str = ""
    slow: bool = False


def ask(server: Server, *, traced: bool) -> Served:
    """Ask a TensorBoard that was just started; it needs some seconds to come up, and to find a trace."""
    deadline = time.monotonic() + SECONDS
    try:
        server.wait_until_ready(SECONDS)
        plugins = _get(server, "data/plugins_listing")
        while traced and not (plugins.get("profile") or {"enabled": True})["enabled"] and time.monotonic() < deadline:
            time.sleep(0.2)
            plugins = _get(server, "data/plugins_listing")
        if "profile" not in plugins:
            return Served(traced)
        runs = tuple(_get(server, f"{_PROFILE}/runs"))
        tools = tuple(_get(server, f"{_PROFILE}/run_tools?run={runs[0]}")) if runs else ()
        return Served(traced, True, runs, tools)
    except TfoptError as error:
        return Served(traced, error=error.message)
    except (urllib.error.HTTPError, ValueError) as error:
        return Served(traced, error=f"TensorBoard answers: {error}")
    except (OSError, HTTPException) as error:
        cause = getattr(error, "reason", error)  # what URLError wraps
        if isinstance(cause, TimeoutError):
            return Served(traced, slow=True)
        return Served(traced, error=f"TensorBoard does not answer: {cause}")


def _get(server: Server, route: str) -> Any:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy does not know this machine's ports
    with direct.open(f"{server.address}/{route}", timeout=SECONDS) as answer:
        body = answer.read()
    return json.loads(gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body)


def serves(found: Served) -> Iterator[Finding]:
    """Whether a profile would be seen in the browser."""
    id = "tensorboard.profile"
    if found.error:
        yield problem(id, found.error, _AGAIN)
    elif found.slow:
        yield unknown(id, f"TensorBoard did not answer within {SECONDS:.0f} s", "tfopt tensorboard --verbose")
    elif not found.listed:
        yield problem(id, "TensorBoard runs without the profiler's plugin: it was not found, or failed to load", _AGAIN)
    elif not found.traced:
        yield ok(id, "TensorBoard runs with the profiler's plugin; no trace could be written to try it with")
    elif not found.runs:
        yield problem(id, "TensorBoard's profiler does not find the trace that was just written", _AGAIN)
    elif not found.tools:
        yield problem(id, "TensorBoard's profiler lists the trace but offers no page of it", _AGAIN)
    else:
        yield ok(id, f"TensorBoard serves the trial run's trace ({len(found.tools)} pages)")

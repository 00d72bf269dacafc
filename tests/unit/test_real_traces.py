"""Traces of real accelerators, against sums that a plain loop over the file makes, and against their README."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from cli_for_tests import tfopt

from tfopt.errors import InputError
from tfopt.trace.protos import message
from tfopt.trace.summary import read_trace


def plain_sums(path: Path) -> tuple[Counter[str], Counter[str]]:
    """Picoseconds and events by kernel, event by event: what a reader of the format would do first."""
    picoseconds: Counter[str] = Counter()
    events: Counter[str] = Counter()
    for plane in message("XSpace").FromString(path.read_bytes()).planes:
        if not plane.name.startswith("/device:"):
            continue
        names = {entry.key: entry.value.name for entry in plane.event_metadata}
        for encoded in plane.lines:
            line = message("XLine").FromString(encoded)
            assert line.name.startswith("Stream")
            for event in line.events:
                picoseconds[names[event.metadata_id]] += event.duration_ps
                events[names[event.metadata_id]] += 1
    return picoseconds, events


@pytest.mark.parametrize(
    ("name", "joined", "rest", "devices", "share_of_overlap"),
    [
        ("mi300_conv08", 0.979, {"copies": 0.020, "kernels without an op": 0.001}, 8, 0.0),
        ("mi300_conv_legacy", 0.801, {"copies": 0.199}, 2, 0.0),
        # Kernels of one stream overlap by 0.4 µs of 12 ms there; each instant is counted once.
        ("te_fused_attention", 1.0, {}, 1, 5e-5),
    ],
)
def test_real_traces(
    real_traces: Path, name: str, joined: float, rest: dict[str, float], devices: int, share_of_overlap: float
) -> None:
    path = real_traces / f"{name}.xplane.pb"
    before = sorted(real_traces.iterdir())
    record = read_trace(path)
    picoseconds, events = plain_sums(path)
    assert {row.name: row.occurrences for row in record.kernels} == events
    total = sum(picoseconds.values()) / 1e9
    assert record.op_ms == pytest.approx(total, rel=share_of_overlap or 1e-9)
    for row in record.kernels:
        assert row.time_ms == pytest.approx(picoseconds[row.name] / 1e9, abs=total * share_of_overlap + 1e-9)
    assert record.joined_share == pytest.approx(joined, abs=0.0005)
    assert {row.what: round(row.share, 3) for row in record.unnamed} == rest
    assert len(record.devices) == devices
    idle = sum(row.idle_ms for row in record.devices)
    assert sum(row.self_ms for row in record.kernels) + idle == pytest.approx(record.span_ms)
    assert record.steps is None
    assert sorted(real_traces.iterdir()) == before


def test_a_trace_damaged_by_text_decoding_is_named_in_two_lines(real_traces: Path, tmp_path: Path) -> None:
    path = real_traces / "corrupt_utf8_replaced.xplane.pb"
    done = tfopt("report", str(path), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    first, second = done.stderr.splitlines()
    assert re.fullmatch(
        rf"error: {re.escape(str(path))} is damaged: \d+ of its bytes were replaced when .* text", first
    )
    assert second.startswith("help:  ")
    with pytest.raises(InputError):
        read_trace(path)


def test_the_screen_begins_with_the_answer(real_traces: Path, tmp_path: Path) -> None:
    done = tfopt("report", str(real_traces / "mi300_conv_legacy.xplane.pb"), cwd=tmp_path, COLUMNS="80")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[2].startswith("  devices 10.3 % busy   4.48 ms of device time on 2 devices")
    assert "80.1 % of device time joins to the name of an op · 19.9 % copies" in done.stdout
    assert list(tmp_path.iterdir()) == []

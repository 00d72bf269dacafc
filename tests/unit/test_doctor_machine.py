"""What the doctor says of the machine, from facts made by hand, and how limits of containers are read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tfopt.diagnosis.machine import CHECKS, MachineFacts, Room, machine
from tfopt.workload.limits import available_memory, cpu_quota, memory_limit

GB = 10**9
SOUND = MachineFacts(
    cpu="AMD EPYC",
    architecture="x86_64",
    flags=frozenset({"avx", "avx2", "fma", "avx512f", "avx512_bf16"}),
    cores=8,
    usable=8,
    quota=None,
    load=0.5,
    memory=32 * GB,
    available=30 * GB,
    limit=None,
    rooms=(Room("temporary files", "/tmp", 50 * GB, True, "a"), Room("runs", "runs", 50 * GB, True, "b")),
    encoding="utf-8",
)


def said(found: MachineFacts) -> dict[str, str]:
    """Everything that is not fine."""
    every = [finding for check in CHECKS for finding in check(found)]
    return {finding.id.partition(".")[2]: finding.status for finding in every if finding.status != "ok"}


def text(found: MachineFacts, id: str) -> str:
    return next(one.found for check in CHECKS for one in check(found) if one.id == f"machine.{id}")


def test_a_sound_machine_is_fine() -> None:
    assert said(SOUND) == {}


OLD = frozenset({"avx"})
ROOM = SOUND.rooms[0]


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (replace(SOUND, flags=frozenset({"sse4_2"})), {"instructions": "problem", "half_precision": "note"}),
        (replace(SOUND, flags=OLD), {"instructions": "note", "half_precision": "note"}),
        (replace(SOUND, flags=None), {"instructions": "unknown"}),
        (replace(SOUND, architecture="aarch64", flags=frozenset({"asimd", "bf16", "asimdhp"})), {}),
        (replace(SOUND, quota=1.5), {"processors": "note"}),
        (replace(SOUND, quota=8.0), {}),
        (replace(SOUND, usable=2), {}),
        (replace(SOUND, load=4.1), {"load": "note"}),
        (replace(SOUND, load=None), {}),
        (replace(SOUND, quota=1.0, usable=2, load=3.9), {"processors": "note"}),
        (replace(SOUND, available=2 * GB), {"memory": "note"}),
        (replace(SOUND, available=GB // 2), {"memory": "problem"}),
        (replace(SOUND, limit=8 * GB, available=GB // 2), {"memory": "problem"}),
        (replace(SOUND, limit=64 * GB), {}),
        (replace(SOUND, memory=None), {"memory": "unknown"}),
        (replace(SOUND, rooms=(replace(ROOM, free=GB // 2),)), {"room_files": "note"}),
        (replace(SOUND, rooms=(replace(ROOM, free=1000),)), {"room_files": "problem"}),
        (replace(SOUND, rooms=(replace(ROOM, writable=False),)), {"room_files": "problem"}),
        (replace(SOUND, rooms=(replace(ROOM, free=None),)), {"room_files": "unknown"}),
        (replace(SOUND, encoding="ascii"), {"terminal": "note"}),
        (replace(SOUND, encoding="no-such-code"), {"terminal": "note"}),
    ],
)
def test_each_lack_is_found_alone(found: MachineFacts, wanted: dict[str, str]) -> None:
    assert said(found) == wanted


def test_a_quota_is_told_with_the_threads_that_fit() -> None:
    found = replace(SOUND, quota=2.5)
    assert "allows 2.5 of 8 processors" in text(found, "processors")
    assert any(one.mend.endswith("--threads 2") for check in CHECKS for one in check(found))


def test_half_precision_says_which_has_instructions() -> None:
    assert text(SOUND, "half_precision") == (
        "multiplies bfloat16 (AVX512_BF16) in hardware on this CPU; float16 is converted and slow"
    )
    both = replace(SOUND, flags=SOUND.flags | {"avx512_fp16"})
    assert "converted" not in text(both, "half_precision")


def test_this_machine_is_read() -> None:
    found = machine()
    assert 1 <= found.usable <= found.cores
    assert found.memory is None or (found.available or 0) <= found.memory
    assert all(room.free for room in found.rooms)


def groups(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content + "\n")
    return root / "own"


def test_limits_of_version_2_are_the_least_on_the_way_up(tmp_path: Path) -> None:
    own = groups(
        tmp_path,
        {
            "own": "0::/a/b",
            "a/cpu.max": "150000 100000",
            "a/b/cpu.max": "max 100000",
            "a/memory.max": "max",
            "a/b/memory.max": "4000000000",
        },
    )
    assert cpu_quota(tmp_path, own) == 1.5
    assert memory_limit(tmp_path, own) == 4_000_000_000


def test_limits_of_version_1_lie_by_controller(tmp_path: Path) -> None:
    own = groups(
        tmp_path,
        {
            "own": "4:memory:/here\n1:cpu,cpuacct:/",
            "cpu,cpuacct/cpu.cfs_quota_us": "50000",
            "cpu,cpuacct/cpu.cfs_period_us": "100000",
            "memory/memory.limit_in_bytes": "9223372036854771712",
            "memory/here/memory.limit_in_bytes": "1000000000",
        },
    )
    assert cpu_quota(tmp_path, own) == 0.5
    assert memory_limit(tmp_path, own) == 1_000_000_000


def test_no_limit_is_none(tmp_path: Path) -> None:
    own = groups(
        tmp_path,
        {"own": "1:cpu:/\n2:memory:/gone", "cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
    )
    assert cpu_quota(tmp_path, own) is None
    assert memory_limit(tmp_path, own) is None
    assert cpu_quota(tmp_path, tmp_path / "absent") is None


def test_in_a_container_the_path_of_the_host_is_not_there(tmp_path: Path) -> None:
    own = groups(tmp_path, {"own": "0::/docker/0123", "cpu.max": "200000 100000", "memory.max": "2000000000"})
    assert cpu_quota(tmp_path, own) == 2.0
    assert memory_limit(tmp_path, own) == 2_000_000_000


def test_what_is_left_is_the_least_on_the_way_up(tmp_path: Path) -> None:
    """What others in the same group hold is gone; what the file cache holds is not."""
    meminfo = tmp_path / "meminfo"
    own = groups(tmp_path, {"own": "0::/a/b", "a/b/memory.max": "max", "a/b/memory.current": "5"})
    assert available_memory(tmp_path, own, meminfo) is None
    meminfo.write_text("MemTotal: 9999 kB\nMemAvailable:    4000 kB\n")
    assert available_memory(tmp_path, own, meminfo) == 4_096_000
    outer = {"a/memory.max": "1000000", "a/memory.current": "900000"}
    groups(tmp_path, outer)
    assert available_memory(tmp_path, own, meminfo) == 100_000
    groups(tmp_path, {"a/memory.stat": "anon 600000\ninactive_file 200000\nactive_file 50000"})
    assert available_memory(tmp_path, own, meminfo) == 350_000
    groups(tmp_path, {"a/memory.current": "1000001", "a/memory.stat": "anon 1000001"})
    assert available_memory(tmp_path, own, meminfo) == 0


def test_what_is_left_in_version_1(tmp_path: Path) -> None:
    own = groups(
        tmp_path,
        {
            "own": "4:memory:/here",
            "memory/memory.limit_in_bytes": "9223372036854771712",
            "memory/here/memory.limit_in_bytes": "1000000",
            "memory/here/memory.usage_in_bytes": "700000",
            "memory/here/memory.stat": "active_file 1\ntotal_inactive_file 100000\ntotal_active_file 20000",
        },
    )
    assert available_memory(tmp_path, own, tmp_path / "absent") == 420_000

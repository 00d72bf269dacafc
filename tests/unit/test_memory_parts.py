"""What is alive at the peak, by what it is; XLA's buffers; sizes as people write them; what screens say."""

from __future__ import annotations

import msgspec
import pytest

from tfopt.records.memory import MemoryInfo, MemoryLimit
from tfopt.report.memory import limit_phrases, parts, phrases
from tfopt.report.units import bytes_of
from tfopt.trace.scopes import Place
from tfopt.workload.peak.parts import Peak, peak_of
from tfopt.workload.peak.program import Op, Program
from tfopt.workload.peak.xla import xla_memory

KIB, MIB = 1024, 1024 * 1024

# x → forward y (kept) → backward makes a gradient g and a temporary → the optimizer reads g, as `shared`.
STEP = Program(
    (
        Op("net/dense/MatMul", "compute", (), (0,), (MIB,)),
        Op("gradient/net/dense/Tile", "compute", (0,), (1,), (512 * KIB,)),
        Op("gradient/net/dense/MatMul", "compute", (0, 1), (2,), (256 * KIB,)),
        Op("gradient/Reshape", "share", (2,), (3,), (256 * KIB,)),
        Op("gradient/net/dense/Sum", "compute", (1,), (4,), (100 * KIB,), after=(3,)),
        Op("optimizer/Update", "compute", (3, 0), (5,), (4,), after=(4,)),
    ),
)
PHASES = {"net": "forward", "gradient": "backward", "optimizer": "optimizer"}


def place(name: str) -> Place:
    return Place("net/dense", PHASES[name.partition("/")[0]])  # type: ignore[arg-type]


def test_parts_of_the_peak_are_told_by_who_made_and_who_reads_them() -> None:
    peak = peak_of(STEP, place)
    assert peak.activations == MIB
    assert peak.gradients == 256 * KIB
    assert peak.temporaries == (512 + 100) * KIB
    assert peak.uncounted == 100 * KIB
    assert peak.op == "gradient/net/dense/Sum"
    assert peak.allocator == 0  # a region of 1 MiB for the first, halves of the next one for the others


def test_a_step_without_memory_has_no_peak() -> None:
    assert peak_of(Program((Op("net/a", "free", (), (0,)),)), place) == Peak()


def test_xla_s_buffers_are_the_estimate_with_the_chunks_that_hold_them() -> None:
    memory = xla_memory([98_528_552, 340], [1000, 24], [2048])
    assert (memory.weight_bytes, memory.slot_bytes, memory.temporary_bytes) == (1024, 2048, 98_528_892)
    assert memory.estimate_bytes == 3072 + 128 * MIB + 340  # what TensorFlow counted for this program
    assert memory.uncounted_bytes == 340
    assert memory.estimate_bytes == sum(size for _, size in parts(memory))
    assert memory.source == "xla_buffers"


@pytest.mark.parametrize(
    ("text", "size"),
    [("8GiB", 8 * 2**30), ("800MB", 800_000_000), ("1.5GB", 1_500_000_000), ("1.5 GiB", 3 * 2**29), ("512kB", 512_000),
     ("512KiB", 2**19), ("1B", 1), ("2TiB", 2**41)],
)  # fmt: skip
def test_sizes_are_read(text: str, size: int) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize(
    "text", ["", "8", "8G", "8gb", "8 Gb", "-1GB", "0GB", "1e3MB", "GB", "1.GB", "8GiBB", "8iB", "nanGB", "٣GB", "0.1B"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        bytes_of(text)


MEMORY = MemoryInfo(
    source="liveness",
    estimate_bytes=100_000_000,
    weight_bytes=10_000_000,
    slot_bytes=0,
    gradient_bytes=0,
    activation_bytes=80_000_000,
    temporary_bytes=10_000_000,
    peak_layer="net/dense",
    measured_bytes=104_000_000,
)


def test_the_measured_peak_is_the_answer_where_it_was_measured() -> None:
    assert phrases(MEMORY)[:2] == ["memory 104 MB at the peak of a step", "estimate 100 MB"]
    assert phrases(MEMORY)[-1] == "most at net/dense"
    unmeasured = msgspec.structs.replace(MEMORY, measured_bytes=None)
    assert phrases(unmeasured)[0] == "memory about 100 MB at the peak of a step"
    assert phrases(None) == []


def test_a_measurement_that_sees_little_is_not_the_answer() -> None:
    said = phrases(msgspec.structs.replace(MEMORY, measured_bytes=12_000_000, uncounted_bytes=80_000_000))
    assert said[0] == "memory about 100 MB at the peak of a step"
    assert said[-1] == "TensorFlow counts 12.0 MB, and no tensor below 256 KiB"


def test_a_lower_bound_is_called_so() -> None:
    bound = msgspec.structs.replace(MEMORY, source="xla_lower_bound", measured_bytes=None)
    assert phrases(bound)[0] == "memory at least 100 MB under XLA"


def test_eager_has_what_was_measured_alone() -> None:
    eager = msgspec.structs.replace(MEMORY, source="none", estimate_bytes=None)
    assert phrases(eager) == ["memory 104 MB at the peak of a step"]


def test_what_is_only_estimated_of_a_batch_is_said() -> None:
    limit = MemoryLimit(limit_bytes=1000, batch_size=8, measured_bytes=900, uncounted_bytes=300)
    assert limit_phrases(limit)[1] == "300 B of it estimated: TensorFlow counts no tensor below 256 KiB"
    assert "estimated" not in " ".join(limit_phrases(msgspec.structs.replace(limit, uncounted_bytes=30)))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"over_batch_size": 9, "over_bytes": 1_100, "over": "estimated"}, "batch 9 does not: it would take 1.10 kB"),
        ({"over_batch_size": 9, "over_bytes": 1_100, "over": "measured"}, "batch 9 does not: it took 1.10 kB"),
        ({"over_batch_size": 9, "over": "killed"}, "batch 9 does not: its process was killed for memory"),
        ({"reason": "the model fixes its batch"}, "the model fixes its batch"),
    ],
)
def test_what_shows_that_no_larger_batch_fits(found: dict[str, object], said: str) -> None:
    limit = MemoryLimit(limit_bytes=1000, batch_size=8, measured_bytes=900, resident_bytes=10**9, **found)  # type: ignore[arg-type]
    assert limit_phrases(limit) == [
        "batch 8 fits into 1.00 kB: a step took 900 B",
        "its process 1.00 GB, with TensorFlow itself",
        said,
    ]


@pytest.mark.parametrize(
    ("asked", "limit", "said"),
    [("8GiB", 8 * 2**30, "8GiB (8.59 GB)"), ("1.5GB", 1_500_000_000, "1.5GB"), ("", 1_500_000_000, "1.50 GB")],
)
def test_the_limit_is_shown_as_it_was_written(asked: str, limit: int, said: str) -> None:
    found = MemoryLimit(limit_bytes=limit, asked=asked, batch_size=8, measured_bytes=900, resident_bytes=10**9)
    assert limit_phrases(found)[0] == f"batch 8 fits into {said}: a step took 900 B"


def test_what_is_over_is_said_where_both_look_alike() -> None:
    alike = {"limit_bytes": 8 * 2**30, "asked": "8GiB", "batch_size": None, "over_batch_size": 9, "over": "measured"}
    found = MemoryLimit(**alike, over_bytes=8 * 2**30 + 300_000)  # type: ignore[arg-type]
    assert limit_phrases(found)[1] == "batch 9 does not: it took 8.59 GB, 300 kB more"
    found = MemoryLimit(**alike, over_bytes=9 * 2**30)  # type: ignore[arg-type]
    assert limit_phrases(found)[1] == "batch 9 does not: it took 9.66 GB"


def test_nothing_that_fits_is_said_in_words() -> None:
    none = MemoryLimit(limit_bytes=1000, batch_size=None, over_batch_size=1, over_bytes=2000, over="measured")
    assert limit_phrases(none) == ["not even one example fits into 1.00 kB", "batch 1 does not: it took 2.00 kB"]
    fixed = MemoryLimit(limit_bytes=1000, batch_size=None, over_batch_size=32, over_bytes=2000, over="measured")
    assert limit_phrases(fixed)[0] == "no batch was found that fits into 1.00 kB"

"""What a machine can do at best: the two roofs of the roofline model (Williams, Waterman, Patterson 2009)."""

from __future__ import annotations

from tfopt.records.base import Record

__all__ = ["Machine"]


class Machine(Record, frozen=True, kw_only=True):
    """Measured once per machine, device and number of threads.

    `peak_gflops` is the best rate of a large matrix product by dtype (10⁹ floating-point operations per second),
    `bandwidth_gb_per_s` the median rate of adding one array to another in place, where no cache holds them (10⁹ bytes
    per second: two reads and a write of each number).
    """

    device: str
    cpu: str
    threads: int
    peak_gflops: dict[str, float]
    bandwidth_gb_per_s: float
    measured_at: str
    tensorflow: str

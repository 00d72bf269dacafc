"""The roofline against its closed forms, on both sides of every ridge."""

from __future__ import annotations

import msgspec
import pytest
from records_for_tests import MACHINE, row

from tfopt.profiling.roofline import OVERHEAD_BELOW, Costs, with_cost, with_rates
from tfopt.records.cost import CostSource, LayerCost
from tfopt.records.machine import Machine
from tfopt.records.profile import LayerRow


def layer(ms: float, path: str = "net/dense") -> LayerRow:
    return row(path, "Dense", (ms, 0.0, 0.0), ms, 10.0)


def cost(path: str = "net/dense", source: CostSource = "formula", **amounts: int) -> LayerCost:
    names = [f"{phase}_{what}" for phase in ("forward", "backward", "optimizer") for what in ("flops", "bytes")]
    nothing = dict.fromkeys([*names, "params", "trainable_params", "weight_bytes", "macs", "activation_bytes"], 0)
    known = {"path": path, "type": "Dense", "depth": 1, "calls": 1, "output_shape": None, "source": source}
    return LayerCost(**known, **(nothing | amounts))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("intensity", "attainable", "bound"),
    [(0.5, 5.0, "memory"), (9.9, 99.0, "memory"), (10.1, 100.0, "compute"), (1000.0, 100.0, "compute")],
)
def test_share_is_the_achieved_rate_over_the_attainable(intensity: float, attainable: float, bound: str) -> None:
    """attainable = min(peak, intensity × bandwidth), Williams et al. 2009."""
    flops = 1_000_000_000
    held = with_rates(layer(40.0), flops, flops / intensity, "float32", MACHINE)
    assert held.gflops_per_s == pytest.approx(25.0)
    assert held.intensity == pytest.approx(intensity)
    assert held.roof_share == pytest.approx(25.0 / attainable)
    assert held.bound == bound


def test_the_peak_is_that_of_the_dtype() -> None:
    """15 operations per byte are right of float32's ridge and left of bfloat16's."""
    flops, moved = 3_000_000_000, 200_000_000
    held = {dtype: with_rates(layer(100.0), flops, moved, dtype, MACHINE) for dtype in ("float32", "bfloat16")}
    assert (held["float32"].bound, held["float32"].roof_share) == ("compute", pytest.approx(0.30))
    assert (held["bfloat16"].bound, held["bfloat16"].roof_share) == ("memory", pytest.approx(0.20))


@pytest.mark.parametrize(("share", "bound"), [(OVERHEAD_BELOW * 0.99, "overhead"), (OVERHEAD_BELOW * 1.01, "compute")])
def test_far_below_its_roof_a_layer_is_overhead_bound(share: float, bound: str) -> None:
    held = with_rates(layer(10.0), share * 1e9, 1.0, "float32", MACHINE)
    assert held.roof_share == pytest.approx(share)
    assert held.bound == bound


def test_what_only_moves_bytes_is_held_against_the_bandwidth() -> None:
    held = with_rates(layer(10.0), 0, 40_000_000, "float64", MACHINE)
    assert (held.gflops_per_s, held.intensity) == (0.0, 0.0)
    assert (held.bound, held.roof_share) == ("memory", pytest.approx(0.4))


def test_what_neither_computes_nor_moves_is_overhead() -> None:
    held = with_rates(layer(10.0), 0, 0, "float32", MACHINE)
    assert (held.intensity, held.roof_share, held.bound) == (None, 0.0, "overhead")


def test_caches_may_carry_a_layer_above_its_roof() -> None:
    assert with_rates(layer(1.0), 0, 15_000_000, "float32", MACHINE).roof_share == pytest.approx(1.5)


@pytest.mark.parametrize("machine", [None, MACHINE])
def test_a_dtype_without_a_known_peak_has_a_rate_and_no_roof(machine: Machine | None) -> None:
    held = with_rates(layer(10.0), 1_000_000_000, 1, "float64", machine)
    assert held.gflops_per_s == pytest.approx(100.0)
    assert (held.roof_share, held.bound) == (None, None)


@pytest.mark.parametrize(("inferred", "known"), [(5.0, True), (5.1, False)])
def test_time_that_is_mostly_a_guess_is_held_against_no_roof(inferred: float, known: bool) -> None:
    held = with_rates(msgspec.structs.replace(layer(10.0), inferred_ms=inferred), 10**9, 1, "float32", MACHINE)
    assert held.gflops_per_s == pytest.approx(100.0)
    assert (held.roof_share is not None, held.bound is not None) == (known, known)


STEP = cost(
    forward_flops=100,
    backward_flops=200,
    optimizer_flops=10,
    forward_bytes=1000,
    backward_bytes=2000,
    optimizer_bytes=5,
)


def held(times: dict[str, float], counted: LayerCost = STEP) -> LayerRow:
    (row,) = with_cost(
        [layer(sum(times.values()))],
        {"net/dense": times},
        Costs({"net/dense": counted}, {"net/dense": "float32"}, MACHINE),
    )
    return row


@pytest.mark.parametrize(
    ("times", "flops", "moved"),
    [
        ({"forward": 1.0, "backward": 2.0, "optimizer": 1.0}, 310, 3005),
        ({"forward": 4.0}, 100, 1000),  # eager: what runs backward is not split by layer
        ({"forward": 0.0, "backward": 4.0}, 200, 2000),  # forward runs inside the convolution before
    ],
)
def test_rates_are_those_of_the_phases_that_took_time(times: dict[str, float], flops: int, moved: int) -> None:
    row = held(times)
    assert (row.flops, row.moved_bytes) == (310, 3005)
    assert row.gflops_per_s == pytest.approx(flops / 4e6)
    assert row.intensity == pytest.approx(flops / moved)


@pytest.mark.parametrize("times", [{}, {"forward": 0.0}])
def test_work_without_time_has_no_rate(times: dict[str, float]) -> None:
    row = held(times)
    assert row.flops == 310
    assert (row.gflops_per_s, row.intensity, row.roof_share, row.bound) == (None,) * 4


def test_what_is_not_counted_stays_unknown() -> None:
    row = held({"forward": 1.0}, cost(source="none"))
    assert (row.flops, row.moved_bytes, row.gflops_per_s, row.bound) == (None,) * 4
    rows = (layer(1.0, "(loss)"), layer(0.0, "(idle)"))
    assert with_cost(rows, {"(loss)": {"loss": 1.0}}, Costs({"net/dense": STEP}, {}, MACHINE)) == rows


def test_the_rate_of_a_row_can_be_computed_again_from_the_record() -> None:
    row = held({"forward": 1.0, "backward": 2.0, "optimizer": 1.0})
    assert row.flops is not None
    assert row.gflops_per_s == pytest.approx(row.flops / row.self_ms / 1e6)
    assert msgspec.json.decode(msgspec.json.encode(row), type=LayerRow) == row

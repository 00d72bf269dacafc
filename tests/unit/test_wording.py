"""Counts and lists in messages."""

from __future__ import annotations

from tfopt.wording import counted, listed


def test_one_of_a_thing_is_singular() -> None:
    assert [counted(number, "GPU") for number in (0, 1, 2)] == ["0 GPUs", "1 GPU", "2 GPUs"]


def test_large_numbers_and_odd_plurals_are_readable() -> None:
    assert counted(1500, "op") == "1,500 ops"
    assert [counted(number, "matrix", "matrices") for number in (1, 2)] == ["1 matrix", "2 matrices"]


def test_the_rest_of_a_list_is_counted() -> None:
    assert listed([]) == ""
    assert listed(["a", "b", "c"]) == "a, b, c"
    assert listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert listed(["a", "b"], most=1, between="; ") == "a and 1 more"

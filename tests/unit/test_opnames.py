"""What names of ops tell by themselves."""

from __future__ import annotations

import pytest

from tfopt.trace.opnames import forward_roots, read_name, without_calls


@pytest.mark.parametrize(
    ("name", "scope", "type_", "phase"),
    [
        ("jit(step)/conv1/conv_general_dilated", "jit(step)/conv1", "conv_general_dilated", "other"),
        ("jit(f)/jvp(Net)/dense/dot_general", "jit(f)/Net/dense", "dot_general", "forward"),
        ("jit(f)/transpose(jvp(Net/dense))/dot_general", "jit(f)/Net/dense", "dot_general", "backward"),
        ("jit(f)/transpose(jvp())/mul", "jit(f)", "mul", "backward"),
        ("jit(f)/jvp(bsd,de->bse)/dot_general", "jit(f)/bsd,de->bse", "dot_general", "forward"),
        ("model_1/dense_1/MatMul", "model_1/dense_1", "MatMul", "other"),
        ("gradient_tape/model_1/dense_1/MatMul/MatMul_1", "model_1/dense_1/MatMul", "MatMul", "backward"),
        ("adam/Cast_12", "adam", "Cast", "other"),
        ("x", "", "x", "other"),
        ("", "", "", "other"),
        ("a//b/", "a", "b", "other"),
        ("jvp(((unbalanced/x", "", "jvp(((unbalanced/x", "other"),
    ],
)
def test_a_name_taken_apart(name: str, scope: str, type_: str, phase: str) -> None:
    found = read_name(name)
    assert ("/".join(found.scope), found.type, found.phase) == (scope, type_, phase)


def test_calls_around_an_op_are_no_part_of_its_name() -> None:
    assert without_calls("StatefulPartitionedCall/PartitionedCall_2/adam/Sub") == "adam/Sub"
    assert without_calls("net/PartitionedCall/Sub") == "net/PartitionedCall/Sub"


def test_what_the_tape_went_through_has_a_forward_pass() -> None:
    names = map(read_name, ("gradient_tape/net_1/dense/MatMul", "adam/Sub", "net_1/dense/MatMul"))
    assert forward_roots(names) == {"net_1"}


def test_a_name_of_a_thousand_transforms_takes_no_time() -> None:
    assert read_name("jvp(" * 2000 + "x" + ")" * 2000 + "/mul").scope == ("x",)

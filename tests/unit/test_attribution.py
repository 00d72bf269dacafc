"""Charging ops to layers on small hand-made graphs: fused kernels, XLA fusions, unnamed ops, eager markers."""

from __future__ import annotations

import pytest

from tfopt.trace.attribution import Attribution, attribute
from tfopt.trace.graph import Graph, Member, Node
from tfopt.trace.recording import Op
from tfopt.trace.scopes import BACKWARD, LOSS, OPTIMIZER, Place, ScopeTable


@pytest.fixture
def scopes() -> ScopeTable:
    table = ScopeTable()
    for scope in ("m", "m/conv", "m/act", "m/dense"):
        table.register(scope, Place(scope, "forward"))
    table.register("tfopt_backward", Place(None, "backward"))
    table.register("tfopt_optimizer", Place(OPTIMIZER, "optimizer"))
    table.register("tfopt_optimizer/v0", Place("m/conv", "optimizer"))
    return table


def one(op: Op, scopes: ScopeTable, nodes: list[Node] = [], program: list[Node] = []) -> Attribution:  # noqa: B006
    return attribute((op,), scopes, Graph.of(nodes), {7: Graph.of(program)}, lambda index: f"m/layer{index}")[0]


def charged(attribution: Attribution) -> dict[tuple[str | None, str], float]:
    assert sum(charge.fraction for charge in attribution.charges) == pytest.approx(1)
    return {(charge.place.layer, charge.place.phase): charge.fraction for charge in attribution.charges}


CONV_CHAIN = [
    Node("m/conv/convolution", "Conv2D", "m/conv/convolution", ("x",)),
    Node("m/conv/BiasAdd", "BiasAdd", "m/conv/BiasAdd", ("m/conv/convolution", "bias")),
    Node("m/act/Relu", "Relu", "m/act/Relu", ("m/conv/BiasAdd",)),
    Node("m/conv/Relu", "Relu", "m/conv/Relu", ("m/conv/BiasAdd",)),
]


@pytest.mark.parametrize("kernel", ["_MklNativeFusedConv2D", "_FusedConv2D", "_MklFusedConv2D"])
def test_fused_kernel_is_charged_to_the_convolution_not_the_activation(scopes: ScopeTable, kernel: str) -> None:
    found = one(Op("tf", "m/act/Relu", kernel), scopes, CONV_CHAIN)
    assert charged(found) == {("m/conv", "forward"): 1}
    assert found.source == "inferred"
    assert found.members == ("m/conv", "m/act")


def test_fused_kernel_within_one_layer_is_own(scopes: ScopeTable) -> None:
    found = one(Op("tf", "m/conv/Relu", "_FusedConv2D"), scopes, CONV_CHAIN)
    assert (found.source, found.members) == ("own", ())


def test_plain_op_of_the_activation_stays_there(scopes: ScopeTable) -> None:
    found = one(Op("tf", "m/act/Relu", "_MklRelu"), scopes, CONV_CHAIN)
    assert charged(found) == {("m/act", "forward"): 1}
    assert found.source == "own"


def test_fused_kernel_inside_a_loop_body(scopes: ScopeTable) -> None:
    found = one(Op("tf", "m/loop/body/_12/m/act/Relu", "_FusedConv2D"), scopes, CONV_CHAIN)
    assert charged(found) == {("m/conv", "forward"): 1}


@pytest.mark.parametrize(
    ("uses", "layer", "source"),
    [
        (("m/act", "m/act"), "m/act", "own"),
        (("m/act", "elsewhere"), "m/act", "inferred"),
        (("m/act", "m/conv"), "m/dense", "own"),
        ((), "m/dense", "own"),
    ],
)
def test_a_sum_of_gradients_belongs_to_the_layer_that_used_the_tensor(
    scopes: ScopeTable, uses: tuple[str, ...], layer: str, source: str
) -> None:
    gradients = [Node(f"gradient_tape/{use}/{n}", "Mul", f"gradient_tape/{use}/{n}") for n, use in enumerate(uses)]
    nodes = [
        *gradients,
        Node("tfopt_backward/AddN", "AddN", "tfopt_backward/AddN", tuple(node.id for node in gradients)),
        Node("gradient_tape/m/dense/MatMul", "MatMul", "gradient_tape/m/dense/MatMul", ("tfopt_backward/AddN",)),
    ]
    found = one(Op("tf", "tfopt_backward/AddN", "AddN"), scopes, nodes)
    assert charged(found) == {(layer, "backward"): 1}
    assert found.source == source


def test_a_sum_of_gradients_that_only_the_update_reads_is_the_layers(scopes: ScopeTable) -> None:
    nodes = [
        Node("gradient_tape/m/dense/a", "MatMul", "gradient_tape/m/dense/a"),
        Node("tfopt_backward/AddN", "AddN", "tfopt_backward/AddN", ("gradient_tape/m/dense/a",)),
        Node("tfopt_optimizer/Mul", "Mul", "tfopt_optimizer/Mul", ("tfopt_backward/AddN",)),
    ]
    found = one(Op("tf", "tfopt_backward/AddN", "AddN"), scopes, nodes)
    assert charged(found) == {("m/dense", "backward"): 1}


def test_unknown_op_is_said_to_be_unattributed(scopes: ScopeTable) -> None:
    found = one(Op("tf", "elsewhere/Mul", "Mul"), scopes)
    assert charged(found) == {(None, "unattributed"): 1}
    assert found.source == "none"


def test_fusion_across_layers_is_split_by_work(scopes: ScopeTable) -> None:
    members = (Member("m/conv/add", "add", 30.0), Member("m/act/max", "maximum", 10.0), Member("", "constant", 0.0))
    found = one(Op("hlo", "fusion.1", "", 7), scopes, program=[Node("fusion.1", "fusion", "m/act/max", (), members)])
    assert charged(found) == {("m/conv", "forward"): pytest.approx(0.75), ("m/act", "forward"): pytest.approx(0.25)}
    assert (found.source, found.members) == ("inferred", ("m/conv", "m/act"))


def test_fusion_of_one_layer_is_own(scopes: ScopeTable) -> None:
    members = (Member("m/conv/add", "add", 30.0), Member("m/conv/max", "maximum", 10.0))
    found = one(Op("hlo", "fusion.1", "", 7), scopes, program=[Node("fusion.1", "fusion", "m/conv/max", (), members)])
    assert (found.source, charged(found)) == ("own", {("m/conv", "forward"): 1})


def test_unnamed_copy_that_one_layer_reads_is_its_own(scopes: ScopeTable) -> None:
    program = [
        Node("copy.1", "copy", ""),
        Node("transpose.2", "transpose", "", ("copy.1",)),
        Node("dot.3", "dot", "m/dense/MatMul", ("transpose.2",)),
        Node("dot.4", "dot", "gradient_tape/m/dense/MatMul", ("copy.1",)),
    ]
    found = one(Op("hlo", "copy.1", "", 7), scopes, program=program)
    assert (found.source, charged(found)) == ("own", {("m/dense", "backward"): 1})


@pytest.mark.parametrize(
    "other",
    [
        Node("add.4", "add", "m/act/Relu", ("copy.1",)),
        Node("tuple.4", "tuple", "", ("copy.1",)),
        Node("fusion.4", "fusion", "", ("copy.1",), (Member("m/dense/x", "add", 1.0), Member("m/act/x", "add", 1.0))),
    ],
    ids=["another layer", "a result of the program", "a fusion of two layers"],
)
def test_unnamed_copy_that_not_only_one_layer_reads_is_inferred(scopes: ScopeTable, other: Node) -> None:
    program = [Node("copy.1", "copy", ""), Node("dot.2", "dot", "m/dense/MatMul", ("copy.1",)), other]
    found = one(Op("hlo", "copy.1", "", 7), scopes, program=program)
    assert (found.source, charged(found)) == ("inferred", {("m/dense", "forward"): 1})


def test_what_nothing_reads_goes_to_what_it_reads(scopes: ScopeTable) -> None:
    program = [Node("dot.2", "dot", "m/dense/MatMul"), Node("copy.1", "copy", "", ("dot.2",))]
    found = one(Op("hlo", "copy.1", "", 7), scopes, program=program)
    assert (found.source, charged(found)) == ("inferred", {("m/dense", "forward"): 1})


def test_unnamed_heavy_op_read_only_by_an_update_is_the_gradient(scopes: ScopeTable) -> None:
    program = [
        Node("convolution.4", "convolution", ""),
        Node("fusion.9", "fusion", "tfopt_optimizer/v0/Sub", ("convolution.4",)),
    ]
    found = one(Op("hlo", "convolution.4", "", 7), scopes, program=program)
    assert charged(found) == {("m/conv", "backward"): 1}


def test_body_of_a_loop_belongs_to_its_only_caller(scopes: ScopeTable) -> None:
    program = [Node("while.1", "while", "m/dense/while"), Node("add.5", "add", "", (), (), ("while.1",))]
    found = one(Op("hlo", "add.5", "", 7), scopes, program=program)
    assert (found.source, charged(found)) == ("own", {("m/dense", "forward"): 1})


def test_computation_of_several_callers_is_charged_to_each(scopes: ScopeTable) -> None:
    callers = [Node(f"call.{n}", "call", f"m/{layer}/call") for n, layer in enumerate(("dense", "conv", "conv"))]
    body = Node("add.5", "add", "", (), (), tuple(caller.id for caller in callers))
    found = one(Op("hlo", "add.5", "", 7), scopes, program=[*callers, body])
    assert charged(found) == {("m/dense", "forward"): pytest.approx(1 / 3), ("m/conv", "forward"): pytest.approx(2 / 3)}
    assert (found.source, found.members) == ("inferred", ("m/dense", "m/conv"))


@pytest.mark.parametrize("order", [1, -1])
def test_callers_are_certain_only_if_all_are(scopes: ScopeTable, order: int) -> None:
    """Both calls are in one layer, but one of them only by a guess."""
    sure, read = Node("call.1", "call", "m/dense/a"), Node("dot.2", "dot", "m/dense/b")
    guess = Node("call.3", "call", "", ("dot.2",))
    body = Node("add.5", "add", "", (), (), ("call.1", "call.3")[::order])
    found = one(Op("hlo", "add.5", "", 7), scopes, program=[sure, read, guess, body])
    assert (found.source, charged(found)) == ("inferred", {("m/dense", "forward"): 1})


def test_a_sum_that_reads_a_fusion_of_two_layers_is_no_layer_s_own(scopes: ScopeTable) -> None:
    members = (Member("gradient_tape/m/conv/a", "add", 3.0), Member("gradient_tape/m/act/b", "add", 2.0))
    nodes = [
        Node("fusion", "fusion", "", (), members),
        Node("tfopt_backward/AddN", "AddN", "tfopt_backward/AddN", ("fusion",)),
    ]
    assert one(Op("tf", "tfopt_backward/AddN", "AddN"), scopes, nodes).source == "inferred"


def test_what_the_executor_passes_over_belongs_to_its_layer_or_to_nobody(scopes: ScopeTable) -> None:
    """Ends of loops have no kernel, and so no type; the end of the whole step belongs to no layer and stays idle."""
    found = one(Op("tf", "m/dense/while/exit/_72", ""), scopes)
    assert (found.type, charged(found)) == ("Executor", {("m/dense", "forward"): 1})
    assert one(Op("tf", "NoOp", ""), scopes).charges == ()


@pytest.mark.parametrize(
    ("markers", "place"),
    [
        (("tfopt:layer:0", "tfopt:layer:3"), ("m/layer3", "forward")),
        (("tfopt:layer:0",), ("m/layer0", "forward")),
        (("tfopt:phase:backward",), (BACKWARD, "backward")),
        (("tfopt:phase:loss",), (LOSS, "loss")),
        (("tfopt:phase:optimizer",), (OPTIMIZER, "optimizer")),
        ((), (None, "unattributed")),
    ],
)
def test_eager_ops_belong_to_the_open_markers(
    scopes: ScopeTable, markers: tuple[str, ...], place: tuple[str | None, str]
) -> None:
    assert charged(one(Op("eager", "MatMul", "MatMul", None, markers), scopes)) == {place: 1}

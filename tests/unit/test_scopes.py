"""Names as TensorFlow and XLA really write them, and the place each must have."""

from __future__ import annotations

import pytest

from tfopt.trace.scopes import LOSS, OPTIMIZER, Place, ScopeTable


@pytest.fixture
def table() -> ScopeTable:
    scopes = ScopeTable()
    for scope, layer in {
        "net_1": "net",
        "net_1/dense_1": "net/dense",
        "net_1/dense_1_2": "net/dense_1",
        "net_1/lstm_1": "net/lstm",
        "net_1/lstm_1/while/cell_1": "net/lstm/cell",
        "net_1/block_1": "net/block",
        "net_1/block_1/dense_1": "net/block/dense",
    }.items():
        scopes.register(scope, Place(layer, "forward"))
    scopes.register("tfopt_loss/", Place(LOSS, "loss"))
    scopes.register("tfopt_backward/", Place(None, "backward"))
    scopes.register("tfopt_optimizer/", Place(OPTIMIZER, "optimizer"))
    scopes.register("tfopt_optimizer/adam/tfopt_variable_0/", Place("net/dense", "optimizer"))
    return scopes


PLACES = {
    "net_1/dense_1/MatMul": ("net/dense", "forward"),
    "net_1/dense_1_2/MatMul": ("net/dense_1", "forward"),
    "net_1/block_1/dense_1/MatMul": ("net/block/dense", "forward"),
    "net_1/add": ("net", "forward"),
    "gradient_tape/net_1/dense_1/MatMul/MatMul_1": ("net/dense", "backward"),
    "net_1/lstm_1/while/body/_1/net_1/lstm_1/while/cell_1/MatMul": ("net/lstm/cell", "forward"),
    "gradient_tape/net_1/lstm_1/while/net_1/lstm_1/while_grad/body/_515/gradient_tape/net_1/lstm_1/while/"
    "gradients/net_1/lstm_1/while/cell_1/MatMul_grad/MatMul": ("net/lstm/cell", "backward"),
    "ArithmeticOptimizer/HoistCommonFactor_/net_1/dense_1/BiasAdd": ("net/dense", "forward"),
    "tfopt_loss/compile_loss/mse/Sub": (LOSS, "loss"),
    "gradient_tape/tfopt_loss/compile_loss/mse/Mul": (LOSS, "backward"),
    "tfopt_backward/AddN": (None, "backward"),
    "tfopt_optimizer/adam/tfopt_variable_0/Sqrt": ("net/dense", "optimizer"),
    "tfopt_optimizer/adam/Pow": (OPTIMIZER, "optimizer"),
    "tfopt_optimizer/cond/then/_3/tfopt_optimizer/adam/tfopt_variable_0/net_1/dense_1/Read": ("net/dense", "optimizer"),
    "gradient_tape/elsewhere/Mul": (None, "backward"),
}


@pytest.mark.parametrize("name", PLACES)
def test_place(table: ScopeTable, name: str) -> None:
    layer, phase = PLACES[name]
    assert table.place(name) == Place(layer, phase)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["AddN", "net_10/dense_1/MatMul", "my/net_12", "", "dense_1/MatMul"])
def test_unknown_names_have_no_place(table: ScopeTable, name: str) -> None:
    assert table.place(name) is None


def test_first_registration_counts(table: ScopeTable) -> None:
    table.register("net_1/dense_1", Place("other", "forward"))
    assert table.place("net_1/dense_1/MatMul") == Place("net/dense", "forward")

"""The page of an influence record: what its sentences claim is what its rows say."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
from influences_for_tests import INFLUENCES, edge, full, hostile, plain, rule, spread, uncertain
from records_for_tests import HOSTILE

from tfopt.records.influence import Certificate, EdgeShare, InfluenceRecord, StrongPath, StrongPaths, UnitShares
from tfopt.report import render
from tfopt.report.branches import merges
from tfopt.report.escape import from_csv_cell
from tfopt.report.influence_data import contributions, health_phrase
from tfopt.report.influence_page import consistency, headline, page
from tfopt.report.influence_tables import coverage, paths
from tfopt.report.view import View

SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"


def labels(*edges: EdgeShare) -> dict[str, list[str]]:
    """How the branches of each merge are called."""
    return {merge.path: [branch.label() for branch in merge.branches] for merge in merges(edges)}


def test_a_skip_is_told_from_the_layers_beside_it() -> None:
    found = labels(
        edge("(input)", "a", 1), edge("a", "b", 0.7), edge("b", "c", 0.7), edge("c", "+", 0.7), edge("a", "+", 0.3)
    )
    assert found == {"+": ["b … c", "skip from a"]}


def test_a_branch_of_one_layer_has_its_name_and_branches_may_hold_merges() -> None:
    inner = (edge("b", "+", 0.2), edge("c", "+", 0.3))
    found = labels(
        *(edge("(input)", "a", 1), edge("a", "b", 0.5), edge("b", "c", 0.3), *inner),
        *(edge("a", "p", 0.5), edge("+", "++", 0.5), edge("p", "++", 0.5)),
    )
    assert found == {"+": ["skip from b", "c"], "++": ["b … +", "p"]}


def test_two_inputs_are_two_branches() -> None:
    assert labels(edge("(input)", "a", 0.5), edge("(input)", "b", 0.5), edge("a", "+", 0.5), edge("b", "+", 0.5)) == {
        "+": ["a", "b"]
    }


def test_a_skip_from_the_input_and_a_mixture_are_said() -> None:
    found = labels(edge("(input)", "a", 0.5), edge("a|b", "+", 0.5), edge("(input)", "+", 0.5))
    assert found == {"+": ["a or b", "skip from (input)"]}


def test_a_layer_that_takes_one_tensor_twice_is_no_merge() -> None:
    assert labels(edge("(input)", "a", 1), edge("a", "attention", 0.5), edge("a", "attention", 0.5)) == {}


def test_calls_of_a_shared_layer_are_apart() -> None:
    edges = (edge("(input)", "a", 1), edge("a", "a", 1, call=2), edge("a", "+", 0.5), edge("(input)", "+", 0.5))
    assert labels(*edges) == {"+": ["a", "skip from (input)"]}


def test_a_factor_that_carries_nothing_by_rule_is_no_branch_and_a_dead_one_is() -> None:
    edges = (edge("(input)", "a", 1), edge("a", "gate", 0), edge("a", "x", 1), edge("gate", "*", 0), edge("x", "*", 1))
    assert merges(edges, [rule("*", "Multiply", "approximated", "gate frozen")]) == []
    (dead,) = merges(edges, [rule("*", "Add")])
    assert dead.evenness == pytest.approx(0.5)
    assert dead.strongest.label() == "x"


def test_merges_are_ranked_by_evenness_and_their_shares_add_up() -> None:
    assert full().paths is not None
    found = merges(full().paths.edges)  # type: ignore[union-attr]
    assert [merge.path for merge in found] == [f"net/block_{at}_add" for at in (5, 4, 3, 2, 1)]
    assert all(sum(branch.share for branch in merge.branches) == pytest.approx(1) for merge in found)


def only(units: tuple[UnitShares, ...], edges: tuple[EdgeShare, ...] = ()) -> InfluenceRecord:
    """The plain record with other units and edges."""
    assert plain().paths is not None
    return msgspec.structs.replace(plain(), paths=msgspec.structs.replace(plain().paths, units=units, edges=edges))


def test_the_headline_is_what_stands_out() -> None:
    few, even = spread("net/stem", 100, 20), spread("net/stem", 100, 70)
    merge = (edge("net/stem", "net/+", 0.97), edge("(input)", "net/+", 0.03))
    tied = (edge("net/stem", "net/+", 0.5), edge("(input)", "net/+", 0.5))
    assert headline(only((few,), merge))[0][0] == "20 of 100 filters of stem carry 80 % of all paths"
    assert headline(only((even,), merge))[0][0] == "stem carries 97.0 % of what meets in +"
    assert headline(only((even,), tied))[0][0] == "evenly spread: 80 % takes at least 70 of 100 filters of stem"
    assert headline(only(()))[0][0] == "one way through, without units to tell apart"


def test_a_layer_that_hardly_carries_makes_no_headline() -> None:
    aside = spread("net/aside", 100, 2, share=0.001)
    assert "aside" not in headline(only((aside, spread("net/stem", 100, 70))))[0][0]


def test_one_unit_alone_is_not_concentrated() -> None:
    assert "out" not in headline(only((spread("net/out", 1, 1), spread("net/stem", 100, 70))))[0][0]


def test_layers_that_pass_on_what_they_get_are_one_row() -> None:
    row = spread("net/a", 100, 20)
    shown = render(only((row, msgspec.structs.replace(row, path="net/b"))), View(width=80))
    assert "a (and 1 alike)" in shown


@pytest.mark.parametrize("width", [80, None])
def test_an_uncertain_result_says_so_first_and_where(width: int | None) -> None:
    text = render(uncertain(), View(width=width))
    assert text.splitlines()[2].strip() == "not certified: the shares below cannot be relied on"
    assert "net/odd" in " ".join(text.split("mobilenetv2")[0].split())


def test_no_percentages_where_terms_cancel() -> None:
    text = render(uncertain(), View(width=80))
    assert "no percentages: terms 340 times as large" in " ".join(text.split())
    assert "Contributions" not in text
    assert "on data" not in text.split("Branches")[1]


def test_what_is_not_certified_says_what_to_do() -> None:
    def told(name: str, layer: str | None) -> str:
        bad = Certificate(name=name, value=0.5, limit=1e-8, met=False, layer=layer)  # type: ignore[arg-type]
        return consistency((bad,), ())

    assert "Give this layer a rule" in told("monotonicity", "net/odd")
    assert "into a layer that has a rule" in told("euler", None)
    assert "into a layer that has a rule" in told("conservation", "(between layers)")
    assert told("finite", None) == (
        "Not certified: finite fails in the model: the total is no positive number. Weights that are zero or no numbers"
        " let no path through: --health looks for them."
    )


def test_paths_that_differ_look_different() -> None:
    def path(*steps: str) -> StrongPath:
        return StrongPath(steps=tuple((step, None) for step in steps), flow=0.1)

    blocks = [f"{part}_{at}" for at in (1, 2) for part in ("conv", "norm", "relu")]
    ends = ("(input)", "stem"), ("add_2", "pool", "head")
    found = (
        path(*ends[0], *blocks, *ends[1]),
        path(*ends[0], *blocks[:3], *ends[1]),
        path(*ends[0], *blocks[3:], *ends[1]),
    )
    (table,) = paths(StrongPaths(level="layer", paths=found), (), 20)
    assert len({row[0] for row in table.rows}) == len(found)


def test_gains_stand_beside_what_an_initializer_gives() -> None:
    report = full().health
    assert report is not None
    assert health_phrase(report) == (
        "the signal shrinks to 0.41 × per weight layer (He or Glorot initialization: 1.00 ×);"
        " the gradient grows 1.30 × per weight layer; 2 findings"
    )


def test_a_branch_has_its_share_on_data_beside_it() -> None:
    few = msgspec.structs.replace(only((), full().paths.edges), relevance=full().relevance)  # type: ignore[union-attr]
    assert headline(few)[0][0] == (
        "block_5_conv … block_5_project carries 85.0 % of what meets in block_5_add (of the result on data: −20.0 %)"
    )


def test_contributions_add_up_to_the_result() -> None:
    report = full().relevance
    assert report is not None
    for most in (0, 2):
        (table,) = contributions(report, most)
        assert sum(float(row[1] or 0) for row in (*table.rows, *table.rest)) == pytest.approx(1)


def test_the_default_screen_is_short() -> None:
    assert plain().paths is not None
    record = msgspec.structs.replace(plain(), paths=msgspec.structs.replace(plain().paths, groups=()))
    text = render(record, View(width=80))
    assert len(text.splitlines()) <= 45
    assert max(map(len, text.splitlines())) <= 80


def test_coverage_counts_every_layer_once() -> None:
    rules = [rule("a", "Dense"), rule("b", "ReLU", "linearised", "silu"), rule("c", "Odd", "as is")]
    assert coverage(rules) == ("1 layer exact", "1 linearised (silu)", "1 as is: c")


@pytest.mark.parametrize("name", INFLUENCES)
def test_json_is_the_whole_record_by_the_published_schema(name: str) -> None:
    record = INFLUENCES[name]()
    text = render(record, View(top=1), "json")
    assert msgspec.json.decode(text, type=InfluenceRecord) == record
    jsonschema.validate(json.loads(text), json.loads((SCHEMAS / "influence.schema.json").read_text()))


def test_csv_has_every_number_whatever_the_view() -> None:
    record = full()
    assert record.paths is not None
    assert record.relevance is not None
    rows = list(csv.DictReader(io.StringIO(render(record, View(top=1), "csv"))))
    edges = [row for row in rows if row["kind"] == "edge"]
    assert [float(row["share"]) for row in edges] == [one.share for one in record.paths.edges]
    units = [row for row in rows if row["kind"] == "units"]
    assert [float(row["value"]) for row in units] == [one.effective for one in record.paths.units]
    biases = [float(row["share"]) for row in rows if row["kind"] == "bias on data"]
    assert biases == [one.bias for one in record.relevance.layers]


def test_names_come_back_from_csv_and_never_act() -> None:
    text = render(hostile(), View(), "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [from_csv_cell(row["path"]) for row in rows if row["kind"] == "rule"] == list(HOSTILE.values())
    for format in ("table", "md"):
        assert "\x1b" not in render(hostile(), View(width=80), format)


def test_hints_repeat_the_command_without_where_its_answer_went() -> None:
    run = msgspec.structs.replace(plain().run, command="tfopt influence m.keras --input-size 96 -o a.json --force -q")
    text = render(msgspec.structs.replace(plain(), run=run), View())
    assert "tfopt influence m.keras --input-size 96 --data FILE.npz\n" in text
    run = msgspec.structs.replace(run, command="tfopt.influence")
    assert "tfopt influence" not in render(msgspec.structs.replace(plain(), run=run), View())


@pytest.mark.parametrize(
    ("words", "top", "offered"),
    [
        ("", None, {"on your data": "--data FILE.npz", "does it matter?": "--ablate 10", "every row": "--top 0"}),
        ("--top 0", 0, {"on your data": "--data FILE.npz", "does it matter?": "--ablate 10"}),
        ("--data x.npz", None, {"does it matter?": "--data x.npz --ablate 10", "every row": "--data x.npz --top 0"}),
    ],
)
def test_what_is_offered_is_not_there_already(words: str, top: int | None, offered: dict[str, str]) -> None:
    record = plain()
    run = msgspec.structs.replace(record.run, command=f"tfopt influence m.keras {words}")
    footer = dict(page(msgspec.structs.replace(record, run=run), View(top=top)).footer)
    assert footer.keys() == offered.keys()
    assert all(footer[title].endswith(end) for title, end in offered.items())

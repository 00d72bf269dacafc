"""A check as JUnit XML, which CI servers show as tests: a suite for each model, a test case for each gate.

Written so that both the schema of Jenkins' xUnit plugin (junit-10.xsd) and the stricter one of Ant's JUnit task hold.
FAIL is a failure, ERROR (and a model that crashed, hung or cannot be read) an error; INCONCLUSIVE and NEW are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from tfopt.records.base import Record
from tfopt.records.check import CheckRecord, Gate, ModelCheck
from tfopt.report.escape import visible
from tfopt.report.gates import Told, ended, told_of
from tfopt.report.view import View

__all__ = ["render"]

_PASSED = ("PASS", "IMPROVED")
_ELEMENTS = {"FAIL": "failure", "ERROR": "error", "INCONCLUSIVE": "skipped", "NEW": "skipped"}


def render(record: Record, view: View) -> str:
    """`record`, a check, as an XML document."""
    assert isinstance(record, CheckRecord)
    root = Element("testsuites")
    for number, model in enumerate(record.models):
        root.append(_suite(record, model, number))
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, "unicode")}\n'


def _suite(record: CheckRecord, model: ModelCheck, number: int) -> Element:
    cases = [*(_case(model, gate) for gate in model.gates), *_ended(model)]
    wrong = [child.tag for case in cases for child in case]
    suite = Element(
        "testsuite",
        {
            "package": "tfopt.check",
            "id": str(number),
            "name": visible(model.label) or "model",
            "timestamp": _local(record.run.started_at),
            "hostname": "localhost",  # where it ran is nobody's business
            "tests": str(len(cases)),
            "failures": str(wrong.count("failure")),
            "errors": str(wrong.count("error")),
            "skipped": str(wrong.count("skipped")),
            "time": f"{record.run.seconds:.3f}" if len(record.models) == 1 else "0.000",
        },
    )
    properties = SubElement(suite, "properties")
    for name, value in _properties(record, model):
        SubElement(properties, "property", {"name": name, "value": visible(value)})
    suite.extend(cases)
    SubElement(suite, "system-out")
    SubElement(suite, "system-err")
    return suite


def _properties(record: CheckRecord, model: ModelCheck) -> Iterator[tuple[str, str]]:
    environment = record.run.environment
    yield "model", model.model
    if model.baseline is not None:
        yield "baseline", model.baseline
    yield from (("tensorflow", environment.tensorflow), ("keras", environment.keras), ("cpu", environment.cpu))
    yield from (("tfopt", record.run.tfopt), ("command", record.run.command))


def _case(model: ModelCheck, gate: Gate) -> Element:
    case = _named(model, gate.kind, gate.name)
    if gate.verdict not in _PASSED:
        _tell(case, _ELEMENTS[gate.verdict], told_of(model, gate))
    return case


def _ended(model: ModelCheck) -> Iterator[Element]:
    if model.ending:
        case = _named(model, "model", "runs")
        _tell(case, "error", ended(model))
        yield case


def _named(model: ModelCheck, kind: str, name: str) -> Element:
    return Element("testcase", {"classname": f"{visible(model.label)}.{kind}", "name": visible(name), "time": "0.000"})


def _tell(case: Element, tag: str, told: Told) -> None:
    if tag == "skipped":
        SubElement(case, tag, {"message": f"{told.verdict}: {visible(told.message)}"})
        return
    element = SubElement(case, tag, {"type": told.verdict, "message": visible(told.message)})
    lines = [f"{told.verdict}: {told.message}", *(f"- {layer}" for layer in told.layers)]
    shown = [*lines, *([f"> {told.hint}"] if told.hint else [])]
    element.text = "\n" + "\n".join(f"  {visible(line)}" for line in shown) + "\n"


def _local(started_at: str) -> str:
    """The time of the start as the schema wants it: UTC, without saying so."""
    return datetime.fromisoformat(started_at).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")

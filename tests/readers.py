"""Readers of the files that tfopt writes for other tools, by these tools' published rules and strict about them.

No such tool has a reader for Python: speedscope's is part of its web page, Perfetto's a program that is downloaded.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

Stack = tuple[tuple[str, str], ...]


def _strict(text: str) -> Any:
    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} is not JSON")

    text.encode("utf-8")
    return json.loads(text, parse_constant=refuse)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def read_speedscope(text: str) -> dict[str, list[tuple[Stack, float]]]:
    """The weighted stacks of (name, file) of each profile, by speedscope's `src/lib/file-format-spec.ts`."""
    file = _strict(text)
    assert file["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    assert isinstance(file["version"], str)
    assert isinstance(file["name"], str)
    assert set(file) <= {"$schema", "version", "shared", "profiles", "name", "activeProfileIndex"}
    assert file["activeProfileIndex"] in range(len(file["profiles"]))
    frames = file["shared"]["frames"]
    for frame in frames:
        assert set(frame) <= {"name", "file", "line", "col"}
        assert isinstance(frame["name"], str)
        assert isinstance(frame.get("file", ""), str)
    assert len({(frame["name"], frame["file"]) for frame in frames}) == len(frames)
    profiles = {profile["name"]: _samples(profile, frames) for profile in file["profiles"]}
    assert len(profiles) == len(file["profiles"])
    return profiles


def _samples(profile: dict[str, Any], frames: list[dict[str, str]]) -> list[tuple[Stack, float]]:
    assert set(profile) == {"type", "name", "unit", "startValue", "endValue", "samples", "weights"}
    assert profile["type"] == "sampled"
    assert profile["unit"] in ("none", "nanoseconds", "microseconds", "milliseconds", "seconds", "bytes")
    assert len(profile["samples"]) == len(profile["weights"]) > 0
    assert all(_is_number(weight) and weight >= 0 for weight in profile["weights"])
    assert profile["startValue"] <= profile["endValue"]
    assert math.isclose(profile["endValue"] - profile["startValue"], math.fsum(profile["weights"]), rel_tol=1e-12)
    assert all(isinstance(at, int) and 0 <= at < len(frames) for sample in profile["samples"] for at in sample)
    stacks = [tuple((frames[at]["name"], frames[at]["file"]) for at in sample) for sample in profile["samples"]]
    return list(zip(stacks, profile["weights"], strict=True))


_SUITE = {"package", "id", "name", "timestamp", "hostname", "tests", "failures", "errors", "skipped", "time"}
_DECIMAL = re.compile(r"\d+\.\d+")


def read_junit(text: str) -> dict[str, list[tuple[str, str, str, str]]]:
    """By a suite's name its cases: class, name, what came of it ('' if it passed) and the message.

    By what Jenkins' xUnit plugin (junit-10.xsd) and Ant's JUnit task (JUnit.xsd) both take, and Ant is stricter: all
    attributes of a suite, properties before cases before output, names without blanks around or doubled, one outcome.
    """
    root = ElementTree.fromstring(text.encode("utf-8"))
    assert (root.tag, root.attrib) == ("testsuites", {})
    suites = [_suite(suite, number) for number, suite in enumerate(root)]
    return dict(suites)


def _suite(suite: ElementTree.Element, number: int) -> tuple[str, list[tuple[str, str, str, str]]]:
    assert suite.tag == "testsuite"
    assert set(suite.attrib) == _SUITE
    assert suite.attrib["id"] == str(number)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.attrib["timestamp"])
    assert _DECIMAL.fullmatch(suite.attrib["time"])
    properties, *cases, out, err = suite
    assert [properties.tag, out.tag, err.tag] == ["properties", "system-out", "system-err"]
    assert all((item.tag, set(item.attrib)) == ("property", {"name", "value"}) for item in properties)
    found = [_junit_case(case) for case in cases]
    for kind, tag in (("tests", None), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert suite.attrib[kind] == str(sum(tag in (None, outcome) for _, _, outcome, _ in found))
    return _token(suite.attrib["name"]), found


def _junit_case(case: ElementTree.Element) -> tuple[str, str, str, str]:
    assert (case.tag, set(case.attrib)) == ("testcase", {"classname", "name", "time"})
    assert _DECIMAL.fullmatch(case.attrib["time"])
    named = _token(case.attrib["classname"]), _token(case.attrib["name"])
    if not len(case):
        return *named, "", ""
    (outcome,) = case
    assert outcome.tag in ("failure", "error", "skipped")
    assert set(outcome.attrib) == {"message"} | ({"type"} if outcome.tag != "skipped" else set())
    assert not len(outcome)
    return *named, outcome.tag, outcome.attrib["message"]


def _token(text: str) -> str:
    assert text
    assert text == " ".join(text.split(" "))
    assert not re.search(r"[\t\r\n]|  |^ | $", text)
    return text


def read_workflow_commands(text: str) -> list[tuple[str, dict[str, str], str]]:
    """(command, properties, message) of each line that GitHub's runner takes for a command, by its `ActionCommand`:
    a line whose first characters but for blanks are `::`."""
    return [_command(line) for line in re.split(r"\r\n|\r|\n", text) if line.lstrip().startswith("::")]


def _command(line: str) -> tuple[str, dict[str, str], str]:
    head, _, data = line.lstrip()[2:].partition("::")
    command, _, properties = head.partition(" ")
    pairs = (pair.partition("=") for pair in properties.split(",") if pair)
    return command, {key: _unescaped(value, _PROPERTY) for key, _, value in pairs}, _unescaped(data, _DATA)


_DATA = {"%0D": "\r", "%0A": "\n", "%25": "%"}
_PROPERTY = {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}


def _unescaped(text: str, table: dict[str, str]) -> str:
    return re.sub("|".join(table), lambda found: table[found[0]], text)


@dataclass(frozen=True)
class Slice:
    """One complete event: whole nanoseconds, and how many events of its track are around it."""

    name: str
    category: str
    start: int
    end: int
    depth: int
    args: dict[str, str]


def read_chrome(text: str) -> list[tuple[str, list[Slice]]]:
    """Each track's name and slices, by the Trace Event Format (complete and metadata events of one process).

    As Perfetto demands, the slices of a track must nest; ones that overlap otherwise would be dropped.
    """
    file = _strict(text)
    assert set(file) <= {"traceEvents", "displayTimeUnit", "otherData"}
    assert file["displayTimeUnit"] in ("ms", "ns")
    names: dict[int, str] = {}
    events: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for event in file["traceEvents"]:
        assert isinstance(event["name"], str)
        assert type(event["pid"]) is type(event["tid"]) is int
        if event["ph"] == "M":
            assert set(event) == {"ph", "pid", "tid", "name", "args"}
            assert event["name"] in ("process_name", "thread_name")
            if event["name"] == "thread_name":
                assert event["tid"] not in names
                names[event["tid"]] = event["args"]["name"]
        else:
            assert event["ph"] == "X"
            assert _is_number(event["ts"])
            assert _is_number(event["dur"])
            assert event["dur"] >= 0
            assert isinstance(event["cat"], str)
            assert all(isinstance(value, str) for value in event.get("args", {}).values())
            events[event["tid"]].append(event)
    assert set(events) == set(names)
    return [(names[track], _nested(events[track])) for track in sorted(names)]


def _nested(events: list[dict[str, Any]]) -> list[Slice]:
    spans = [(round(event["ts"] * 1000), round(event["dur"] * 1000), event) for event in events]
    slices: list[Slice] = []
    around: list[int] = []
    for start, length, event in sorted(spans, key=lambda span: (span[0], -span[1])):
        while around and around[-1] <= start:
            around.pop()
        assert not around or start + length <= around[-1], f"{event} overlaps the end of another"
        slices.append(Slice(event["name"], event["cat"], start, start + length, len(around), event.get("args", {})))
        around.append(start + length)
    return slices

"""What people see, letter by letter. TFOPT_UPDATE_GOLDEN=1 writes the files anew: look at the difference."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
from checks_for_tests import CHECKS
from comparisons_for_tests import COMPARISONS
from gradients_for_tests import GRADCHECKS, GRADIENTS
from influences_for_tests import INFLUENCES, PROFILES
from inspections_for_tests import INSPECTIONS
from prunings_for_tests import PRUNINGS
from records_for_tests import DIFFERENCES, FOLDER, RECORDS, diagnosis
from traces_for_tests import gpu, hostile, record_of

from tfopt.report import render
from tfopt.report.against import diff
from tfopt.report.view import TRACE_BY, View

GOLDEN = Path(__file__).parents[1] / "golden"

SCREENS: dict[str, tuple[str, View]] = {
    **{f"layer-{width}.txt": ("table", View(width=width)) for width in (80, 120)},
    "layer-pipe.txt": ("table", View()),
    "layer-depth1-80.txt": ("table", View(width=80, depth=1)),
    "op-80.txt": ("table", View(by="op", width=80, top=8)),
    "op-160.txt": ("table", View(by="op", width=160, top=8)),
    "type-80.txt": ("table", View(by="type", width=80)),
    "phase-80.txt": ("table", View(by="phase", width=80, top=2)),
    "layer.md": ("md", View()),
}
DATA: dict[str, tuple[str, View]] = {
    "type.md": ("md", View(by="type")),
    "phase.md": ("md", View(by="phase", top=2)),
    "layer.csv": ("csv", View()),
    "op.csv": ("csv", View(by="op")),
    "type.csv": ("csv", View(by="type")),
    "phase.csv": ("csv", View(by="phase")),
    "record.json": ("json", View()),
}

COMPARED: dict[str, tuple[str, View]] = {
    "layer-80.txt": ("table", View(width=80)),
    "layer-120.txt": ("table", View(width=120)),
    "phase-80.txt": ("table", View(by="phase", width=80, top=2)),
    "op.md": ("md", View(by="op", top=4)),
    "type.csv": ("csv", View(by="type", top=1)),
}
INSPECTED: dict[str, tuple[str, View]] = {
    **{f"layer-{width}.txt": ("table", View(width=width)) for width in (80, 120)},
    "layer-depth1-80.txt": ("table", View(width=80, depth=1)),
    "type-80.txt": ("table", View(by="type", width=80)),
    "phase-80.txt": ("table", View(by="phase", width=80)),
    "layer.md": ("md", View(top=4)),
    "layer.csv": ("csv", View()),
    "type.csv": ("csv", View(by="type")),
    "record.json": ("json", View()),
}
LISTED: dict[str, tuple[str, View]] = {
    **{f"{width}.txt": ("table", View(width=width)) for width in (80, 120)},
    "rows.md": ("md", View(top=3)),
    "rows.csv": ("csv", View()),
    "record.json": ("json", View()),
}
RANKED: dict[str, tuple[str, View]] = {
    **{f"{width}.txt": ("table", View(width=width)) for width in (80, 120)},
    "pipe.txt": ("table", View(top=2)),
    "arms.md": ("md", View()),
    "arms.csv": ("csv", View()),
    "record.json": ("json", View()),
}
CARRIED: dict[str, tuple[str, View]] = {
    **{f"{width}.txt": ("table", View(width=width)) for width in (80, 120)},
    "all.txt": ("table", View(width=80, top=0)),
    "page.md": ("md", View()),
    "rows.csv": ("csv", View()),
    "record.json": ("json", View()),
}
CHECKED: dict[str, tuple[str, View]] = {
    **{f"{width}.txt": ("table", View(width=width)) for width in (80, 120)},
    "page.md": ("md", View()),
    "gates.csv": ("csv", View()),
    "record.json": ("json", View()),
    "junit.xml": ("junit", View()),
    "github.txt": ("github", View()),
}
SUMMARIZED: dict[str, tuple[str, View]] = {
    **{f"{width}.txt": ("table", View(width=width, top=2)) for width in (80, 120)},
    "layer.md": ("md", View(top=2)),
}
MADE = {
    **RECORDS,
    **PROFILES,
    **DIFFERENCES,
    **INSPECTIONS,
    **COMPARISONS,
    **CHECKS,
    **GRADIENTS,
    **GRADCHECKS,
    **INFLUENCES,
    **PRUNINGS,
    "trace-difference": lambda: diff(record_of(hostile, "new"), record_of(gpu, "old")),
}

CASES = {
    f"{name}-{case}": (name, *wish)
    for name in RECORDS
    for case, wish in (SCREENS if name == "flat" else SCREENS | DATA).items()
} | {f"{name}-{case}": (name, *wish) for name in (*DIFFERENCES, "trace-difference") for case, wish in COMPARED.items()}
CASES |= {f"{name}-{case}": (name, *wish) for name in INSPECTIONS for case, wish in INSPECTED.items()}
CASES |= {f"{name}-{case}": (name, *wish) for name in COMPARISONS for case, wish in RANKED.items()}
CASES |= {
    f"{name}-{case}": (name, *wish) for name in (*GRADIENTS, *GRADCHECKS, *PRUNINGS) for case, wish in LISTED.items()
}
CASES |= {f"{name}-{case}": (name, *wish) for name in INFLUENCES for case, wish in CARRIED.items()}
CASES |= {f"{name}-{case}": (name, *wish) for name in CHECKS for case, wish in CHECKED.items()}
CASES |= {f"{name}-{case}": (name, *wish) for name in PROFILES for case, wish in SUMMARIZED.items()}


TRACES: dict[str, tuple[str, View]] = {
    **{f"trace-layer-{width}.txt": ("table", View(width=width)) for width in (80, 120)},
    "trace-layer-pipe.txt": ("table", View()),
    **{f"trace-{by}-80.txt": ("table", View(by=by, width=80)) for by in TRACE_BY[1:]},
    "trace-layer.md": ("md", View()),
    **{f"trace-{by}.csv": ("csv", View(by=by)) for by in TRACE_BY},
    "trace-record.json": ("json", View()),
}


DIAGNOSES: dict[str, tuple[str, View]] = {
    **{f"diagnosis-{width}.txt": ("table", View(width=width)) for width in (80, 120)},
    "in-order-80.txt": ("table", View(width=80)),
    "diagnosis.md": ("md", View()),
    "diagnosis.csv": ("csv", View()),
    "diagnosis.json": ("json", View()),
}


@pytest.mark.parametrize("case", [*CASES, *TRACES, *DIAGNOSES])
def test_golden(case: str) -> None:
    if case in TRACES:
        text = render(record_of(gpu), TRACES[case][1], TRACES[case][0])
    elif case in DIAGNOSES:
        text = render(diagnosis(sound=case.startswith("in-order")), DIAGNOSES[case][1], DIAGNOSES[case][0])
    else:
        name, format, view = CASES[case]
        text = render(MADE[name](), dataclasses.replace(view, run_dir=FOLDER), format)
    file = GOLDEN / case
    if os.environ.get("TFOPT_UPDATE_GOLDEN") == "1":
        file.write_text(text, encoding="utf-8", newline="")
    assert text == file.read_bytes().decode("utf-8")


def test_no_golden_file_is_left_over() -> None:
    assert {file.name for file in GOLDEN.iterdir()} == {*CASES, *TRACES, *DIAGNOSES}

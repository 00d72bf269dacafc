"""Records for tests: a flat network, a nested one under XLA, one whose names mean harm; differences, and a diagnosis.

Times are made up from a few numbers and then closed the way a real profile is.
"""

from __future__ import annotations

from .closing import FOLDER, record
from .diagnoses import diagnosis
from .differences import changed, strangers
from .harmful import HOSTILE, hostile
from .mobilenet import flat
from .rows import MACHINE, layer_rows, op, row
from .transformer import nested

__all__ = [
    "DIFFERENCES",
    "FOLDER",
    "HOSTILE",
    "MACHINE",
    "RECORDS",
    "changed",
    "diagnosis",
    "flat",
    "hostile",
    "layer_rows",
    "nested",
    "op",
    "record",
    "row",
    "strangers",
]

RECORDS = {"flat": flat, "nested": nested, "hostile": hostile}
DIFFERENCES = {"changed": changed, "strangers": strangers}

"""Differences of two profiles."""

from __future__ import annotations

import msgspec

from tfopt.records.difference import DifferenceRecord
from tfopt.report.against import diff

from .harmful import hostile
from .mobilenet import flat
from .transformer import nested


def changed() -> DifferenceRecord:
    """The flat network after somebody took a block away, made the others faster and the batch larger."""
    after = flat(blocks=19, time=2.9, step=131.2)
    run = msgspec.structs.replace(after.run, batch_size=32, tensorflow="2.22.0")
    step = msgspec.structs.replace(after.step, low_ms=130.0, high_ms=133.0)
    return diff(msgspec.structs.replace(after, run=run, step=step), flat(), "runs/new", "runs/old")


def strangers() -> DifferenceRecord:
    """Two runs with nothing in common but that names in them mean harm."""
    return diff(hostile(), nested(), "runs/[bold]\x1b[2Jevil", "runs/=old")

"""Findings, in one word each."""

from __future__ import annotations

from tfopt.records.diagnosis import Finding

__all__ = ["note", "ok", "problem", "unknown"]


def ok(id: str, found: str) -> Finding:
    """All is well."""
    return Finding(id=id, status="ok", found=found)


def note(id: str, found: str, mend: str = "") -> Finding:
    """It works, with consequences that one should know."""
    return Finding(id=id, status="note", found=found, mend=mend)


def problem(id: str, found: str, mend: str) -> Finding:
    """Something fails here until it is mended."""
    return Finding(id=id, status="problem", found=found, mend=mend)


def unknown(id: str, reason: str, mend: str = "") -> Finding:
    """It could not be checked."""
    return Finding(id=id, status="unknown", found=reason, mend=mend)

"""What the doctor found: about this environment, or about recorded runs and why TensorBoard shows them or not."""

from __future__ import annotations

from typing import Literal

from tfopt.records.base import Record

__all__ = ["DIAGNOSIS_SCHEMA", "DiagnosisRecord", "Finding", "Status"]

DIAGNOSIS_SCHEMA: Literal["tfopt.diagnosis/1"] = "tfopt.diagnosis/1"

Status = Literal["problem", "note", "unknown", "ok"]


class Finding(Record, frozen=True, kw_only=True):
    """The outcome of one check. `id` is `FAMILY.CHECK`; a check may find several things.

    `problem`: something fails here until it is mended; `note`: it works, with consequences; `unknown`: it could not be
    checked, and `found` says why. `mend` is the command, or the sentence, that mends it (empty where there is none).
    """

    id: str
    status: Status
    found: str
    mend: str = ""

    @property
    def family(self) -> str:
        """The part of the environment that it is about."""
        return self.id.partition(".")[0]


class DiagnosisRecord(Record, frozen=True, kw_only=True):
    """All findings, in the order of the checks. `target` is the folder or file that was examined (null: this
    environment), `command` the line that shows its profile in TensorBoard (empty where nothing can be shown)."""

    schema: Literal["tfopt.diagnosis/1"] = DIAGNOSIS_SCHEMA
    target: str | None
    findings: tuple[Finding, ...]
    started_at: str
    tfopt: str
    command: str = ""

    def of(self, status: Status) -> tuple[Finding, ...]:
        """The findings with this status."""
        return tuple(finding for finding in self.findings if finding.status == status)

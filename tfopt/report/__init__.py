"""Records as people and programs read them: one renderer per format, found by name or by file extension.

A renderer is a function `render(record, view) -> str` in the module named here; it is imported when it is used, so
that knowing the formats costs nothing. Records that have a page (`tfopt.report.pages`) are rendered from that.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import PurePath
from typing import TYPE_CHECKING, cast

from tfopt.errors import UsageError

if TYPE_CHECKING:
    from tfopt.records.base import Record
    from tfopt.report.view import View

__all__ = ["FORMATS", "Format", "format_of", "render"]

_KINDS = {"profile": "profiled runs", "check": "checks"}


@dataclass(frozen=True)
class Format:
    """One format: its file extensions, the modules that render a profiled run and any page (None: the first renders
    any record), whether it carries a record's notes, always holds every row, is made from the run's trace, and the only
    kind of record that it shows, by the name of its schema (empty: any)."""

    name: str
    suffixes: tuple[str, ...]
    module: str
    page_module: str | None = None
    carries_notes: bool = True
    every_row: bool = False
    needs_trace: bool = False
    only: str = ""

    def refuse(self) -> UsageError:
        """What to raise where a record is of another kind."""
        return UsageError(f"{self.name} shows {_KINDS[self.only]} only", "use table, json, csv or md")

    def render(self, record: Record, view: View) -> str:
        """`record` in this format, ending with a line end; UsageError where it has no rows as `view` wants them."""
        from tfopt.report.pages import page_of

        if self.only and not getattr(record, "schema", "").startswith(f"tfopt.{self.only}/"):
            raise self.refuse()
        page = None if self.page_module is None else page_of(record, view, every_row=self.every_row)
        if page is None:
            return cast(str, import_module(self.module).render(record, view))
        return cast(str, import_module(cast(str, self.page_module)).render(page, view))


FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        Format("table", (".txt",), "tfopt.report.table", "tfopt.report.page_table"),
        Format("json", (".json",), "tfopt.report.json"),
        Format("csv", (".csv",), "tfopt.report.csv", "tfopt.report.page_csv", carries_notes=False, every_row=True),
        Format("md", (".md", ".markdown"), "tfopt.report.markdown", "tfopt.report.page_markdown"),
        Format("speedscope", (".speedscope.json",), "tfopt.report.speedscope", carries_notes=False, only="profile"),
        Format(
            "chrome", (".chrome.json",), "tfopt.report.chrome", carries_notes=False, needs_trace=True, only="profile"
        ),
        Format("junit", (".junit.xml", ".xml"), "tfopt.report.junit", carries_notes=False, only="check"),
        Format("github", (".github.txt",), "tfopt.report.github", carries_notes=False, only="check"),
    )
}


def format_of(path: str) -> Format:
    """The format that the longest known extension of `path` names; UsageError where it names none."""
    name = PurePath(path).name.lower()
    by_suffix = {suffix: format for format in FORMATS.values() for suffix in format.suffixes}
    found = max((suffix for suffix in by_suffix if name.endswith(suffix)), key=len, default=None)
    if found is None:
        raise UsageError(f"{path}: no report format has this extension", f"use one of {', '.join(by_suffix)}")
    return by_suffix[found]


def render(record: Record, view: View | None = None, format: str = "table") -> str:
    """`record` as text in the format of this name (`FORMATS`)."""
    from tfopt.report.view import View

    return FORMATS[format].render(record, view or View())

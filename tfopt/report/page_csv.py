"""One table of a page as CSV: every row, values as they are in the record, names defused for spreadsheets."""

from __future__ import annotations

from tfopt.report.csv import text
from tfopt.report.page import Page
from tfopt.report.view import View

__all__ = ["render"]


def render(page: Page, view: View) -> str:
    """The first table of `page` that `view.by` chooses; what no row holds comes last."""
    table = next((table for table in page.tables if table.by == view.by), page.tables[0])
    return text([column.key for column in table.columns], [*table.rows, *table.rest])

"""What carries the result, in the few lines that a profile has for it: branches, units, health, coverage."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from rich.cells import cell_len
from rich.text import Text

from tfopt.records.influence_summary import InfluenceSummary
from tfopt.records.path_weights import PathReport
from tfopt.records.profile import ProfileRecord
from tfopt.report import influence_tables as tables
from tfopt.report import units
from tfopt.report.bars import bar
from tfopt.report.branches import Merge, merges
from tfopt.report.escape import markdown_code, markdown_prose, one_line, visible
from tfopt.report.flow import flow, wrapped
from tfopt.report.influence_page import carried, consistency
from tfopt.report.view import View

__all__ = ["influence_blocks", "influence_section"]

_MOST = 3  # merges, layers and warnings each; `tfopt influence` has all
_BAR = 12
_LONGEST = 1000  # characters; a layer's name may have thousands


_Part = tuple[str, float]
"""One way into a merge: its name and its share of what meets there."""


def influence_section(record: ProfileRecord, view: View) -> list[Text]:
    """For the terminal; nothing where it was not looked at."""
    found = record.influence
    if found is None:
        return []
    answer, sentence = _answer(found)
    lines = flow([("Influence", "bold"), (visible(answer), "")], "  ", view.width)
    lines += wrapped(one_line(sentence, _LONGEST), "  ", "", view.width) if sentence else []
    if found.paths is not None:
        lines += _rows(found.paths, view.width)
    for message in _warnings(found):
        lines += wrapped(one_line(message, _LONGEST), "  ! ", "", view.width)
    last = [(visible(each), "dim") for each in _coverage(found)]
    return [*lines, *flow([*last, (visible(_command(record)), "")], "   ", view.width, indent="  ")]


def influence_blocks(record: ProfileRecord) -> list[str]:
    """The same as Markdown."""
    found = record.influence
    if found is None:
        return []
    items = []
    if found.paths is not None:
        for name, parts in _merges(found.paths):
            ways = ", ".join(f"{label} {units.percent(share)}" for label, share in parts)
            items.append(f"- {markdown_prose(name)}: {markdown_prose(ways)}")
        items += [f"- {markdown_prose(f'{name}: {what}')}" for name, what in _concentrated(found.paths)]
    items += [f"- {markdown_prose(message)}" for message in _warnings(found)]
    items += [f"- {markdown_prose(', '.join(_coverage(found)))}"] if _coverage(found) else []
    answer = markdown_prose(". ".join(filter(None, _answer(found))))
    return ["## Influence", f"{answer}. {markdown_code(_command(record))}", *(["\n".join(items)] if items else [])]


def _answer(found: InfluenceSummary) -> tuple[str, str]:
    """What carries the result, in a sentence; or that this is not known, and why."""
    report = found.paths
    if report is None:
        return "path weights are not known", ""
    if report.consistent:
        return carried(report), ""
    return "not certified", consistency(report.certificates, report.layers)


def _rows(report: PathReport, width: int | None) -> list[Text]:
    """Merges with a bar for each branch, then layers whose units are most concentrated."""
    if not report.consistent:
        return []
    found, few = list(_merges(report)), list(_concentrated(report))
    wide = max((cell_len(visible(name)) for name, _ in (*found, *few)), default=0)
    lines = []
    for name, parts in found:
        pieces = [(f"{visible(label)} {bar(share, _BAR)} {units.percent(share)}", "") for label, share in parts]
        lines += _named(name, pieces, wide, width)
    for name, what in few:
        lines += _named(name, [(visible(what), "")], wide, width)
    return lines


def _named(name: str, pieces: list[tuple[str, str]], wide: int, width: int | None) -> list[Text]:
    """What is said of a layer beside its name, or below it where the screen is narrow."""
    shown = visible(name)
    head = f"  {shown}{' ' * (wide - cell_len(shown))}  "
    text = "   ".join(piece for piece, _ in pieces)
    if width is None or cell_len(head) + cell_len(text) <= width:
        return [Text(head + text)]
    return [*wrapped(name, "  ", "", width), *flow(pieces, "   ", width, indent="    ")]


def _merges(report: PathReport) -> Iterator[tuple[str, list[_Part]]]:
    """The most uneven merges."""
    root = tables.root_of(report.layers)
    found: list[Merge] = merges(report.edges, report.layers)
    for merge in found[:_MOST] if report.consistent else ():
        yield merge.path.removeprefix(root), [(way.label(root), way.share) for way in merge.branches]


def _concentrated(report: PathReport) -> Iterator[tuple[str, str]]:
    """The layers of which the fewest units carry most."""
    root, types = tables.root_of(report.layers), {rule.path: rule.type for rule in report.layers}
    for row, _ in tables.ranked_units(report.units)[:_MOST] if report.consistent else ():
        what = f"{row.carrying} of {row.units} {tables.noun(types.get(row.path, ''))} carry 80 %"
        yield row.path.removeprefix(root), what


def _warnings(found: InfluenceSummary) -> list[str]:
    """What is wrong with signals and gradients, the worst first."""
    order = ("problem", "warning")
    worst = sorted(
        (each for each in found.warnings if each.severity in order), key=lambda each: order.index(each.severity)
    )
    return [f"{each.message} ({each.evidence})" if each.evidence else each.message for each in worst[:_MOST]]


def _coverage(found: InfluenceSummary) -> list[str]:
    said = list(tables.coverage(found.paths.layers)) if found.paths is not None else []
    if found.samples is not None and not _warnings(found):
        said.append("signals and gradients healthy")
    return said


def _command(record: ProfileRecord) -> str:
    return f"tfopt influence {shlex.quote(record.model.path or record.model.name)}"

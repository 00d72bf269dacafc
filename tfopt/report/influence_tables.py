"""What carries a result, table by table: branches, units, weights, groups, paths. Pages and summaries choose rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from tfopt.records.influence import (
    EdgeShare,
    GroupShare,
    LayerRule,
    PathReport,
    RelevanceReport,
    Status,
    StrongPath,
    StrongPaths,
    StrongWeight,
    UnitShares,
)
from tfopt.report.branches import Merge, merges
from tfopt.report.page import Column, Table, Value
from tfopt.wording import counted, listed

__all__ = [
    "branches",
    "coverage",
    "groups",
    "most_uneven",
    "noun",
    "paths",
    "ranked_units",
    "root_of",
    "units",
    "weights",
]

_TOP_UNITS = 3
_SHOWN_STEPS = 4
_INNER = (2, 1, 3, 5, 8)  # so many steps between the ends, the first that tells paths apart and is short enough
_WIDTH = 66  # of a path on a page
_THROUGH = "The paths through any member; 100 %: every path needs one."


def root_of(rules: Iterable[LayerRule]) -> str:
    """What all paths of layers begin with (`mobilenet/`), which a person need not read again and again."""
    firsts = {rule.path.partition("/")[0] if "/" in rule.path else "" for rule in rules}
    first = firsts.pop() if len(firsts) == 1 else ""
    return f"{first}/" if first else ""


def coverage(rules: Sequence[LayerRule]) -> tuple[str, ...]:
    """How faithful the rules are: `148 layers exact`, `12 linearised (silu)`, `1 as is: block/foo`."""
    root = root_of(rules)
    parts: list[str] = []
    status: Status
    for status in ("exact", "linearised", "approximated", "as is"):
        chosen = [rule for rule in rules if rule.status == status]
        if not chosen:
            continue
        size = f"{counted(len(chosen), 'layer') if not parts else len(chosen)} {status}"
        if status == "as is":
            parts.append(f"{size}: {listed([rule.path.removeprefix(root) for rule in chosen])}")
        else:
            why = Counter(reason for rule in chosen for reason in rule.reasons if status != "exact")
            parts.append(f"{size} ({listed([reason for reason, _ in why.most_common()])})" if why else size)
    return tuple(parts)


def branches(
    report: PathReport | RelevanceReport, rules: Sequence[LayerRule], most: int, beside: Sequence[EdgeShare] = ()
) -> Iterator[Table]:
    """Merges as a tree, the `most` uneven of them (0: all); `beside` has the same edges on data, signed."""
    found = merges(report.edges, rules)
    shown, root = found[: most or None], root_of(rules)
    others = {(edge.sources, edge.target, edge.call): edge.share for edge in beside}
    columns = (
        Column("merge", "", "name"),
        Column("share", "of what meets", "share"),
        Column("total", "of all", "share", drop=1, quiet=all(_whole(merge) for merge in shown)),
        Column("on_data", "on data", "change_share", drop=2),
    )
    rows: list[tuple[Value, ...]] = []
    depths: list[int] = []
    for merge in shown:
        path = merge.path.removeprefix(root) + (f" #{merge.call}" if merge.call > 1 else "")
        rows.append((path, None, None, None))
        depths.append(0)
        for branch in merge.branches:
            data = others.get((branch.edge.sources, branch.edge.target, branch.edge.call))
            rows.append((f"{path}/{branch.label(root)}", branch.share, branch.edge.share, data))
            depths.append(1)
    if rows:
        rest = _rest(len(found) - len(shown), "more merge", "less uneven", columns)
        yield Table(
            "Branches",
            "branch",
            columns,
            tuple(rows),
            rest,
            "share",
            tuple(depths),
            caption="Where ways meet, how much came along each. Most uneven first.",
        )


def _whole(merge: Merge) -> bool:
    """Whether all paths meet there."""
    return abs(sum(branch.edge.share for branch in merge.branches) - 1) < 1e-3


def ranked_units(units: Iterable[UnitShares]) -> list[tuple[UnitShares, int]]:
    """Layers with units, the most concentrated first, each with the number of layers that are exactly like it: a
    depthwise convolution passes on what it gets."""
    alike: dict[tuple[int, float, int | None], list[UnitShares]] = {}
    for row in units:
        if row.units > 1 and row.effective > 0:
            key = (row.units, round(row.effective, 6), row.top[0][0] if row.top else None)
            alike.setdefault(key, []).append(row)
    return sorted(((rows[0], len(rows) - 1) for rows in alike.values()), key=lambda pair: _evenness(pair[0]))


def _evenness(row: UnitShares) -> float:
    return row.effective / row.units


def units(
    report: PathReport | RelevanceReport, rules: Sequence[LayerRule], most: int, beside: Sequence[UnitShares] = ()
) -> Iterator[Table]:
    """Layers by how few of their units carry most; `beside` has the same layers on data. Layers of a chain are never
    ranked by their share: all of it leads through each of them."""
    found, root = ranked_units(report.units), root_of(rules)
    shown = found[: most or None]
    others = {row.path: row for row in beside}
    columns = (
        Column("layer", "layer", "name"),
        Column("carrying", "carry 80 %", "text"),
        Column("on_data", "on data", "text", drop=3),
        Column("dead", "dead", "count", drop=4, quiet=not any(row.dead for row, _ in shown)),
        Column("top", "strongest", "text", drop=2),
        Column("top_share", "together", "share", drop=1),
    )
    rows = tuple(
        (
            row.path.removeprefix(root) + (f" (and {more} alike)" if more else ""),
            f"{row.carrying} of {row.units}",
            f"{other.carrying} of {other.units}" if (other := others.get(row.path)) else None,
            row.dead,
            ", ".join(str(unit) for unit, _ in row.top[:_TOP_UNITS]),
            sum(share for _, share in row.top[:_TOP_UNITS]),
        )
        for row, more in shown
    )
    if rows:
        yield Table(
            "Units",
            "unit",
            columns,
            rows,
            _rest(len(found) - len(shown), "more layer", "less concentrated", columns),
            caption="How few of a layer's units carry 80 % of its flow. Most concentrated first.",
        )


def weights(strongest: Sequence[StrongWeight], most: int) -> Iterator[Table]:
    """The strongest single weights."""
    columns = (Column("weight", "weight", "name"), Column("share", "of all paths", "share"))
    rows = tuple((f"{row.variable}[{', '.join(map(str, row.index))}]", row.share) for row in strongest[: most or None])
    if rows:
        yield Table("Strongest weights", "weight", columns, rows, bar="share")


def groups(found: Sequence[GroupShare]) -> Iterator[Table]:
    """The groups that were asked for."""
    columns = (
        Column("group", "group", "name"),
        Column("share", "of all paths", "share"),
        Column("elements", "weights", "flops"),
        Column("variables", "variables", "count", drop=1),
    )
    rows = tuple((row.name, row.share, row.elements, row.variables) for row in found)
    if rows:
        yield Table("Groups", "group", columns, rows, bar="share", caption=_THROUGH)


def paths(found: StrongPaths | None, rules: Sequence[LayerRule], most: int, *, whole: bool = False) -> Iterator[Table]:
    """The strongest paths, or the layer that prevents finding them; `whole` with every step."""
    if found is None:
        return
    if not found.paths:
        if found.unavailable:
            prose = (Column("", "", "text"), Column("why", "why", "prose"))
            yield Table("Strongest paths", "path", prose, (("–", f"not available: {found.unavailable}"),))
        return
    shown = found.paths[: most or None]
    texts = _texts([_steps(path, root_of(rules)) for path in shown], whole=whole)
    best = shown[0].log10_weight or 0.0
    columns = (
        Column("path", "path", "name"),
        Column("relative", "to the first", "ratio"),
        Column("flow", "of all paths, about", "share"),
    )
    rows = tuple(
        (text, None if path.log10_weight is None else 10 ** (path.log10_weight - best), path.flow)
        for text, path in zip(texts, shown, strict=True)
    )
    yield Table("Strongest paths", "path", columns, rows)


def _steps(path: StrongPath, root: str) -> list[str]:
    calls = path.calls or (1,) * len(path.steps)
    return [
        layer.removeprefix(root) + (f" #{call}" if call > 1 else "") + ("" if unit is None else f"[{unit}]")
        for (layer, unit), call in zip(path.steps, calls, strict=True)
    ]


def _texts(several: Sequence[Sequence[str]], *, whole: bool) -> list[str]:
    """Paths as text; long ones by their ends and by where they differ from one another."""
    if whole or max(map(len, several)) <= _SHOWN_STEPS:
        return [" → ".join(steps) for steps in several]
    common = set.intersection(*map(set, several)) if len(several) > 1 else set(several[0])
    tried = [[" → ".join(_shortened(steps, common, inner)) for steps in several] for inner in _INNER]
    return min(tried, key=lambda texts: (len(several) - len(set(texts)), max(map(len, texts)) > _WIDTH))


def _shortened(steps: Sequence[str], common: set[str], inner: int) -> Iterator[str]:
    """The ends, and between them `inner` steps: where it leaves what all have in common, else some on the way."""
    own = [step not in common for step in steps]
    own[0] = own[-1] = False
    leaving = [at for at in range(1, len(steps)) if own[at] and not own[at - 1]]
    on_the_way = [len(steps) * part // (inner + 1) for part in range(1, inner + 1)]
    way = leaving[:inner] + on_the_way[: max(0, inner - len(leaving))]
    kept = sorted({0, *way, len(steps) - 1})
    for at, before in zip(kept, [-1, *kept], strict=False):
        if at > before + 1:
            yield "…"
        yield steps[at]


def _rest(more: int, what: str, how: str, columns: Sequence[Column]) -> tuple[tuple[Value, ...], ...]:
    return ((f"{counted(more, what)}, {how}", *[None] * (len(columns) - 1)),) if more > 0 else ()


def noun(type_name: str) -> str:
    """What a layer's units are called."""
    return "filters" if "Conv" in type_name else "units"


def most_uneven(report: PathReport) -> Merge | None:
    """The merge whose branches carry least evenly."""
    return next(iter(merges(report.edges, report.layers)), None)

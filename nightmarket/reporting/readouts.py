"""What came of the campaigns: experiments, campaigns without one, and how strategies did beside each other."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from nightmarket.reporting import charts, words
from nightmarket.reporting.night import Content, Night
from nightmarket.reporting.quality import ModelRow

VERDICTS = {
    "ship": ("Ship", "opened"),
    "stop": ("Stop", "closed"),
    "continue": ("Continue", ""),
    "blocked": ("Blocked: not to be read", "closed"),
}
METRICS = {"spend": "spend", "responded": "responded"}


@dataclass(frozen=True)
class ExperimentView:
    """One experiment: the verdict in words, then the comparisons."""

    name: str
    verdict: str
    kind: str
    reason: str
    arms: str
    axis: Markup
    rows: tuple[ModelRow, ...]
    unjudged: tuple[str, ...]
    groups: tuple[tuple[str, str, str, str], ...]


@dataclass(frozen=True)
class ObservedView:
    """Campaigns whose exposure nobody drew by lot."""

    verdict: str
    axis: Markup
    rows: tuple[ModelRow, ...]
    reasons: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class IndexView:
    """The campaign effect index: a row per strategy, on one axis."""

    of: str
    tables: tuple[tuple[str, Markup, tuple[ModelRow, ...]], ...]


@dataclass(frozen=True)
class ReadoutsView:
    """The section but for off-policy verdicts and the ledger."""

    sentence: str
    experiments: tuple[ExperimentView, ...]
    observed: ObservedView | None
    index: IndexView | None


def view(night: Night) -> ReadoutsView | None:
    """The section, or None when nothing was read; the content is what the stage readout writes as readout.json."""
    content = night.readout
    if content is None:
        return None
    return ReadoutsView(
        sentence=str(content.get("sentence") or ""),
        experiments=tuple(_experiment(one) for one in content.get("experiments") or ()),
        observed=_observed(content.get("observed") or ()),
        index=_index(content.get("effect_index") or {}),
    )


def _experiment(one: Content) -> ExperimentView:
    word, said = one["verdict"]["word"], one["verdict"]["reason"]
    told, kind = VERDICTS.get(word, (str(word).capitalize(), ""))
    arm = one["verdict"].get("arm")
    axis, rows = _comparisons(one["comparisons"])
    return ExperimentView(
        name=str(one["name"]),
        verdict=f"{told} {arm}" if word == "ship" and arm else told,
        kind=kind,
        reason=f"{said[:1].upper()}{said[1:].rstrip('.')}.",
        arms=_arms(one.get("sample_ratio")),
        axis=axis,
        rows=rows,
        unjudged=tuple(f"{name}: {why}." for name, why in one.get("not_judged", {}).items()),
        groups=tuple(_group(row) for row in one.get("segments") or ()),
    )


def _arms(ratio: Content | None) -> str:
    """Customers per arm, and whether the split is the planned one; "" where nothing could be counted."""
    if not ratio or not ratio["found"]:
        return ""
    split = words.listed([f"{name} {words.count(num)}" for name, num in ratio["found"].items()])
    planned = f"split as planned, as far as chance lets us tell (p = {ratio['p_value']:.2g})"
    return f"Customers: {split}; {planned if ratio['passed'] else 'not split as planned'}."


def _comparisons(found: Sequence[Mapping[str, Any]]) -> tuple[Markup, tuple[ModelRow, ...]]:
    """Relative differences to the control with the interval for any number of looks; the control's level is taken as
    known. A control at zero has no relative difference and is left out."""
    drawn = []
    for one in found:
        if one["control"]:
            part = {"value": one["effect"], **one["sequence"]}
            drawn.append((one, {key: number / abs(one["control"]) for key, number in part.items()}))
    axis = charts.scale([figure for _, figure in drawn])
    rows = []
    for one, figure in drawn:
        name = f"{METRICS.get(one['metric'], one['metric'])}, {one['arm']}"
        row = _relative(name, figure, axis)
        rows.append(row)
    return (charts.axis_labels(axis, percent=True) if rows else Markup("")), tuple(rows)


def _relative(name: str, figure: Mapping[str, float], axis: charts.Scale) -> ModelRow:
    value, low, high = (words.change(figure[part]) for part in ("value", "low", "high"))
    chart = charts.whisker(figure, axis, f"{name}: {value} [{low}, {high}]", ours=True)
    return ModelRow(name, False, chart, value, f"[{low}, {high}]", "", "", "")


def _group(row: Mapping[str, Any]) -> tuple[str, str, str, str]:
    by = str(row["by"]).removeprefix("attr_").replace("_", " ")
    effect = f"{row['effect']:+.3g} [{row['low']:+.3g}, {row['high']:+.3g}]".replace("-", "−")
    return f"{by}: {row['level']}", str(row["arm"]), words.count(row["num_arm"] + row["num_control"]), effect


def _observed(campaigns: Sequence[Content]) -> ObservedView | None:
    """Adjusted differences beside the plain ones, latest first; without a claim a figure has its reasons beside it."""
    found = list(reversed(campaigns))
    if not found:
        return None
    claims = [one for one in found if one["verdict"] != "no claim"]
    named = words.listed([f"“{one['campaign_id']}”" for one in claims]) if claims else ""
    verdict = f"{words.things(len(found), 'finished campaign')} reached people whom nobody drew by lot. " + (
        f"A claim stands for {named}; for the others there is none." if claims else "For none of them is there a claim."
    )
    known = [one for one in found if words.known(one.get("on_exposed"))]
    axis = charts.scale([one["on_exposed"] for one in known])
    places = 0 if max(abs(axis.low), abs(axis.high)) >= 20 else 2
    rows = tuple(_adjusted(one, axis, places) for one in known)
    reasons = tuple((str(one["campaign_id"]), _plain_names(str(one["words"]))) for one in found)
    return ObservedView(verdict, charts.axis_labels(axis), rows, reasons)


def _plain_names(said: str) -> str:
    """ "attr_home_ownership Renter" → "home ownership Renter"."""
    return re.sub(r"\battr_(\w+)", lambda found: found[1].replace("_", " "), said)


def _adjusted(one: Content, axis: charts.Scale, places: int) -> ModelRow:
    figure, name = one["on_exposed"], f"Campaign {one['campaign_id']}"
    value, low, high = (_amount(figure[part], places) for part in ("value", "low", "high"))
    claim = one["verdict"] != "no claim"
    chart = charts.whisker(figure, axis, f"{name}: {value} [{low}, {high}], {one['verdict']}", ours=claim)
    plain = _amount(one["naive"]["value"], places) if one.get("naive") else ""
    note = f"{one['kind']}, {words.count(one['num_exposed'])} reached, {one['verdict']}"
    return ModelRow(name, claim, chart, value, f"[{low}, {high}]", plain, "", "level", note)


def _amount(number: float, places: int) -> str:
    text = f"{abs(number):,.{places}f}"
    sign = "" if not text.strip("0.,") else "+" if number > 0 else "−"
    return f"{sign}{text}"


def _index(content: Content) -> IndexView | None:
    """Clicks (or responses) over impressions, 100 for all strategies together."""
    tables = []
    for title, key in (("By kind of campaign", "by_kind"), ("By campaign and arm", "by_arm")):
        rows = [one for one in content.get(key) or () if words.known(one.get("index"))]
        if not rows:
            continue
        axis = charts.scale([one["index"] for one in rows])
        drawn = tuple(_strategy(one, axis) for one in sorted(rows, key=lambda one: -one["index"]["value"]))
        tables.append((title, charts.axis_labels(axis), drawn))
    return IndexView(str(content.get("of") or "responses"), tuple(tables)) if tables else None


def _strategy(one: Content, axis: charts.Scale) -> ModelRow:
    figure, name = one["index"], str(one["name"])
    value, reach = f"{figure['value']:.0f}", f"[{figure['low']:.0f}, {figure['high']:.0f}]"
    rates = [
        f"{words.percent(one[key]['value'])} {told}"
        for key, told in (("click_through", "clicked"), ("response", "responded"))
        if one.get(key)
    ]
    chart = charts.whisker(figure, axis, f"{name}: {value} {reach}", ours=True, mark=100.0)
    return ModelRow(name, False, chart, value, reach, "", "", "", ", ".join(rates))

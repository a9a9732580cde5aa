"""What came of the campaigns: experiments, campaigns without one, off-policy estimates, and how well estimates held."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from nightmarket.reporting import charts, words
from nightmarket.reporting.night import Content, Night
from nightmarket.reporting.quality import ModelRow, figure_row


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
    """Campaigns whose exposure was not assigned at random."""

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
    control: tuple[tuple[str, str, str, str], ...]
    warnings: tuple[str, ...]
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
        control=tuple(_period(period) for period in content.get("control") or ()),
        warnings=tuple(
            f"{period['name']}: {words.count(period['num_contacted'])} of the control group were contacted against all "
            "plans, which hides some of the effect."
            for period in content.get("control") or ()
            if period["num_contacted"]
        ),
        experiments=tuple(_experiment(experiment) for experiment in content.get("experiments") or ()),
        observed=_observed(content.get("observed") or ()),
        index=_index(content.get("effect_index") or {}),
    )


def _period(period: Content) -> tuple[str, str, str, str]:
    """A quarter or year: its name, who was compared, and what the contacts brought in purchases and value."""
    who = f"{words.count(period['num_control'])} against {words.count(period['num_others'])}"
    purchases, value = (_brought(period["metrics"][name]) for name in ("purchases", "value"))
    return str(period["name"]), who, purchases, value


def _brought(figure: Content) -> str:
    if "why" in figure:
        return str(figure["why"])
    bounds = f"{figure['value']:+.3g} [{figure['low']:+.3g}, {figure['high']:+.3g}]".replace("-", "−")
    return bounds if figure["low"] * figure["high"] > 0 else f"{bounds}, nothing is shown"


def _experiment(experiment: Content) -> ExperimentView:
    word, said = experiment["verdict"]["word"], experiment["verdict"]["reason"]
    title, kind = words.WORDING["verdicts"].get(word, (str(word).capitalize(), ""))
    arm = experiment["verdict"].get("arm")
    axis, rows = _comparisons(experiment["comparisons"])
    return ExperimentView(
        name=str(experiment["name"]),
        verdict=f"{title} {arm}" if word == "ship" and arm else title,
        kind=kind,
        reason=f"{said[:1].upper()}{said[1:].rstrip('.')}.",
        arms=_arms(experiment.get("sample_ratio")),
        axis=axis,
        rows=rows,
        unjudged=tuple(f"{name}: {why}." for name, why in experiment.get("not_judged", {}).items()),
        groups=tuple(_group(row) for row in experiment.get("segments") or ()),
    )


def _arms(ratio: Content | None) -> str:
    """Customers per arm, and whether the split is the planned one; "" where nothing could be counted."""
    if not ratio or not ratio["found"]:
        return ""
    split = words.listed([f"{name} {words.count(num)}" for name, num in ratio["found"].items()])
    planned = f"split as planned, as far as chance lets us tell (p = {ratio['p_value']:.2g})"
    return f"Customers: {split}; {planned if ratio['passed'] else 'not split as planned'}."


def _comparisons(comparisons: Sequence[Mapping[str, Any]]) -> tuple[Markup, tuple[ModelRow, ...]]:
    """Relative differences to the control with the interval for any number of looks; the control's level is taken as
    known. A control at zero has no relative difference and is left out."""
    drawn = []
    for comparison in comparisons:
        if comparison["control"]:
            part = {"value": comparison["effect"], **comparison["sequence"]}
            drawn.append((comparison, {key: number / abs(comparison["control"]) for key, number in part.items()}))
    axis = charts.scale([figure for _, figure in drawn])
    rows = tuple(
        figure_row(f"{comparison['metric']}, {comparison['arm']}", figure, axis, words.change, filled=True)
        for comparison, figure in drawn
    )
    return (charts.axis_labels(axis, percent=True) if rows else Markup("")), rows


def _group(row: Mapping[str, Any]) -> tuple[str, str, str, str]:
    by = str(row["by"]).removeprefix("attr_").replace("_", " ")
    effect = f"{row['effect']:+.3g} [{row['low']:+.3g}, {row['high']:+.3g}]".replace("-", "−")
    return f"{by}: {row['level']}", str(row["arm"]), words.count(row["num_arm"] + row["num_control"]), effect


def _observed(campaigns: Sequence[Content]) -> ObservedView | None:
    """Adjusted differences beside the plain ones, latest first, with what speaks against reading them as effects."""
    latest = list(reversed(campaigns))
    if not latest:
        return None
    reached = words.things(len(latest), "finished campaign")
    verdict = f"{reached} reached people who were not chosen at random, so no effect is claimed."
    known = [campaign for campaign in latest if words.known(campaign.get("on_exposed"))]
    if 0 < len(known) < len(latest):
        verdict += f" Drawn: {len(known)} of {len(latest)}; the others have a reason below and no figure."
    axis = charts.scale([campaign["on_exposed"] for campaign in known])
    places = 0 if max(abs(axis.low), abs(axis.high)) >= 20 else 2
    rows = tuple(_adjusted(campaign, axis, places) for campaign in known)
    reasons = tuple((str(campaign["campaign_id"]), _plain_names(str(campaign["words"]))) for campaign in latest)
    return ObservedView(verdict, charts.axis_labels(axis), rows, reasons)


def _plain_names(said: str) -> str:
    """ "attr_home_ownership Renter" → "home ownership Renter"."""
    return re.sub(r"\battr_(\w+)", lambda match: match[1].replace("_", " "), said)


def _adjusted(campaign: Content, axis: charts.Scale, places: int) -> ModelRow:
    figure, name = campaign["on_exposed"], f"Campaign {campaign['campaign_id']}"
    value, low, high = (_amount(figure[part], places) for part in ("value", "low", "high"))
    chart = charts.whisker(figure, axis, f"{name}: {value} [{low}, {high}], {campaign['verdict']}", ours=False)
    plain = _amount(campaign["naive"]["value"], places) if campaign.get("naive") else ""
    note = f"{campaign['kind']}, {words.count(campaign['num_exposed'])} reached, {campaign['verdict']}"
    return ModelRow(name, False, chart, value, f"[{low}, {high}]", plain, "", "level", note)


def _amount(number: float, places: int) -> str:
    text = f"{abs(number):,.{places}f}"
    sign = "" if not text.strip("0.,") else "+" if number > 0 else "−"
    return f"{sign}{text}"


def _index(content: Content) -> IndexView | None:
    """Clicks (or responses) over impressions, 100 for all strategies together."""
    tables = []
    for title, key in (("By kind of campaign", "by_kind"), ("By campaign and arm", "by_arm")):
        rows = [strategy for strategy in content.get(key) or () if words.known(strategy.get("index"))]
        if not rows:
            continue
        axis = charts.scale([strategy["index"] for strategy in rows])
        drawn = tuple(
            _strategy(strategy, axis) for strategy in sorted(rows, key=lambda strategy: -strategy["index"]["value"])
        )
        tables.append((title, charts.axis_labels(axis), drawn))
    return IndexView(str(content.get("of") or "responses"), tuple(tables)) if tables else None


def _strategy(strategy: Content, axis: charts.Scale) -> ModelRow:
    rates = [
        f"{words.percent(strategy[key]['value'])} {verb}"
        for key, verb in (("click_through", "clicked"), ("response", "responded"))
        if strategy.get(key)
    ]
    name, figure = str(strategy["name"]), strategy["index"]
    return figure_row(name, figure, axis, "{:.0f}".format, ", ".join(rates), filled=True, mark=100.0)


CHIPS = {"certified better": "good", "refused": "bad"}


@dataclass(frozen=True)
class PolicyRow:
    """What a log says of one policy; figures only where nothing was refused."""

    name: str
    verdict: str
    chip: str
    said: str


@dataclass(frozen=True)
class LogView:
    """One campaign whose exposures carry propensities."""

    name: str
    decisions: str
    reason: str
    policies: tuple[PolicyRow, ...]


@dataclass(frozen=True)
class LedgerView:
    """A row per version or policy: what was promised offline and off-policy, and what the test found."""

    rows: tuple[tuple[str, str, str, str, str], ...]
    sentences: tuple[str, ...]


def logs(night: Night) -> tuple[LogView, ...]:
    """From readout["off_policy"]; empty where no exposure carries a propensity."""
    return tuple(_log(log) for log in (night.readout or {}).get("off_policy") or ())


def _log(log: Content) -> LogView:
    policies = tuple(
        PolicyRow(str(name), str(said["verdict"]), CHIPS.get(said["verdict"], ""), str(said["words"]))
        for name, said in log["policies"].items()
    )
    return LogView(str(log["campaign_id"]), words.count(log["decisions"]), str(log.get("reason") or ""), policies)


def ledger(night: Night) -> LedgerView | None:
    """From readout["ledger"]; None where nothing was read."""
    content: Content = (night.readout or {}).get("ledger") or {}
    if not content:
        return None
    rows = tuple(_row(row) for row in content.get("rows") or ())
    sentences = tuple(
        words.sentence(str(content[kind]["sentence"])) for kind in ("offline", "ope") if content.get(kind)
    )
    return LedgerView(rows, sentences)


def _row(row: Content) -> tuple[str, str, str, str, str]:
    against = f"{row['experiment']}, against {row['control']}" if row.get("experiment") else "not tested"
    offline, ope, measured = (_lift(row.get(kind)) for kind in ("offline", "ope", "ab"))
    return str(row["name"]), against, offline, ope, measured


def _lift(lift: Mapping[str, Any] | None) -> str:
    if not lift:
        return "–"
    said = words.change(lift["value"])
    if lift.get("low") is None or lift.get("high") is None:
        return said
    return f"{said} {words.reach(lift, words.change)}"

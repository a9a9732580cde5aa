"""Who responds to campaigns: how good the model was on finished campaigns, whether its probabilities hold, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from nightmarket.reporting import charts, words
from nightmarket.reporting.chances import bin_rows
from nightmarket.reporting.delivery import KeyFigure
from nightmarket.reporting.night import Content, Night
from nightmarket.reporting.quality import ModelRow, model_row


@dataclass(frozen=True)
class ResponsesView:
    """The section; `reason` says why there is nothing else."""

    reason: str
    verdict: str = ""
    figures: tuple[KeyFigure, ...] = ()
    axis: Markup = charts.BLANK
    rows: tuple[ModelRow, ...] = ()
    details: tuple[tuple[str, str, tuple[str, str], tuple[str, str]], ...] = ()
    chart: Markup | None = None
    held: str = ""
    bins: tuple[tuple[str, str, str, str], ...] = ()
    drivers: tuple[tuple[str, Markup, str], ...] = ()
    offers_axis: Markup = charts.BLANK
    offers: tuple[ModelRow, ...] = ()
    offers_verdict: str = ""


def view(night: Night) -> ResponsesView | None:
    """The section, or None when nobody learned responses.

    The content is night.responses: `metrics` and `drivers` as the stage respond writes them, and `calibration`, what
    `evaluation.calibration.reliability` gives on its predictions.
    """
    content = night.responses
    if content is None:
        return None
    metrics: Content = content.get("metrics") or {}
    whole: Content = metrics.get("test") or {}
    drivers = _drivers((content.get("drivers") or {}).get("overall"))
    if not words.known(whole.get("auc")):
        reason = str(metrics.get("reason") or "nobody responded to the campaigns that it could be judged on")
        return ResponsesView(reason, drivers=drivers)
    by_name = sorted((metrics.get("campaigns") or {}).items(), key=lambda pair: _by_number(pair[0]))
    campaigns = {name: campaign for name, campaign in by_name if words.known(campaign.get("auc"))}
    axis = charts.Scale(min([0.5, *(campaign["auc"]["low"] for campaign in campaigns.values())]), 1.0)
    rows = tuple(
        replace(
            model_row(f"Campaign {name}", campaign["auc"], axis, None, False, whole["auc"]["value"]),
            note=f"{campaign['kind']}, {words.count(campaign['num_pairs'])} reached",
        )
        for name, campaign in campaigns.items()
    )
    offers_axis, offers, offers_verdict = _offers(metrics.get("offers") or {})
    bins = [part for part in content.get("calibration") or () if words.known(part)]
    return ResponsesView(
        reason="",
        verdict=_verdict(whole, len(by_name)),
        figures=_figures(whole),
        axis=charts.axis_labels(axis),
        rows=rows,
        details=tuple(_detail(name, campaign) for name, campaign in campaigns.items()),
        chart=_reliability(bins),
        held=_held(whole),
        bins=bin_rows(bins),
        drivers=drivers,
        offers_axis=offers_axis,
        offers=offers,
        offers_verdict=offers_verdict,
    )


def _by_number(name: str) -> tuple[bool, int, str]:
    """Campaigns called by a number in its order, then the others by name."""
    return (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)


def _verdict(whole: Content, num: int) -> str:
    return (
        f"Judged on the last {words.things(num, 'finished campaign')}: {words.count(whole['num_pairs'])} customers "
        f"reached, each counted once per campaign, and {words.count(whole['num_responses'])} responses. Each campaign "
        "was predicted by a model of the campaigns that had ended before it began."
    )


def _figures(whole: Content) -> tuple[KeyFigure, ...]:
    titles = {
        "auc": ("AUC", "chance that a customer who responded stands above one who did not"),
        "average_precision": ("Average precision", f"sorting at random would give {words.fraction(whole['observed'])}"),
        "ece": ("ECE", "mean gap between what was said and what happened; 0 is best"),
    }
    figures = [
        KeyFigure(title, words.fraction(whole[key]["value"]), words.reach(whole[key]), meaning)
        for key, (title, meaning) in titles.items()
        if words.known(whole.get(key))
    ]
    return tuple(figures)


def _detail(name: str, campaign: Content) -> tuple[str, str, tuple[str, str], tuple[str, str]]:
    """Name, responses, and average precision and ECE as value and interval."""
    ap, error = (
        (words.fraction(campaign[key]["value"]), words.reach(campaign[key]))
        if words.known(campaign.get(key))
        else ("–", "")
        for key in ("average_precision", "ece")
    )
    return name, words.count(campaign["num_responses"]), ap, error


def _held(whole: Content) -> str:
    said = f"It expected {words.percent(whole['predicted'])} to respond; {words.percent(whole['observed'])} did."
    lift = whole.get("lift") or {}
    if words.known(lift):
        said += (
            f" In the tenth with the highest probabilities {lift['value']:.1f} [{lift['low']:.1f}, {lift['high']:.1f}] "
            "times as many responded as on average."
        )
    return said


def _reliability(bins: list[Mapping[str, float]]) -> Markup | None:
    if not bins:
        return None
    said = "; ".join(f"said {row[0]}, responded {row[1]}" for row in bin_rows(bins))
    return charts.reliability(bins, f"Probability said and share that responded: {said}")


def _drivers(overall: Any) -> tuple[tuple[str, Markup, str], ...]:
    """What sets likely responders apart: name, bar, share."""
    shares: Mapping[str, float] = (overall or {}).get("shares") or {}
    kept = sorted(((name, part) for name, part in shares.items() if part >= 0.005), key=lambda pair: -pair[1])
    if not kept:
        return ()
    rows = []
    for name, part in kept:
        title, share = words.called("drivers", name), words.share(round(part, 2), 1)
        rows.append((title, charts.bar(part / kept[0][1], f"{title}: {share}"), share))
    return tuple(rows)


def _offers(content: Mapping[str, Any]) -> tuple[Markup, tuple[ModelRow, ...], str]:
    """The order of the offers within a campaign, against each customer's own purchases."""
    models = {name: figure["ndcg@5"] for name, figure in content.items() if words.known(figure.get("ndcg@5"))}
    if "nightmarket" not in models or not models["nightmarket"].get("num_groups"):
        return Markup(""), (), ""
    axis = charts.scale(list(models.values()))
    ours = models["nightmarket"]["value"]
    rows = tuple(
        model_row(words.model(name), figure, axis, None, name == "nightmarket", ours) for name, figure in models.items()
    )
    num = words.things(models["nightmarket"]["num_groups"], "customer and campaign pair")
    verdict = f"Over {num} with a known redemption: how near the top the offers stood that were taken up (NDCG@5)."
    return charts.axis_labels(axis), rows, verdict

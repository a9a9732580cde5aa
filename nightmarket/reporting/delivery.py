"""The champion, the decision of the gate, and the importance of features."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from nightmarket.evaluation.figures import METRIC, finite
from nightmarket.reporting import charts, words
from nightmarket.reporting.night import Content, Night

NUM_FEATURES = 12


@dataclass(frozen=True)
class KeyFigure:
    """One large number at the top."""

    title: str
    value: str
    reach: str
    meaning: str


@dataclass(frozen=True)
class GateView:
    """The gate's word: opened or closed, its reasons, and differences by task."""

    opened: bool
    title: str
    reasons: tuple[str, ...]
    against: str
    axis: Markup
    rows: tuple[tuple[str, Markup, str], ...]


def headline(night: Night) -> str:
    """Who delivers today, and what lists foretell where that is no purchase, in a sentence or two."""
    if night.target == "purchase":
        return _who_delivers(night)
    what = words.EVENTS[night.target]
    return f"{_who_delivers(night)} Lists foretell {what}: where this page says bought, read {what}."


def _who_delivers(night: Night) -> str:
    receipt, decision = night.receipt, night.decision
    if receipt is None:
        refused = f" {_refusal(decision)}" if decision and not decision["opened"] else ""
        return f"No version delivers yet: none has passed the gate.{refused}"
    version = receipt["version"]
    if (receipt.get("gate") or {}).get("stand_in"):
        again = "" if decision is None or decision["version"] == version else f" {_refusal(decision)}"
        return f"Version {version} stands in: customers get what is popular until a version is clearly better.{again}"
    if decision and decision["version"] == version and decision.get("promoted"):
        against = "" if decision["opened"] else " The gate had refused it."
        return f"Version {version} delivers, {_by_hand(decision['promoted'])}.{against}"
    if decision is None or decision["version"] == version:
        return f"Version {version} delivers. It passed the gate on the data up to {words.day(receipt['as_of'])}."
    keeps = f"Version {version}, made from the data up to {words.day(receipt['as_of'])}, still delivers."
    if decision["opened"]:
        return f"{keeps} Tonight’s training repeated version {decision['version']}, which once was champion."
    return f"{keeps} {_refusal(decision)}"


def _by_hand(change: Content) -> str:
    """A change of champion by a person: what was done, when (UTC), and by whom."""
    done = "brought back by a rollback" if change["how"] == "rollback" else "promoted by hand"
    return f"{done} on {words.day(change['at'][:10])} by {change['by']}"


def _refusal(decision: Content) -> str:
    return f"Tonight’s model, version {decision['version']}, was not let through."


def key_figures(night: Night) -> list[KeyFigure]:
    """NDCG@10 of tonight's model per task, with what its hit rate means for people."""
    figures = []
    for task, (title, _) in words.TASKS.items():
        ours = finite(night.metrics.ours(task))
        if METRIC not in ours:
            continue
        figure, hit = ours[METRIC], ours.get("hit@10")
        meaning = f"NDCG@10; {of_hundred(hit['value'], task)}" if hit else "NDCG@10"
        figures.append(KeyFigure(title, words.fraction(figure["value"]), words.reach(figure), meaning))
    return figures


def of_hundred(rate: float, task: str) -> str:
    """A hit rate in words: how many of a hundred bought one of their ten."""
    number = round(100 * rate)
    who = {"new": "who tried something new", "rare": "who tried something rare", "launch": "who bought a launch"}
    who["debut"] = "who tried what nobody had bought"
    return f"{number if rate >= 0.005 else 'under 1'} of 100 {who.get(task, 'customers')} bought one of their ten"


def gate(night: Night) -> GateView | None:
    """The gate's latest word, or None before the first registration."""
    decision = night.decision
    if decision is None:
        return None
    differences: Mapping[str, Any] = {t: f for t, f in decision["differences"].items() if words.known(f)}
    axis = charts.scale(list(differences.values()))
    rows = []
    for task, (title, _) in words.TASKS.items():
        if task in differences:
            figure = differences[task]
            said = words.interval(figure, plus=True)
            rows.append((title, charts.whisker(figure, axis, f"{title}: {said}", ours=True), said))
    version, change = decision["version"], decision.get("promoted")
    title = f"Version {version} was let through" if decision["opened"] else f"Version {version} was not let through"
    reasons = tuple(words.reason(reason) for reason in decision["reasons"])
    if change:
        reasons = (f"Why: {change['reason']}", f"{title}.", *reasons)
        title = f"Version {version} was {_by_hand(change)}"
    return GateView(
        decision["opened"] or bool(change), title, reasons, decision["against"], charts.axis_labels(axis), tuple(rows)
    )


def importance(night: Night) -> list[tuple[str, Markup, str]]:
    """The features that the ranker gained most from: name, bar, share of all gain."""
    pairs = _gains(night.importance)
    whole = sum(gain for _, gain in pairs)
    top = sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:NUM_FEATURES]
    if not top or whole <= 0:
        return []
    most = top[0][1]
    rows = [(name, gain / most, words.share(gain, whole)) for name, gain in top if gain > 0]
    return [(name.replace("_", " "), charts.bar(part, f"{name}: {share}"), share) for name, part, share in rows]


def _gains(content: Any) -> list[tuple[str, float]]:
    """Pairs of feature and gain of the ranker, from {"ranker": {feature: gain}, …} or {feature: gain}."""
    gains = content.get("ranker", content) if isinstance(content, Mapping) else {}
    return [(str(name), float(gain)) for name, gain in gains.items() if isinstance(gain, int | float)]

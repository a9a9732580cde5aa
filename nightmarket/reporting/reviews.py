"""What customers say, and what they buy together: sentiment, aspects, products, topics and where they go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from nightmarket.reporting import charts, pictures, words
from nightmarket.reporting.charts import Scale
from nightmarket.reporting.night import Content, Night
from nightmarket.reporting.quality import ModelRow, figure_row

ASPECTS = {"size": "size and fit", "ease": "ease of use"}
"""Aspects that are called otherwise than their key."""
SHARES = Scale(0.0, 1.0)
NUM_TOPICS = 9
"""Topics with a picture; the others are named."""


@dataclass(frozen=True)
class TopicView:
    """One topic: its name, share with interval, where it goes, and how it sounds where that is known."""

    name: str
    more: str
    share: str
    reach: str
    chart: Markup
    verdict: str
    change: str
    praise: str


@dataclass(frozen=True)
class TopicsView:
    """The topics of reviews or of baskets; `reason` says why there is none."""

    reason: str
    chosen: str = ""
    span: str = ""
    tiles: tuple[TopicView, ...] = ()
    others: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ReviewsView:
    """The section; without reviews `missing` says so, and only the baskets are shown."""

    missing: str
    baskets: TopicsView
    verdict: str = ""
    sentiment: str = ""
    candidates_axis: Markup = charts.BLANK
    candidates: tuple[ModelRow, ...] = ()
    reviews: TopicsView | None = None
    aspects_axis: Markup = charts.BLANK
    aspects: tuple[ModelRow, ...] = ()
    products_axis: Markup = charts.BLANK
    praised: tuple[ModelRow, ...] = ()
    blamed: tuple[ModelRow, ...] = ()


def view(night: Night) -> ReviewsView | None:
    """The section, or None when the stage left nothing.

    The content is {"topics": topics.json, "metrics": metrics.json, "products": {"above", "below": [{title, num_reviews,
    positive, low, high}]}}.
    """
    content = night.reviews
    if content is None:
        return None
    topics, metrics = content["topics"], content["metrics"]
    baskets = _topics(topics["baskets"], "basket")
    if not metrics["num_reviews"]:
        return ReviewsView(f"There are no reviews to read: {topics['words']}.", baskets)
    candidates, chosen = metrics["sentiment"]["candidates"], metrics["sentiment"]["chosen"]
    axis = charts.scale([_figure(entry, "accuracy") for entry in candidates.values()], zero=False)
    spoken = [(key, entry) for key, entry in metrics["aspects"].items() if entry["positive"] is not None]
    spoken.sort(key=lambda pair: (-pair[1]["people"], pair[0]))
    whole = metrics["positive"]
    return ReviewsView(
        missing="",
        baskets=baskets,
        verdict=_verdict(metrics, whole),
        sentiment=_sentiment(metrics["sentiment"]),
        candidates_axis=charts.axis_labels(axis, percent=True) if candidates else charts.BLANK,
        candidates=tuple(
            figure_row(name.capitalize(), _figure(entry, "accuracy"), axis, words.percent, ours=name == chosen)
            for name, entry in sorted(candidates.items(), key=lambda pair: -pair[1]["accuracy"])
        ),
        reviews=_topics(topics["reviews"], "review"),
        aspects_axis=charts.axis_labels(SHARES, percent=True),
        aspects=tuple(
            figure_row(
                ASPECTS.get(key, key).capitalize(),
                _figure(entry, "positive"),
                SHARES,
                words.percent,
                words.things(entry["people"], "customer"),
            )
            for key, entry in spoken
        ),
        products_axis=charts.axis_labels(SHARES, percent=True),
        praised=_products(content["products"].get("above") or (), whole),
        blamed=_products(content["products"].get("below") or (), whole),
    )


def _verdict(metrics: Content, whole: Mapping[str, Any] | None) -> str:
    said = f"{words.things(metrics['num_reviews'], 'distinct review')}."
    if not whole:
        return said
    return f"{said} {words.percents(whole)} of them praise, over {words.things(whole['people'], 'customer')}."


def _sentiment(content: Content) -> str:
    """Which candidate reads the reviews, and why."""
    if not content["chosen"]:
        return str(content["words"])
    chosen = content["candidates"][content["chosen"]]
    rated = words.things(content["num_rated"], "rated text")
    of = list(chosen.get("of") or ())
    name = f"the average of {words.listed([f'“{member}”' for member in of])}" if of else f"“{content['chosen']}”"
    return (
        f"Praise and complaint are told apart by {name}, learnt from {rated} of this shop. On texts that it had "
        f"not seen it was right in {words.percents(chosen, 'accuracy')}. It was chosen among these for the least "
        "log-loss in cross-validation. A rating, where there is one, counts for itself."
    )


def _figure(entry: Mapping[str, float], value: str) -> dict[str, float]:
    return {"value": entry[value], "low": entry["low"], "high": entry["high"]}


def _products(rows: Sequence[Mapping[str, Any]], whole: Mapping[str, Any] | None) -> tuple[ModelRow, ...]:
    """Products beside the shop's share of praise."""
    mark = whole["value"] if whole else None
    drawn = []
    for product in rows:
        note = words.things(product["num_reviews"], "review")
        drawn.append(
            figure_row(str(product["title"]), _figure(product, "positive"), SHARES, words.percent, note, mark=mark)
        )
    return tuple(drawn)


def _topics(content: Content, of: str) -> TopicsView:
    if not content["topics"]:
        return TopicsView(str(content["reason"] or "no topic was found"))
    candidates = len(content["candidates"])
    how = {"nmf": "NMF", "lda": "LDA"}.get(content["method"], content["method"])
    num, size = words.things(content["num_documents"], of), words.things(len(content["topics"]), "topic")
    chosen = (
        f"{num}, {size}. Of {candidates} candidates {how} had the most coherent and distinct topics among those that "
        f"other {of}s confirm. A {of} counts for the topic that it holds most of against what is usual."
    )
    span = content.get("span")
    summary = (
        f"From {words.day(span[0])} to {words.day(span[1])}. “Rising” and “falling” allow for so many topics being "
        "watched; they are not adjusted for the season."
        if span
        else f"There are too few {of}s to say where a topic goes."
    )
    rows = [_topic(topic) for topic in content["topics"]]
    return TopicsView(
        "", chosen, summary, tuple(rows[:NUM_TOPICS]), tuple((topic.name, topic.share) for topic in rows[NUM_TOPICS:])
    )


def _topic(topic: Content) -> TopicView:
    trend, praise = topic.get("trend"), topic.get("positive")
    share = words.percent(topic["share"])
    verdict = trend["verdict"] if trend else ""
    return TopicView(
        name=str(topic["name"]),
        more=", ".join(map(str, topic["words"][3:6])),
        share=share,
        reach=words.reach(topic, words.percent),
        chart=pictures.trail(trend["points"], f"{topic['name']}: {verdict}") if trend else charts.BLANK,
        verdict=verdict,
        change=_change(trend["change"]) if trend else "",
        praise=f"{words.percents(praise)} praise" if praise else "",
    )


def _change(figure: Mapping[str, float]) -> str:
    """0.051 → "+5.1 points [3.5, 6.8]"."""
    value, low, high = (f"{100 * figure[part]:.1f}".replace("-", "−") for part in ("value", "low", "high"))
    return f"{'+' if figure['value'] > 0 else ''}{value} points [{low}, {high}]"

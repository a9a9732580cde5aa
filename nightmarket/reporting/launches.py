"""Launches: what is new on the shelf, how it sells, whom it is recommended to, and how well that is predicted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Bools
from nightmarket.evaluation.figures import METRIC, by_model, finite
from nightmarket.reporting import charts, pictures, words
from nightmarket.reporting.delivery import KeyFigure
from nightmarket.reporting.night import Content, Night
from nightmarket.reporting.quality import best_baseline

WEEKS = 4
"""A product is new for so many weeks after its first sale."""
NUM_SPANS = 8
"""Spans of that length that are compared, this one included."""
BUYERS = 5
"""Buyers within its span from which a launch counts as found, "five" in the words; the evaluation draws the line
there too."""
NUM_SHOWN = 10
Ints = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class NewRow:
    """A new product: since when it is sold, in how many baskets, week by week, and on how many lists it stands."""

    title: str
    since: str
    weeks: Markup
    baskets: str
    lists: str


@dataclass(frozen=True)
class LaunchView:
    """The section."""

    verdict: str
    sentences: tuple[str, ...]
    spans: Markup | None
    rows: tuple[NewRow, ...]
    figures: tuple[KeyFigure, ...]
    quality: str


def shelf(
    first_week: Ints, lines: Mapping[str, Ints], last_week: int, titles: Sequence[str], lists: Ints
) -> dict[str, Any]:
    """What is new: {"spans", "never_sold", "new"}, for `Night.launches`.

    first_week  (I,)  week of each product's first sale; after `last_week` where it was never sold
    lines       customer, item, week and basket of every purchase line, each (N,)
    last_week   last complete week of the data; spans are counted back from it, and the first weeks of the data, in
                which all products seem new, are left out
    titles      (I,)
    lists       (I,)  customers that each product is recommended to tonight
    """
    start = int(lines["week"].min(initial=last_week)) + WEEKS
    spans = []
    for i in range(NUM_SPANS):
        last = last_week - i * WEEKS
        if last - WEEKS + 1 < start:
            break
        launched = (first_week > last - WEEKS) & (first_week <= last)
        there = launched[lines["item"]] & (lines["week"] <= last)
        pairs = np.unique(lines["item"][there].astype(np.int64) << 32 | lines["customer"][there].astype(np.int64))
        buyers = np.bincount(pairs >> 32, minlength=len(first_week))
        spans.append({"last_week": last, "launched": int(launched.sum()), "found": int((buyers >= BUYERS).sum())})
    new = (first_week > last_week - WEEKS) & (first_week <= last_week)
    return {
        "last_week": last_week,
        "spans": spans[::-1],
        "never_sold": int((first_week > last_week).sum()),
        "recommended": int(lists[new].sum()),
        "new": _newest(new, first_week, lines, last_week, titles, lists) if spans else [],
    }


def _newest(
    new: Bools, first_week: Ints, lines: Mapping[str, Ints], last_week: int, titles: Sequence[str],
    lists: Ints,
) -> list[dict[str, Any]]:  # fmt: skip
    """The new products in most baskets, with their baskets by week."""
    there = new[lines["item"]] & (lines["week"] <= last_week)
    pairs = np.unique(np.stack([lines[name][there] for name in ("item", "week", "basket")]), axis=1)
    week = pairs[1] - (last_week - WEEKS + 1)
    baskets = np.zeros((len(first_week), WEEKS), np.int64)
    np.add.at(baskets, (pairs[0], week), 1)
    total = baskets.sum(axis=1)
    order = np.argsort(-total, kind="stable")[:NUM_SHOWN]
    return [
        {
            "title": titles[item],
            "first_week": int(first_week[item]),
            "baskets": baskets[item].tolist(),
            "lists": int(lists[item]),
        }
        for item in order.tolist()
        if total[item] >= BUYERS
    ]


def view(night: Night) -> LaunchView | None:
    """The section, or None when neither the shelf nor a figure of the launch model is known."""
    shop, figures = night.launches, _figures(finite(night.metrics.ours("debut")))
    if shop is None and not figures:
        return None
    spans = list((shop or {}).get("spans") or [])
    return LaunchView(
        verdict=_verdict(spans),
        sentences=tuple(_sentences(shop, night)) if shop else (),
        spans=_picture(spans) if len(spans) > 1 else None,
        rows=tuple(_row(product, int((shop or {})["last_week"])) for product in (shop or {}).get("new", ())),
        figures=tuple(figures),
        quality=_quality(night),
    )


def line(night: Night) -> str:
    """The latest launches in a few words for the top of the page; "" where nothing is known of them."""
    spans = (night.launches or {}).get("spans")
    if not spans or not spans[-1]["launched"]:
        return ""
    now, before = spans[-1], _before(spans)
    counted = f"{words.count(now['found'])} of {words.things(now['launched'], 'new product')} found five buyers"
    return f"{counted} in four weeks{f'; before, {before}' if before else ''}."


def _before(spans: list[dict[str, int]]) -> str:
    """How many launches found their buyers in the spans before the latest: "35 to 59"; "" where it is the first."""
    counts = [span["found"] for span in spans[:-1]]
    if not counts:
        return ""
    return str(counts[0]) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"


def _verdict(spans: list[dict[str, int]]) -> str:
    if not spans:
        return "The data is too short to tell what is new."
    now, before = spans[-1], _before(spans)
    until = words.day(words.sunday(now["last_week"]))
    sold = "product was" if now["launched"] == 1 else "products were"
    said = (
        f"{words.count(now['launched'])} {sold} sold for the first time in the four weeks to {until}; "
        f"{words.count(now['found'])} of them found five buyers or more."
    )
    if before:
        spans_before = words.things(len(spans) - 1, "span")
        said += f" In the {spans_before} of four weeks before, it was {before}."
    return said


def _sentences(shop: Content, night: Night) -> list[str]:
    said = []
    if shop["never_sold"]:
        said.append(f"{words.things(shop['never_sold'], 'product')} of the catalogue have never been sold.")
    customers = (night.summary or {}).get("num_customers")
    if shop["recommended"]:
        said.append(f"New products take {words.things(shop['recommended'], 'place')} on tonight’s lists.")
    elif customers:
        said.append("No new product stands on tonight’s lists.")
    return said


def _picture(spans: list[dict[str, int]]) -> Markup:
    rows = [
        pictures.Bar(words.brief_day(words.sunday(span["last_week"])), span["found"], str(span["found"]))
        for span in spans
    ]
    label = ", ".join(f"{row.shown} to {row.name}" for row in rows)
    return pictures.columns(rows, f"Launches that found five buyers, by four weeks: {label}")


def _row(product: Mapping[str, Any], last_week: int) -> NewRow:
    weeks = [int(number) for number in product["baskets"]]
    label = f"Baskets in the last four weeks, week by week: {words.listed([str(number) for number in weeks])}"
    since = words.monday(product["first_week"])
    return NewRow(
        title=product["title"],
        since=f"week of {words.brief_day(since)}",
        weeks=charts.steps(weeks, label),
        baskets=words.count(sum(weeks)),
        lists=words.count(product["lists"]) if product["lists"] else "–",
    )


def _figures(ours: Mapping[str, Content]) -> list[KeyFigure]:
    """What the launch model reached on launches that it had not seen."""
    figures = []
    auc, ndcg = ours.get("audience_auc"), ours.get(METRIC)
    if auc:
        meaning = (
            "chance that a launch’s buyer stands above another customer in its audience; by chance alone .5; mean over "
            f"{words.things(auc['num_launches'], 'launch')} with five buyers or more"
        )
        figures.append(KeyFigure("Who will want it: AUC", words.fraction(auc["value"]), words.reach(auc), meaning))
    if ndcg:
        meaning = "how near the top of a customer’s ten stood the launches that they then bought"
        figures.append(KeyFigure("Which launch: NDCG@10", words.fraction(ndcg["value"]), words.reach(ndcg), meaning))
    return figures


def _quality(night: Night) -> str:
    """How the launch model compares with the best simple rule."""
    paired = finite(by_model(night.metrics.paired.get("debut", {})))
    best = best_baseline(finite(by_model(night.metrics.debut)))
    if best is None or best not in paired:
        return ""
    verbs = {"better": "is ahead of", "level": "cannot be distinguished from", "worse": "is behind"}
    return (
        f"The launch model {verbs[words.standing(paired[best])]} {words.model(best)}, customer by customer: NDCG@10 "
        f"{words.interval(paired[best], plus=True)}."
    )

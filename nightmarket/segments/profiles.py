"""One profile per segment: size, value, what it buys, when, how it answers campaigns and what it says."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nightmarket.contracts.arrays import Bools, Int64s
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.evaluation.intervals import clustered
from nightmarket.histories.histories import Histories
from nightmarket.segments import naming
from nightmarket.segments.answers import answers, strategy
from nightmarket.segments.behaviour import Assortment, Visits, behaviour
from nightmarket.segments.grouping import Grouping, agreement, group
from nightmarket.segments.portraits import bought, more_often, rfm, when
from nightmarket.segments.worth import Worth, group_worth


class Reviews(NamedTuple):
    """What customers buy together and say: per kind of document the topics' names and counts (C, T + 1), those without
    a topic last; and per review with a known customer who wrote it and whether it is praise."""

    topics: dict[str, tuple[list[str], np.ndarray]]
    writer: np.ndarray
    praise: np.ndarray


class SegmentInput(NamedTuple):
    """What is known of the customers whose segments are described.

    features  behaviour, one row per grouped customer
    campaign_answers  customers x campaigns, as `reached` gives them, with their customer code
    closed    days on which the shop was closed, ascending
    """

    features: pd.DataFrame
    lines: Histories
    visits: Visits
    assortment: Assortment
    campaign_answers: pd.DataFrame
    reviews: Reviews
    closed: Int64s | None = None


def profiles(grouping: Grouping, customers: SegmentInput, value: Worth | None) -> list[dict[str, Any]]:
    """One profile per segment, in the order of the grouping's names."""
    lines, pairs = customers.lines, customers.campaign_answers
    marks = [naming.traits(customers.features, grouping.segment == name) for name in grouping.names]
    spend = np.bincount(lines.customer, weights=lines.value, minlength=lines.num_customers)
    today = int(lines.day.max())
    out = []
    for name, traits, words in zip(grouping.names, marks, naming.names(marks), strict=True):
        inside = grouping.segment == name
        member = np.zeros(lines.num_customers, bool)
        member[customers.features.index[inside]] = True
        mine = member[pairs["customer"]]
        answered = answers(pairs[mine])
        others = {row["kind"]: row for row in answers(pairs[~mine])}
        worth = group_worth(value, member) if value else None
        out.append(
            {
                "segment": name,
                "name": words,
                "size": int(inside.sum()),
                "share_customers": float(inside.mean()),
                "share_value": float(spend[member].sum() / spend.sum()) if spend.any() else None,
                "traits": naming.to_json(traits),
                "rfm": rfm(lines, member, today, customers.closed),
                "value": {"weeks": value.weeks, **worth._asdict()} if value and worth else None,
                "categories": bought(lines, customers.assortment, member),
                "when": when(customers.visits, member),
                "responses": answered,
                "strategy": strategy(answered, others),
                "reviews": _reviews(customers.reviews, member, len(grouping.names)),
            }
        )
    return out


def _reviews(reviews: Reviews, member: Bools, num_groups: int) -> dict[str, Any]:
    """Topics that the group has more of than the others, and its share of praise; nothing of a group that is small."""
    content: dict[str, Any] = {}
    for kind, (names, counts) in reviews.topics.items():
        rows = more_often(counts[:, :-1], counts.sum(1), member, num_groups * max(len(names), 1))
        content[kind] = [{"name": names[row["topic"]]} | row for row in rows]
    mine = member[reviews.writer]
    people = int(np.unique(reviews.writer[mine]).size)
    share = clustered(reviews.writer[mine], reviews.praise[mine])._asdict() if people >= MIN_GROUP else None
    content["praise"] = share and share | {"people": people}
    return content


def week_before(grouping: Grouping, customers: SegmentInput, seed: int) -> dict[str, float] | None:
    """The same number of groups, made from what was known a week ago, beside tonight's; None where too few customers
    were known then."""
    lines, visits = customers.lines, customers.visits
    day = int(lines.day.max()) - 7
    known = lines.where(lines.day <= day), visits.where(visits.day <= day)
    features = behaviour(*known, customers.assortment, day, customers.closed).dropna()
    if len(features) <= len(grouping.centres):
        return None
    before = group(features, 0, seed, len(grouping.centres))
    tonight = pd.Series(grouping.segment, customers.features.index)
    return agreement(tonight, pd.Series(before.segment, features.index))


def value_figures(value: Worth) -> dict[str, Any]:
    """How good the predicted value is: mean absolute error per customer, against as much as in the weeks before."""
    errors = {name: getattr(value, name)._asdict() for name in ("model", "naive", "paired")}
    return {"weeks": value.weeks, "weights": list(value.weights), "mean": float(np.nanmean(value.value))} | errors

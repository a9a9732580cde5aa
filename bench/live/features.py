"""Features at request time against those of training, row by row, over visits of a made-up shop."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.next_item.visits import LEARN_DAYS, Made
from nightmarket.histories.interactions import KINDS
from nightmarket.ranking.sessions.features import Asked
from nightmarket.ranking.sessions.learning import Cut, cuts
from nightmarket.ranking.sessions.orders import SessionOrders
from nightmarket.serving.live import Ask, LiveEvent
from nightmarket.serving.live import bundle as halves
from nightmarket.serving.live.recommender import Question
from tasks.bundle import write

ROWS = 40
"""Candidates of each request that are compared, drawn."""


def compare(name: str, seed: int, num: int, customers: float, products: float) -> tuple[dict[str, Any], str]:
    """How many of `num` requests have a feature that training would have seen otherwise; and a line."""
    made, rng = Made(name, seed, customers, products), np.random.default_rng(seed)
    shop = made.shop(made.last - LEARN_DAYS)
    with tempfile.TemporaryDirectory() as scratch:
        write(Path(scratch), shop, SessionOrders.plain(), made.data, "0", None)
        bundle = halves.read(Path(scratch) / "model", Path(scratch) / "state")
        compared = different = rows = 0
        while compared < num:
            for cut in cuts(made.events, shop.cut, rng, num - compared):
                taught = Asked(shop, made.ask(shop, cut))
                items = taught.candidates()
                items = np.sort(rng.permutation(items)[:ROWS])
                visit = Question(bundle, asked(made, cut, taught)).visit
                same = np.array_equal(taught.features(items), Asked(bundle.shop, visit).features(items), equal_nan=True)
                different += not same
                compared += 1
                rows += items.size
    content = {"shop": name, "requests": compared, "rows": rows, "different": different}
    return content, f"{compared:,} requests of {name}, {rows:,} rows: {different:,} requests differ"


def asked(made: Made, cut: Cut, taught: Asked, **context: Any) -> Ask:
    """What the site asks where training asks `taught`: the same events, by ids."""
    num = taught.visit.item.size - taught.shop.past.of(cut.customer)[0].size
    since = slice(cut.told - num, cut.told)
    did = zip(made.events.kind[since], made.events.item[since], made.events.second[since], strict=True)
    events = tuple(LiveEvent(KINDS[kind], made.product_ids[item], float(second)) for kind, item, second in did)
    customer = made.customer_ids[cut.customer] if cut.customer >= 0 else None
    return Ask(float(taught.visit.now), customer=customer, events=events, **context)

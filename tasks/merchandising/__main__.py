"""`python -m tasks.merchandising [FILE]`: what the shop's rules change in tonight's lists, and what that costs.

Nothing is written. It needs a night that has run: its tables, and the champion.
"""

import argparse
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Int32s
from nightmarket.delivery.deliverable import Deliverable
from nightmarket.delivery.rules.change import Cost, ListChange, change, cost
from nightmarket.evaluation.protocol import Task, Window, targets
from nightmarket.histories.calendar import date_of
from nightmarket.ranking.candidate_set import CandidateSet
from nightmarket.ranking.generators import best_sellers
from nightmarket.ranking.lists import fill
from nightmarket.ranking.model import Model
from nightmarket.ranking.recipe import of_customers
from tasks.campaigns import tonight
from tasks.files import catalogue, manifest, storage
from tasks.files.prepared import Prepared
from tasks.merchandising import night
from tasks.merchandising.rules_file import ShopRules
from tasks.models import recommender
from tasks.models.scored import scored
from tasks.pipeline import settings
from tasks.pipeline.params import ParamsFile
from tasks.registry.champion import stands_in

BAD_INPUT = 2
STEP, MOST = 256, 2_048
"""Customers that are looked at together, and in all: drawn where there are more."""
WIDTH = 46


@dataclass(frozen=True)
class Preview:
    """A night, and the rules to be tried on it."""

    shop: ShopRules
    data: Prepared
    champion: Model
    goods: Deliverable
    num: int

    def lists(self, window: Window) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], tuple[str, ...]]:
        """Customers (C,), ascending, their lists (C, K) without and with the rules at a cut, and what is odd."""
        data = self.data
        candidate_set = recommender.candidate_set(self.champion, data, catalogue.CHAMPION_FINETUNE.path, window)
        sells = best_sellers(candidate_set.statistics, self.champion.popular_span)
        valid_on = date_of(data.windows.deliver.cut + 1)
        ruled = night.of_night(self.shop, data, self.goods, sells, window.cut, valid_on=valid_on)
        assert ruled is not None  # asked where a rule is valid
        parts = list(self._parts(candidate_set, ruled))
        who, without, by_rules = (np.concatenate(part) for part in zip(*parts, strict=True))
        return who, without, by_rules, ruled.notes

    def _parts(self, candidate_set: CandidateSet, ruled: night.NightLists) -> Iterator[tuple[Int32s, Int32s, Int32s]]:
        forest, names = self.champion.forests.on_sale(candidate_set.promotion_plan), candidate_set.features
        slices = list(candidate_set.statistics.slices(STEP))
        drawn = np.random.default_rng(17).permutation(len(slices))[: MOST // STEP]
        for every in candidate_set.batches(wanted=[slices[at] for at in sorted(drawn.tolist())]):
            rows = every.customers.rows
            who = np.arange(rows.start, rows.stop, dtype=np.int32)
            may = self.goods.may(every.customer, every.item)
            plain = scored(self.champion, forest, Task.ALL, every, names, may, self.goods, self.num)
            without = np.full((who.size, self.num), -1, np.int32)
            fill(without, plain.customer - rows.start, plain.item, plain.score)
            may &= ruled.allowed(every.customer, every.item)
            left = scored(self.champion, forest, Task.ALL, every, names, may, self.goods, self.num)
            chosen = ruled.choose(who, left.customer, left.item, left.score, self.num, self.goods)
            personal = ~ruled.objected[who]
            yield who[personal], without[personal], chosen.item[personal]


def main(arguments: list[str] | None = None) -> int:
    """Print the table; exit code 2 where the file is wrong or no night has run."""
    parser = argparse.ArgumentParser(prog="python -m tasks.merchandising", description="What a file of rules changes.")
    parser.add_argument("file", nargs="?", default=str(catalogue.RULES), help="rules.yaml, or a draft of it")
    path = Path(parser.parse_args(arguments).file)
    logging.getLogger("nightmarket").setLevel(logging.ERROR)
    try:
        print("\n".join(preview(path)))
    except InputError as error:
        print(f"nightmarket: rules: {error}", file=sys.stderr)
        return BAD_INPUT
    return 0


def preview(path: Path) -> list[str]:
    """The lines of the table. Raises InputError, in one line, for a file that is wrong, and before the first night."""
    if not path.exists():
        raise InputError(f"there is no file {path}; write one, or name another: make rules FILE=draft.yaml")
    section: Any = settings.load("score")
    where = ParamsFile.read(settings.PARAMS).where("score", "num_recommendations")
    shop = ShopRules.load(path, section.num_recommendations, where)
    if not shop.rules:
        return [f"{path.name} holds no rule: lists stay as they are"]
    if not catalogue.CHAMPION_RECEIPT.path.exists() or not catalogue.WINDOWS.path.exists():
        raise InputError(
            f"{path.name} holds {len(shop.rules)} rules and is right; run `make nightly` to see what it does"
        )
    manifest.verify(storage.CHAMPION)
    data, champion = Prepared(), recommender.load(catalogue.CHAMPION_RANK.path)
    if stands_in(catalogue.CHAMPION_RECEIPT.read()):
        champion = champion.popular()
    today = date_of(data.windows.deliver.cut + 1)
    valid = sum(rule.holds_on(today) for rule in shop.rules)
    if not valid:
        return [f"{path.name}: none of {len(shop.rules)} rules is valid on {today}: lists stay as they are"]
    made = Preview(shop, data, champion, tonight.deliverable(data), section.num_recommendations)
    who, without, by_rules, notes = made.lists(data.windows.deliver)
    judged, before, after, _ = made.lists(data.windows.test)
    wanted = of_customers(targets(data.histories, data.windows.test)[Task.ALL], judged)
    head = f"{path.name}: {valid} of {len(shop.rules)} rules are valid on {today}; lists of {made.num} products"
    drawn = f", of {len(data.customers):,} drawn at random" if who.size < len(data.customers) else ""
    changed = _change(change(without, by_rules), made.num, data, drawn)
    return [head, "", *changed, *_cost(cost(before, after, wanted), data.windows.test), *_notes(notes)]


def _change(what: ListChange, num: int, data: Prepared, drawn: str) -> Iterator[str]:
    share = what.num_changed / max(what.num_customers, 1)
    yield _row("customers whose list changes", f"{what.num_changed:,} of {what.num_customers:,} ({share:.0%}){drawn}")
    yield _row("products of a list that are others", f"{what.places:.1f} of {num} on average")
    for title, products in (("what goes", what.gone), ("what comes", what.come)):
        for at, (item, customers) in enumerate(products or [(-1, 0)]):
            name = _named(data, item) if item >= 0 else "nothing"
            many = f", {customers:,} customer{'s' if customers > 1 else ''}" if item >= 0 else ""
            yield _row(title if at == 0 else "", f"{name}{many}")


def _cost(what: Cost, window: Window) -> Iterator[str]:
    days = f"{date_of(window.first_target)} to {date_of(window.last_target)}"
    if not what.num_customers:
        yield _row("who bought something on their list", f"nobody bought anything from {days}, so nothing can be said")
        return
    yield _row(
        "who bought something on their list",
        f"{what.without.value:.1%} without rules, {what.with_rules.value:.1%} with them",
    )
    change_of = what.difference
    points = f"{100 * change_of.value:+.1f} points, between {100 * change_of.low:+.1f} and {100 * change_of.high:+.1f}"
    yield _row("  what the rules cost", f"{points} (95%); {what.num_customers:,} customers, {days}")


def _notes(notes: tuple[str, ...]) -> Iterator[str]:
    if notes:
        yield ""
    yield from (f"! {note}" for note in notes)


def _row(left: str, right: str) -> str:
    return f"  {left:{WIDTH - 2}}{right}"


def _named(data: Prepared, item: int) -> str:
    product = data.products.iloc[item]
    title = product["title"] if isinstance(product["title"], str) else ""
    return f"{title[:WIDTH]} ({product['product_id']})".strip()


if __name__ == "__main__":
    sys.exit(main())

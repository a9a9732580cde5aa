"""Reasons: every number in every sentence is counted again from the purchases, and what moved the score chose it."""

import re
from string import Formatter

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest

from nightmarket.histories.calendar import last_day
from nightmarket.histories.catalogue import catalogue
from nightmarket.histories.histories import Histories
from nightmarket.histories.interactions import TARGETS
from nightmarket.histories.promotions import Promotions
from nightmarket.ranking.candidate_set import Budget, CandidateSet
from nightmarket.ranking.explanations import facts
from nightmarket.ranking.explanations.claims import CLAIMS, MIN_BUYERS
from nightmarket.ranking.explanations.explaining import explain, mix
from nightmarket.ranking.explanations.facts import Facts
from nightmarket.ranking.explanations.families import FAMILIES, by_family, family_of
from nightmarket.ranking.explanations.paths import Paths
from nightmarket.ranking.explanations.wording import LANGUAGES
from nightmarket.ranking.point_in_time import PointInTimeStatistics

NUM_CUSTOMERS, NUM_ITEMS, ORIGIN = 60, 48, 19
LOOKS = {"cart", "looked", "looked_once", "looked_like"}
"""Sentences of shops that record looks and carts: test_behaviour has them."""
CUT = last_day(ORIGIN)
LAST_DAY = CUT + 1
NAMED = r"(?P<it>title \d+)"
TIMES = r"(?P<times>once|[\d,]+ times)"


@pytest.fixture(scope="module")
def lines() -> pd.DataFrame:
    """24 weeks of habits: customers buy in one or two shops, from a third of the shelf, and repeat themselves."""
    rng = np.random.default_rng(3)
    num = 4000
    customer = rng.integers(0, NUM_CUSTOMERS, num)
    item = (customer * 5 + rng.integers(0, 4, num) * rng.integers(0, 4, num)) % 40
    week = rng.integers(0, 24, num)
    # Items 40..43 came on sale a few weeks before the origin, 44..47 come after it.
    item = np.where((week >= 15) & (rng.random(num) < 0.1), 40 + customer % 4, item)
    item = np.where((week >= 20) & (rng.random(num) < 0.3), 44 + customer % 4, item)
    frame = pd.DataFrame({"customer": customer, "item": item, "week": week})
    frame["day"] = frame.week * 7 + 4 + rng.integers(0, 2, num) * 3
    frame["channel"] = np.where(rng.random(num) < 0.8, customer % 3, 3)
    frame["quantity"] = rng.integers(1, 4, num)
    frame["discount"] = np.where((frame.item % 5 == 0) & (frame.week > 16), 0.4, 0.0) * frame.quantity
    frame["value"] = (1 + frame.item % 7) * frame.quantity * np.where(rng.random(num) < 0.5, 0.8, 1.0) - frame.discount
    frame = frame.sort_values(["customer", "day"], kind="stable").reset_index(drop=True)
    frame["basket"] = frame.groupby(["customer", "day", "channel"]).ngroup()
    return frame


@pytest.fixture(scope="module")
def products() -> pd.DataFrame:
    index = np.arange(NUM_ITEMS)
    kinds = [f"KIND {i % 6}" for i in index]
    return pd.DataFrame(
        {
            "title": [f"title {i // 2 if i < 8 else i % 24 // 2 if 24 <= i < 28 else i}" for i in index],
            "department": "food",
            "category": [f"shelf {i % 3}" for i in index],
            "type": kinds,
            "maker": [None if i % 8 == 7 else f"m{i % 4}" for i in index],
            "brand": "b",
            "text_id": np.where(index < 8, index // 2, np.where(index < 40, index, index % 4)),
            "recommendable": True,
        }
    )


@pytest.fixture(scope="module")
def candidate_set(lines, products) -> CandidateSet:
    columns = {
        name: lines[name].to_numpy(np.int32) for name in ("customer", "item", "week", "day", "basket", "channel")
    }
    columns |= {name: lines[name].to_numpy(np.float32) for name in ("quantity", "value", "discount")}
    histories = Histories(**columns, num_customers=NUM_CUSTOMERS, num_items=NUM_ITEMS)
    shown = np.array([[3, 18, 1, 0], [9, 19, 0, 1], [12, 21, 1, 1], [15, 2, 1, 1]])
    floats = (shown[:, 2].astype(np.float32), shown[:, 3].astype(np.float32))
    promotions = Promotions(shown[:, 0].astype(np.int32), shown[:, 1].astype(np.int32), *floats)
    statistics = PointInTimeStatistics(histories.until(CUT), catalogue(products), CUT, promotions)
    return CandidateSet(statistics, Budget(), None, np.arange(44, 48, dtype=np.int32), 28, promotion_plan=True)


@pytest.fixture(scope="module")
def told(candidate_set, products):
    """Every family given the whole say in turn, on every candidate: (family, sentence, customer, item)."""
    reasons = []
    for batches, names in (
        (candidate_set.batches, candidate_set.features),
        (candidate_set.launches, candidate_set.launch_features),
    ):
        for batch in batches():
            # Columns that may be added later find their family by their first word.
            columns = [*names, "group_num", "shop_buyers"]
            rows = np.concatenate([batch.features, np.zeros((len(batch.item), 2), np.float32)], axis=1)
            for family in CLAIMS:
                given = np.array([[float(family_of(name) == family) for name in columns]], np.float32)
                if not given.any():
                    continue
                given = np.repeat(given, len(rows), axis=0)
                made = explain(
                    rows, columns, given, batch.customer, batch.item, Facts(candidate_set.statistics, products)
                )
                reasons += zip(made.family, made.texts, batch.customer.tolist(), batch.item.tolist(), strict=True)
    return reasons


class Oracle:
    """What a reason may claim, counted the slow way from the lines up to the origin."""

    def __init__(self, lines, products):
        self.past = lines[lines.week <= ORIGIN]
        self.recent = self.past[self.past.week > ORIGIN - 4]
        self.products = products
        self.maker = products.maker.fillna("")

    def mine(self, customer, items):
        return self.past[(self.past.customer == customer) & self.past.item.isin(items)]

    def times(self, said, customer, items):
        return said == times(self.mine(customer, items).basket.nunique())

    def age(self, said, rows):
        return said == span(LAST_DAY - rows.day.max())

    def gap(self, said, rows):
        days = np.sort(rows.day.unique())
        mean = np.diff(days).mean()  # the ranker holds it as a quotient of float32: half a day may fall either way
        return said in (span(mean - 0.01), span(mean + 0.01))

    def same(self, column, item):
        values = self.products[column].fillna("")
        return set(np.flatnonzero(values == values[item]))

    def like(self, claim, customer, item, *columns):
        """The named product is one of the customer's own, shares the columns, and was bought so often; none more."""
        items = set.intersection(*(self.same(column, item) for column in columns)) - {item}
        if "maker" in columns and not self.maker[item]:
            return False
        own = self.mine(customer, items).groupby("item").basket.nunique()
        best = own[own == own.max()].index
        named = claim.groupdict().get("it")
        if named:
            best = [i for i in best if self.products.title[i] == named]
        return len(best) > 0 and claim["times"] == times(own.max())

    def repeat(self, claim, customer, item):
        rows, said = self.mine(customer, [item]), claim.groupdict()
        good = self.times(said.get("times", "once"), customer, [item]) and self.age(said["age"], rows)
        return good and (said.get("gap") is None or self.gap(said["gap"], rows))

    def kind(self, claim, customer, item):
        for column in ("type", "category"):
            if self.products[column][item].lower() == claim["kind"].lower():
                rows, said = self.mine(customer, self.same(column, item)), claim.groupdict()
                good = said.get("baskets") in (None, LANGUAGES["en"].count("baskets", rows.basket.nunique()))
                good &= said.get("age") is None or self.age(said["age"], rows)
                return good and (said.get("gap") is None or self.gap(said["gap"], rows))
        return False

    def together(self, claim, customer, item):
        with_item = set(self.past[self.past.item == item].basket)
        good = []
        for other in np.flatnonzero(self.products.title == claim["it"]):
            with_other = set(self.past[self.past.item == other].basket)
            common, all_baskets = len(with_item & with_other), self.past.basket.nunique()
            often = common >= 3 and common * all_baskets >= 2 * len(with_item) * len(with_other)
            owned = not self.mine(customer, [other]).empty
            good.append(often and owned and claim["times"] == times(common))
        return any(good)

    def buyers(self, claim, customer, item):
        rows, said = self.past[self.past.item == item], claim.groupdict()
        num, was = (rows[rows.week.between(ORIGIN - a, ORIGIN - b)].customer.nunique() for a, b in ((3, 0), (7, 4)))
        good = num >= MIN_BUYERS and said["customers"] == LANGUAGES["en"].count("customers", num)
        return good and said.get("more") in (None, str(num - was))

    def loyal(self, claim, customer, item):
        days = self.past[self.past.item == item].groupby("customer").day.nunique()
        share = f"{round(100 * np.float32((days > 1).mean()))}%"
        return claim["customers"] == LANGUAGES["en"].count("customers", len(days)) and claim["share"] == share

    def shop(self, claim, customer, item):
        visits = self.past[self.past.customer == customer].groupby("channel").basket.nunique()
        usual = visits[visits == visits.max()].index.min()
        there = self.recent[(self.recent.channel == usual) & (self.recent.item == item)]
        return claim["customers"] == LANGUAGES["en"].count("customers", there.customer.nunique())

    def price(self, rows):
        return rows.value.sum() / rows.quantity.sum()

    def to_kind(self, claim, customer, item):
        usual = self.price(self.mine(customer, self.same("type", item)))
        share = 1 - self.price(self.past[self.past.item == item]) / usual
        return close(claim["share"], share) and claim["kind"] == self.products.type[item].lower()

    def now(self, claim, customer, item):
        return close(
            claim["share"],
            1 - self.price(self.recent[self.recent.item == item]) / self.price(self.past[self.past.item == item]),
        )

    def discount(self, claim, customer, item):
        rows = self.recent[self.recent.item == item]
        return close(claim["share"], rows.discount.sum() / (rows.value.sum() + rows.discount.sum()))

    def new(self, claim, customer, item):
        first = self.past[self.past.item == item].week.min()
        return claim["weeks"] == LANGUAGES["en"].count("weeks", ORIGIN - first + 1) and ORIGIN - first < 8

    def unsold(self, item):
        return self.past[self.past.item == item].empty


def times(num):
    return "once" if num == 1 else f"{num} times"


def span(days):
    num, noun = (round(np.float32(days) / 7), "week") if days >= 14 else (round(max(float(np.float32(days)), 1)), "day")
    return f"{num} {noun}" + ("" if num == 1 else "s")


def close(said, share):
    return abs(float(said.rstrip("%")) - 100 * share) <= 0.51


def checks(oracle):
    """By key of the sentence: how it reads, and whether what it says is so."""
    age, gap = r"(?P<age>\d+ (?:day|week)s?)", r"(?P<gap>\d+ (?:day|week)s?)"
    customers, share, weeks = r"(?P<customers>\d+ customers?)", r"(?P<share>\d+%)", r"(?P<weeks>\d+ weeks?)"
    kind, baskets = r"(?P<kind>kind \d|shelf \d)", r"(?P<baskets>\d+ baskets?)"
    fields = {"age": age, "gap": gap, "customers": customers, "share": share, "weeks": weeks, "kind": kind}
    fields |= {"baskets": baskets, "more": r"(?P<more>\d+)", "it": NAMED, "times": TIMES}

    def like(*columns, new=False):
        return lambda f, c, i: oracle.like(f, c, i, *columns) and oracle.unsold(i) == new

    def anyone(*ways):
        return lambda f, c, i: any(way(f, c, i) for way in ways)

    judge = {
        "repeat_often": oracle.repeat,
        "repeat": oracle.repeat,
        "repeat_once": oracle.repeat,
        "text": like("text_id"),
        "line": like("type", "category", "maker"),
        "line_twin": anyone(like("type", "category", "maker"), like("maker")),
        "maker": like("maker"),
        "kind_often": oracle.kind,
        "kind": oracle.kind,
        "goes_with": oracle.together,
        "popular": oracle.buyers,
        "popular_rising": oracle.buyers,
        "loyal": oracle.loyal,
        "shop": oracle.shop,
        "price_kind": oracle.to_kind,
        "price_now": oracle.now,
        "discount": oracle.discount,
        "plan_mailer": lambda f, c, i: i == 12,
        "plan_display": lambda f, c, i: i == 12,
        "mailer": lambda f, c, i: i == 9,
        "display": lambda f, c, i: i == 3,
        "new_like": lambda f, c, i: (
            anyone(like("text_id"), like("type", "category", "maker"))(f, c, i) and oracle.new(f, c, i)
        ),
        "new": oracle.new,
        "launch_like": anyone(like("text_id", new=True), like("type", "category", "maker", new=True)),
        "launch_maker": like("maker", new=True),
        "launch_kind": lambda f, c, i: oracle.kind(f, c, i) and oracle.unsold(i),
    }

    def pattern(sentence):
        return "".join(re.escape(text) + fields.get(name, "") for text, name, *_ in Formatter().parse(sentence))

    return {key: (re.compile(pattern(LANGUAGES["en"].sentences[key])), way) for key, way in judge.items()}


def test_every_number_and_name_in_every_sentence_is_so_in_the_purchases(told, lines, products):
    table, seen = checks(Oracle(lines, products)), {}
    rng = np.random.default_rng(0)
    for place in rng.permutation(len(told)):
        family, text, customer, item = told[place]
        if family == "fallback":
            continue
        keys = [key for key, (pattern, _) in table.items() if pattern.fullmatch(text)]
        assert keys, text
        if min(seen.get(key, 0) for key in keys) >= 40:
            continue
        for key in keys:
            seen[key] = seen.get(key, 0) + 1
        right = [key for key in keys if table[key][1](table[key][0].fullmatch(text), customer, item)]
        assert right, (family, text, customer, item)
    unspoken = set(table) - set(seen) - {"plan_display"}
    assert not unspoken, f"the shop of this test never makes {unspoken}"
    assert set(LANGUAGES["en"].sentences) - set(table) == {"launch", "fallback", "this_kind", "best_seller"} | LOOKS | {
        "pinned",
        "in_range",
    }


def test_a_sentence_belongs_to_the_family_that_had_the_say(told, lines, products):
    assert {family for family, *_ in told} == {*CLAIMS, "fallback"} - LOOKS
    own = set(zip(lines.customer[lines.week <= ORIGIN], lines.item[lines.week <= ORIGIN], strict=True))
    assert {(c, i) in own for family, _, c, i in told if family == "repeat"} == {True}
    silent = [i for family, text, _, i in told if text == LANGUAGES["en"].say("launch")]
    assert min(silent) >= 44


def test_the_reason_is_of_the_largest_positive_family_that_has_something_to_say(candidate_set, products):
    batch = next(iter(candidate_set.batches()))
    names, rng = candidate_set.features, np.random.default_rng(1)
    given = rng.normal(0, 1, batch.features.shape).astype(np.float32)
    around = Facts(candidate_set.statistics, products)
    made = explain(batch.features, names, given, batch.customer, batch.item, around)
    moved = by_family(given, names)
    alone = {}
    for family in {family_of(name) for name in names} & set(CLAIMS):
        only = np.repeat([[family_of(name) == family for name in names]], len(given), 0).astype(np.float32)
        alone[family] = explain(batch.features, names, only, batch.customer, batch.item, around)
    for row, (family, text) in enumerate(zip(made.family, made.texts, strict=True)):
        able = {
            f: moved[row, list(FAMILIES).index(f)] for f, made_alone in alone.items() if made_alone.family[row] == f
        }
        able = {f: by for f, by in able.items() if by > 0}
        best = max(able, key=able.__getitem__, default="fallback")
        assert family == best
        assert made.moved[row] == (able[family] if able else 0)
        assert text == (alone[family].texts[row] if able else LANGUAGES["en"].say("fallback"))
    assert len(set(made.family)) > 5


def test_nothing_but_traits_of_the_customer_gives_no_reason(candidate_set, products):
    batch = next(iter(candidate_set.batches()))
    names = [*candidate_set.features, "a_name_that_nobody_knows"]
    rows = np.concatenate([batch.features, np.ones((len(batch.item), 1), np.float32)], axis=1)
    given = np.repeat([[family_of(name) in ("customer", "other") for name in names]], len(rows), 0).astype(np.float32)
    assert given[0].sum() == 8
    made = explain(rows, names, given, batch.customer, batch.item, Facts(candidate_set.statistics, products))
    assert set(made.family) == {"fallback"}
    assert set(made.texts) == {LANGUAGES["en"].say("fallback")}
    assert not made.moved.any()


def test_every_feature_of_the_scene_has_a_family(candidate_set):
    assert {
        name for name in (*candidate_set.features, *candidate_set.launch_features) if family_of(name) == "other"
    } == set()
    later = {
        "text_due": "text",
        "shop_4w": "shop",
        "price_gap": "price",
        "plan_weeks": "promotion",
        "score_als": "goes_with",
    }
    assert {name: family_of(name) for name in later} == later


def test_other_languages_say_the_same(candidate_set, products):
    assert [set(words.sentences) for words in LANGUAGES.values()] == [set(LANGUAGES["en"].sentences)] * len(LANGUAGES)
    for key, text in LANGUAGES["zh"].sentences.items():
        assert fields(text) == fields(LANGUAGES["en"].sentences[key]), key
    batch = next(iter(candidate_set.batches()))
    given = np.random.default_rng(2).normal(0, 1, batch.features.shape).astype(np.float32)
    both = [
        explain(
            batch.features,
            candidate_set.features,
            given,
            batch.customer,
            batch.item,
            Facts(candidate_set.statistics, products),
            words,
        )
        for words in ("en", "zh")
    ]
    assert (both[0].family == both[1].family).all()
    for english, chinese in zip(both[0].texts, both[1].texts, strict=True):
        numbers = [sorted(re.findall(r"\d+", re.sub(r"\bonce\b", "1", t))) for t in (english, chinese)]
        assert numbers[0] == numbers[1], (english, chinese)


def fields(text):
    return sorted(name for _, name, *_ in Formatter().parse(text) if name)


def test_partners_do_not_depend_on_how_many_are_counted_at_a_time(candidate_set, products, monkeypatch):
    customer, item = (a.ravel().astype(np.int32) for a in np.indices((NUM_CUSTOMERS, 40)))
    whole = Facts(candidate_set.statistics, products).goes_with(customer, item)
    monkeypatch.setattr(facts, "_ENTRIES", 500)
    piecewise = Facts(candidate_set.statistics, products)
    first = piecewise.goes_with(customer[:100], item[:100])
    assert (np.stack(first) == np.stack(whole)[:, :100]).all()
    assert (np.stack(piecewise.goes_with(customer, item)) == np.stack(whole)).all()
    assert (whole[0] >= 0).mean() > 0.3


def test_titles_are_cut_put_on_one_line_and_never_read_as_templates(candidate_set, products):
    odd = products.assign(title=["{times} %s {0.__class__} \n" + "long " * 30 for _ in products.index], type=" ")
    batch = next(iter(candidate_set.batches()))
    given = np.repeat([[float(family_of(n) == "line") for n in candidate_set.features]], len(batch.item), 0).astype(
        np.float32
    )
    made = explain(
        batch.features, candidate_set.features, given, batch.customer, batch.item, Facts(candidate_set.statistics, odd)
    )
    named = [text for text in made.texts if "{times} %s {0.__class__} long" in text]
    assert not any("\n" in text or len(text) > 110 for text in made.texts)
    assert all("…" in text for text in named)


def test_no_history_and_no_makers_still_give_reasons(candidate_set, products):
    empty = Histories(*(np.zeros(0, t) for t in [np.int32] * 4 + [np.float32] * 3 + [np.int32] * 2), 3, NUM_ITEMS)
    bare = PointInTimeStatistics(empty, candidate_set.statistics.catalogue, CUT, candidate_set.statistics.promotions)
    names = ["item_num", "kind_num", "buyers_4w", "group_num", "line_num", "score_ease", "shop_buyers", "sold_for"]
    rows = np.zeros((3, len(names)), np.float32)
    customer, item = np.arange(3, dtype=np.int32), np.arange(3, dtype=np.int32)
    made = explain(rows, names, np.ones_like(rows), customer, item, Facts(bare, products[["title"]]))
    assert made.texts == [LANGUAGES["en"].say("launch")] * 3


def test_the_mix_counts_what_speaks_of_the_product_alone():
    family = np.array(["repeat", "repeat", "popular", "fallback"], object)
    assert mix(family) == {"repeat": 0.5, "fallback": 0.25, "popular": 0.25, "generic": 0.5}
    assert mix(np.zeros(0, object)) == {"generic": 0.0}


def booster(num_leaves, num_trees=12, label=None):
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(900, 5)).astype(np.float32)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    if label is None:
        label = (np.nan_to_num(rows[:, 0]) * np.nan_to_num(rows[:, 1]) + np.nan_to_num(rows[:, 2]) > 0.3).astype(int)
    weight = rng.integers(1, 6, 900)
    settings = {
        "objective": "binary",
        "num_leaves": num_leaves,
        "verbosity": -1,
        "num_threads": 1,
        "deterministic": True,
    }
    return lgb.train(settings, lgb.Dataset(rows, label, weight=weight), num_trees), rows


def test_contributions_and_base_add_up_to_the_score_and_share_treeshaps_base():
    made, rows = booster(15)
    paths = Paths(made)
    given = paths.contributions(rows)
    np.testing.assert_allclose(given.sum(axis=1) + paths.base, made.predict(rows, raw_score=True), atol=1e-5)
    shap = made.predict(rows, pred_contrib=True)
    assert paths.base == pytest.approx(shap[0, -1], abs=1e-9)
    assert np.corrcoef(given.ravel(), shap[:, :-1].ravel())[0, 1] > 0.9


def test_with_one_split_per_tree_contributions_are_shapley_values():
    made, rows = booster(2, 40)
    shap = made.predict(rows, pred_contrib=True)
    np.testing.assert_allclose(Paths(made).contributions(rows), shap[:, :-1], atol=1e-6)


def test_trees_that_never_split_contribute_nothing():
    made, rows = booster(15, 3, label=np.zeros(900, int))
    paths = Paths(made)
    assert not paths.contributions(rows).any()
    np.testing.assert_allclose(paths.base, made.predict(rows[:1], raw_score=True)[0], atol=1e-9)
    assert paths.contributions(rows[:0]).shape == (0, 5)


def test_reasons_speak_of_what_the_lists_foretell():
    english, chinese = (LANGUAGES[name].of("view") for name in ("en", "zh"))
    assert english.say("repeat", times=english.count("times", 3), age="2 days") == "looked at 3 times, last 2 days ago"
    kind = english.say("kind", kind="tea", baskets=english.count("baskets", 2), age="2 days")
    assert kind == "you looked at tea in 2 visits, last 2 days ago"
    assert chinese.say("fallback") == "根据您的全部浏览记录推测"
    for language in LANGUAGES.values():
        assert language.of("purchase") == language
        for target in set(TARGETS) - {"purchase"}:
            told = language.of(target)
            assert told.sentences.keys() == language.sentences.keys()
            assert not any(word in text for text in told.sentences.values() for word in ("bought", "buy", "买"))

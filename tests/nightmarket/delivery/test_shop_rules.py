"""The shop's rules: what they mean for lists, worked out by hand and, for random files, by a checker of its own."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from nightmarket.contracts import InputError
from nightmarket.delivery.rules.choosing import choose
from nightmarket.delivery.rules.declared import VERBS
from nightmarket.delivery.rules.tonight import NightProducts, NightRules, Recipients
from nightmarket.histories.texts import levels
from nightmarket.testing.shop import make_shop
from tasks.merchandising.rules_file import ShopRules

TODAY = date(2026, 6, 1)
EIGHT = pd.DataFrame(
    {
        "product_id": list("abcdefgh"),
        "brand": ["Acme", "Acme", "Acme", "Bolt", "Bolt", "Corn", None, None],
        "maker": "m",
        "department": ["Food"] * 4 + ["Drink"] * 4,
        "category": ["Snacks"] * 4 + ["Wine"] * 2 + ["Juice"] * 2,
        "type": ["Nuts", "Nuts", "Chips", "Chips", "Red", "White", "Apple", "Pear"],
        "price": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
        "cost": [0.9, 1.8, 2.7, 3.6, 4.5, 5.4, 1.0, np.nan],
        "stock": [5, 5, 1, np.nan, 5, 5, 5, 5],
    }
)


def night(*entries, table=EIGHT, group=None, days=None, knows_markets=True):
    """The rules of tonight."""
    rules = [VERBS[next(verb for verb in VERBS if verb in entry)].model_validate(entry) for entry in entries]
    own = np.full(len(table), -1, np.int32) if group is None else np.array(group, np.int32)
    usual = np.zeros(len(table)) if days is None else np.array(days, float)
    products = NightProducts(table, own, np.arange(len(table), dtype=np.int32), lambda: usual, knows_markets)
    return NightRules.of(rules, products, TODAY, lambda number, key: f"rule {number + 1}")


def lists(rules, *, best="abcdefgh", num=4, who=None, **how):
    """The list of each recipient, as letters; all have the same candidates, best first."""
    who = Recipients.unknown() if who is None else who
    item = np.tile([ord(letter) - ord("a") for letter in best], who.num).astype(np.int32)
    row = np.repeat(np.arange(who.num, dtype=np.int32), len(best))
    score = np.tile(-np.arange(len(best), dtype=float), who.num)
    chosen = choose(rules, who, row, item, score, num, lambda rows, items: np.ones(items.size, bool), **how)
    return ["".join(chr(ord("a") + code) for code in codes if code >= 0) for codes in chosen.item.tolist()]


def people(*markets, age=None, bought=None, channel=None):
    """Recipients of these markets."""
    return Recipients(
        np.array(markets, object),
        np.array(age or [np.nan] * len(markets), float),
        channel,
        None if bought is None else tuple(np.array(column, np.int32) for column in zip(*bought, strict=True)),
    )


@pytest.mark.parametrize(
    ("entry", "kept"),
    [
        ({"hide": {"id": ["a", "c"]}}, "bdef"),
        ({"hide": {"brand": "ACME"}}, "defg"),
        ({"hide": {"category": "Food > Snacks"}}, "efgh"),
        ({"hide": {"category": "snacks > nuts"}}, "abcd"),  # a path begins at the top
        ({"hide": {"category": "nuts"}}, "cdef"),  # a name alone is at any level
        ({"hide": {"category": "Food", "brand": "Acme"}}, "defg"),
        ({"hide": {"attribute": {"price": {"least": 2, "most": 4}}}}, "aefg"),
        ({"hide": {"attribute": {"price": [1, "2"]}}}, "cdef"),
        ({"bury": {"brand": ["Acme", "Bolt"]}}, "fgha"),
        ({"pin": {"id": ["h", "g"]}, "place": [1, 3]}, "hagb"),
        ({"pin": {"brand": "bolt"}, "place": 2}, "adbc"),
        ({"cap": 1, "per": "brand"}, "adfg"),
        ({"cap": 2, "per": "department"}, "abef"),
        ({"cap": 1, "per": "type"}, "acef"),
        ({"cap": 1, "products": {"brand": ["Acme", "Bolt"]}}, "afgh"),
        ({"least_stock": 2}, "abde"),
        ({"not_again": 30}, "abcd"),  # nothing is known of a stranger
        ({"margin": 5.0}, "gabc"),
        ({"hide": {"brand": "Acme"}, "valid_from": date(2026, 6, 2)}, "abcd"),
        ({"hide": {"brand": "Acme"}, "valid_until": date(2026, 5, 31)}, "abcd"),
        ({"hide": {"brand": "Acme"}, "valid_from": date(2026, 6, 1), "valid_until": date(2026, 6, 1)}, "defg"),
    ],
)
def test_each_kind_of_rule_does_what_it_says(entry, kept):
    assert lists(night(entry)) == [kept]


def test_limits_hold_for_those_who_may_be_in_the_audience_and_wishes_for_those_who_are():
    who = people("de", "fr", None)
    assert lists(night({"hide": {"id": "a"}, "audience": {"market": "DE"}}), who=who) == ["bcde", "abcd", "bcde"]
    assert lists(night({"pin": {"id": "h"}, "audience": {"market": "DE"}}), who=who) == ["habc", "abcd", "abcd"]
    assert lists(night({"sold_in": ["DE"], "products": {"id": "a"}}), who=who) == ["abcd", "bcde", "bcde"]
    assert lists(night({"sold_in": ["DE"], "products": {"id": "a"}}, knows_markets=False)) == ["abcd"]
    who = people("de", "it", None)
    assert lists(night({"cap": 1, "per": "brand", "audience": {"market": "DE"}}), who=who) == [
        "adfg",
        "abcd",
        "adfg",
    ]
    app, unknown = people("de", channel="App"), people("de")
    assert lists(night({"bury": {"id": "a"}, "audience": {"channel": "app"}}), who=app) == ["bcde"]
    assert lists(night({"bury": {"id": "a"}, "audience": {"channel": "app"}}), who=unknown) == ["abcd"]
    assert lists(night({"hide": {"id": "a"}, "audience": {"channel": "app"}}), who=unknown) == ["bcde"]


def test_an_age_holds_from_that_birthday_on_and_from_18_for_nobody_of_unknown_age():
    who = people("de", "de", "de", age=[16, 15, np.nan])
    assert lists(night({"least_age": 16, "products": {"id": "a"}}), who=who) == ["abcd", "bcde", "abcd"]
    assert lists(night({"least_age": 18, "products": {"id": "a"}}), who=who)[2] == "bcde"


def test_what_was_bought_comes_back_after_its_days_in_any_size():
    bought = [(0, 0, 9), (0, 1, 10), (0, 1, 40), (1, 2, 9)]
    rules = night({"not_again": 10}, group=[-1, -1, 0, 0, -1, -1, -1, -1])
    assert lists(rules, who=people("de", "de", bought=bought)) == ["bcef", "abef"]
    cycle = night({"not_again": "cycle", "products": {"brand": "Acme"}}, days=[5, 20, 999] + [99] * 5)
    assert lists(cycle, who=people("de", "de", bought=[*bought, (0, 3, 1)])) == ["acde", "abde"]


def test_a_pin_keeps_its_place_however_short_of_room_and_gives_way_to_a_limit_alone():
    cap = {"cap": 2, "per": "brand"}
    assert lists(night({"pin": {"id": "c"}, "place": 4}, cap)) == ["adec"]  # its brand's second place is kept for it
    rules = night({"pin": {"id": "c"}}, {"hide": {"brand": "Acme"}})
    assert lists(rules) == ["defg"]
    assert "the place goes to another" in rules.clashing(lambda number, key: f"rule {number + 1}")[0]
    assert lists(night({"pin": {"id": "h"}, "place": 4}), best="ab", fill_up=False) == ["abh"]
    assert lists(night({"pin": {"id": "h"}}), pins=False) == ["abcd"]


def test_lists_are_filled_up_with_what_is_popular_and_one_of_a_group_alone():
    assert lists(night({"hide": {"id": ["a", "b"]}}), best="abh") == ["hcde"]
    assert lists(night({"hide": {"id": "a"}}, group=[-1, 0, 0, 0, -1, -1, -1, -1]), best="cb") == ["cefg"]
    assert lists(night({"bury": {"id": "h"}}), best="h") == ["abcd"]
    assert lists(night({"bury": {"category": "Drink"}}), best="h", num=6) == ["abcdhe"]
    assert lists(night({"hide": {"id": "a"}}), best="b", fill_up=False) == ["b"]


def test_what_means_nothing_is_noted_with_the_nearest_name_and_an_unknown_attribute_is_an_error():
    notes = night({"hide": {"brand": "Acne", "category": "Food > Snaks"}}).notes
    assert notes == (
        "rule 1: brand: no product of 'Acne' tonight; did you mean 'acme'?",
        "rule 1: category: no product of 'Food > Snaks' tonight; did you mean 'food > snacks'?",
    )
    assert "bring the column cost" in night({"margin": 1}, table=EIGHT.drop(columns="cost")).notes[0]
    assert "too few purchases" in night({"not_again": "cycle"}).notes[0]
    with pytest.raises(InputError, match="rule 1: attribute: no product has 'prise'; did you mean price"):
        night({"hide": {"attribute": {"prise": 1}}})


# --- random files -----------------------------------------------------------------------------------------------------

NUM, PEOPLE = 8, 10
MARKETS, CHANNELS = ("de", "at", "cn"), ("app", "mail")


def a_shop(seed):
    """Products of a made-up shop with what a real one has besides, and customers."""
    rng = np.random.default_rng(seed)
    table = make_shop(num_customers=20, num_products=60, num_weeks=4, seed=seed)["products"].to_pandas()
    table = table.drop(columns="category").join(levels(table["category"]))
    num = len(table)
    table["brand"] = np.where(rng.random(num) < 0.1, None, rng.choice(["Acme", "Bolt", "Corn", "Dune"], num))
    table["stock"] = np.where(rng.random(num) < 0.2, np.nan, rng.integers(0, 9, num))
    table["cost"] = np.where(rng.random(num) < 0.3, np.nan, table["price"] * rng.random(num))
    group = np.where(rng.random(num) < 0.3, rng.integers(0, 8, num), -1).astype(np.int32)
    popular = rng.permutation(num)[: num - int(rng.integers(0, 20))].astype(np.int32)
    bought = tuple(rng.integers(0, top, 60).astype(np.int32) for top in (PEOPLE, num, 60))
    who = Recipients(
        rng.choice([*MARKETS, None], PEOPLE),
        np.where(rng.random(PEOPLE) < 0.3, np.nan, rng.integers(10, 60, PEOPLE)).astype(float),
        rng.choice([*CHANNELS, None]),
        bought,
    )
    return table, group, popular, who, rng.choice([0.0, 5.0, 30.0, 91.0], num)


def some_products(rng, table):
    """A selection as a file has it."""
    row = table.iloc[int(rng.integers(len(table)))]
    path = [row["department"], row["category"], row["type"]][: int(rng.integers(1, 4))]
    kinds = {
        "id": rng.choice(table["product_id"], int(rng.integers(1, 5)), False).tolist(),
        "brand": rng.choice(["Acme", "Bolt", "Corn", "Dune"], int(rng.integers(1, 3)), False).tolist(),
        "category": " > ".join(dict.fromkeys(path)),
        "attribute": {"price": {"least": float(rng.integers(1, 5))}},
    }
    names = rng.choice(list(kinds), int(rng.integers(1, 3)), False)
    return {str(name): kinds[name] for name in names}


def a_rule(rng, table, today=TODAY):
    """An entry of a file."""
    verb = str(rng.choice(list(VERBS)))
    entry = {
        "hide": lambda: {"hide": some_products(rng, table)},
        "bury": lambda: {"bury": some_products(rng, table)},
        "pin": lambda: {"pin": some_products(rng, table), "place": int(rng.integers(1, NUM + 1))},
        "cap": lambda: {
            "cap": int(rng.integers(1, 5)),
            "per": str(rng.choice(["brand", "department", "type", "category"])),
        },
        "not_again": lambda: {"not_again": "cycle" if rng.random() < 0.5 else int(rng.integers(1, 60))},
        "least_age": lambda: {"least_age": int(rng.integers(12, 40)), "products": some_products(rng, table)},
        "sold_in": lambda: {"sold_in": [str(rng.choice(MARKETS))], "products": some_products(rng, table)},
        "least_stock": lambda: {"least_stock": int(rng.integers(1, 6))},
        "margin": lambda: {"margin": float(rng.uniform(0.1, 2))},
    }[verb]()
    if verb in ("cap", "not_again", "least_stock", "margin") and rng.random() < 0.5:
        entry["products"] = some_products(rng, table)
    audience = {"market": MARKETS, "channel": CHANNELS}
    chosen = {name: str(rng.choice(values)) for name, values in audience.items() if rng.random() < 0.2}
    if chosen:
        entry["audience"] = chosen
    if rng.random() < 0.2:
        entry["valid_from"] = today + timedelta(days=int(rng.integers(0, 2)))
    return entry


def means(selection, row):
    """Whether a selection as a file has it means a product."""
    path = [row["department"], row["category"], row["type"]]
    path = [name.casefold() for at, name in enumerate(path) if at == 0 or name != path[at - 1]]
    for key, wanted in (selection or {}).items():
        if key == "id" and row["product_id"] not in wanted:
            return False
        if key == "brand" and row["brand"] not in wanted:
            return False
        if key == "attribute" and not row["price"] >= wanted["price"]["least"]:
            return False
        if key == "category":
            names = [name.casefold() for name in wanted.split(" > ")]
            if not (path[: len(names)] == names if len(names) > 1 else names[0] in path):
                return False
    return True


def holds(entry, who, row):
    """Whether a rule holds for a customer: True, False, or None where that is not known of them."""
    answers = []
    for key, value in entry.get("audience", {}).items():
        theirs = who.channel if key == "channel" else getattr(who, key)[row]
        answers.append(None if theirs is None else theirs == value)
    return False if False in answers else None if None in answers else True


def forbids(entry, who, row, product, rows_of, group, days):
    """Whether a rule keeps a product out of a customer's list, by itself."""
    verb, line = next(iter(entry)), rows_of[product]
    if holds(entry, who, row) is False:
        return False
    if verb == "hide":
        return means(entry["hide"], line)
    if verb not in ("least_age", "sold_in", "least_stock", "not_again") or not means(entry.get("products"), line):
        return False
    if verb == "least_age":
        age = who.age[row]
        return (17 if np.isnan(age) else age) < entry["least_age"]
    if verb == "sold_in":
        return who.market[row] not in entry["sold_in"]
    if verb == "least_stock":
        return line["stock"] < entry["least_stock"]
    for customer, item, ago in zip(*who.bought, strict=True):
        same = item == product or (group[item] >= 0 and group[item] == group[product])
        limit = days[product] if entry["not_again"] == "cycle" else entry["not_again"]
        if customer == row and same and ago < limit:
            return True
    return False


def counted(entry, line):
    """What a cap counts a product as; None where it does not."""
    if not means(entry.get("products"), line):
        return None
    names = {"department": ["department"], "category": ["department", "category"]}
    value = tuple(line[name] or "" for name in names.get(entry["per"], ["department", "category", "type"]))
    return line["brand"] if entry["per"] == "brand" else value


def check_lists(entries, table, group, popular, who, days, chosen, on_sale, today=TODAY):
    """Assert all that a list owes to its rules."""
    rows_of = table.to_dict("records")
    rules = [entry for entry in entries if entry.get("valid_from", today) <= today]
    caps = [entry for entry in rules if "cap" in entry]
    num_people, num = chosen.item.shape
    for row in range(num_people):
        mine = [product for product in chosen.item[row].tolist() if product >= 0]
        assert len(mine) == len({*mine})
        for product in mine:
            assert not any(forbids(entry, who, row, product, rows_of, group, days) for entry in rules)
        own_caps = [entry for entry in caps if holds(entry, who, row) is not False]

        def fits(product, beside, own_caps=own_caps):
            """Whether a product may stand beside others."""
            if group[product] >= 0 and group[product] in group[beside]:
                return False
            for entry in own_caps:
                what = counted(entry, rows_of[product])
                if what is not None and sum(counted(entry, rows_of[at]) == what for at in beside) >= entry["cap"]:
                    return False
            return True

        assert all(fits(product, [other for other in mine if other != product]) for product in mine)

        def free(product, row=row):
            """Whether nothing forbids a product that can be had."""
            if not on_sale[product]:
                return False
            return not any(forbids(entry, who, row, product, rows_of, group, days) for entry in rules)

        if len(mine) < num:
            left = [product for product in popular.tolist() if product not in mine and free(product)]
            assert not any(fits(product, mine) for product in left), "a list is short where products remain"
        pinned = [product for product, held in zip(chosen.item[row], chosen.pinned[row], strict=True) if held]
        for entry in rules:
            if "pin" in entry and holds(entry, who, row) is True:
                place = entry["place"] - 1
                pool = [product for product in popular.tolist() if means(entry["pin"], rows_of[product])]
                held = place < len(mine) and chosen.pinned[row, place] and mine[place] in pool
                if not held and len(mine) == num:
                    others = [product for product in pool if free(product) and product not in pinned]
                    assert not any(fits(product, pinned) for product in others), "a pin does not hold"


def loaded(path):
    """The rules of a file, or what is wrong with it."""
    try:
        return ShopRules.load(path, NUM), ""
    except InputError as error:
        return None, str(error)


def try_files(seeds, folder):
    """Random files on made-up shops; how many could not hold together."""
    shops, contradictory = [a_shop(seed) for seed in range(6)], 0
    for seed in seeds:
        rng = np.random.default_rng([seed, 5])
        table, group, popular, who, days = shops[seed % len(shops)]
        entries = [a_rule(rng, table) for _ in range(int(rng.integers(1, 8)))]
        path = folder / "rules.yaml"
        path.write_text(yaml.safe_dump({"rules": entries}, sort_keys=False), encoding="utf-8")
        shop, said = loaded(path)
        if shop is None:
            assert said.count("rules.yaml, line") == 2, said  # both lines are named
            contradictory += 1
            continue
        products = NightProducts(table, group, popular, lambda days=days: days)
        rules = NightRules.of(shop.rules, products, TODAY, shop.where)
        on_sale = np.isin(np.arange(len(table)), popular)
        item = np.concatenate([rng.permutation(len(table))[:25] for _ in range(PEOPLE)]).astype(np.int32)
        row = np.repeat(np.arange(PEOPLE, dtype=np.int32), 25)
        score = rng.normal(size=item.size)
        chosen = choose(rules, who, row, item, score, NUM, lambda _, items, on_sale=on_sale: on_sale[items])
        check_lists(entries, table, group, popular, who, days, chosen, on_sale)
    return contradictory


def test_random_files_break_no_limit_leave_nobody_short_and_hold_caps_and_pins(tmp_path: Path):
    assert try_files(range(20), tmp_path) < 10


@pytest.mark.slow
@pytest.mark.parametrize("hundred", range(10))
def test_a_thousand_random_files_break_no_limit_leave_nobody_short_and_hold_caps_and_pins(tmp_path: Path, hundred: int):
    first = 40 + 100 * hundred
    assert try_files(range(first, first + 100), tmp_path) < 50

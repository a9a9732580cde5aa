"""make rules: what a file of rules changes in tonight's lists, and what that costs; the examples of the page run."""

import json
import re
import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nightmarket.delivery.rules.change import change, cost
from nightmarket.delivery.rules.choosing import choose
from nightmarket.delivery.rules.tonight import NightProducts, NightRules, Recipients
from nightmarket.evaluation.protocol import Targets
from tasks.files import manifest
from tasks.merchandising.__main__ import main
from tasks.merchandising.rules_file import ShopRules

PAGE = Path(__file__).parents[2] / "docs/how-to/shop-rules.md"


def test_what_changes_and_what_it_costs_is_counted_by_customer():
    without = np.array([[0, 1], [2, 3], [4, -1], [0, 1]], np.int32)
    by_rules = np.array([[1, 0], [2, 5], [4, -1], [5, 1]], np.int32)
    what = change(without, by_rules)
    assert (what.num_customers, what.num_changed, what.places) == (4, 3, 0.5)
    assert what.gone == [(0, 1), (3, 1)]
    assert what.come == [(5, 2)]
    wanted = Targets(np.array([0, 1, 2, 3, 3]), np.array([1, 3, 9], np.int32))  # the last one bought nothing
    price = cost(without, by_rules, wanted)
    assert price.without.value == pytest.approx(2 / 3)
    assert price.with_rules.value == pytest.approx(1 / 3)
    assert price.difference.value == pytest.approx(-1 / 3)
    assert price.num_customers == 3


def test_the_preview_says_how_many_what_goes_what_comes_and_the_price(copied_night, capsys):
    rules = copied_night / "rules.yaml"
    assert main([]) == 2
    assert "there is no file rules.yaml" in capsys.readouterr().err
    rules.write_text("rules: []\n", encoding="utf-8")
    assert main([]) == 0
    assert "lists stay as they are" in capsys.readouterr().out
    rules.write_text("rules:\n  - cap: 1\n    per: type\n", encoding="utf-8")
    assert main([]) == 2
    assert "run `make nightly`" in capsys.readouterr().err
    champion = copied_night / "data/champion"
    for part in ("rank", "finetune"):
        shutil.copytree(copied_night / "artifacts" / part, champion / part)
    (champion / "receipt.json").write_text(json.dumps({"version": "1"}))
    manifest.write(champion)
    draft = copied_night / "draft.yaml"
    draft.write_text("rules:\n  - cap: 1\n    per: type\n  - hide: {brand: Natonal}\n", encoding="utf-8")
    assert main([str(draft)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("draft.yaml: 2 of 2 rules are valid on ")
    assert re.search(r"customers whose list changes +\d+ of 80 \(\d+%\)", out)
    assert re.search(r"what goes +\S.*, \d+ customers", out)
    assert re.search(r"what comes +\S.*, \d+ customers", out)
    assert re.search(r"[+-]\d+\.\d points, between [+-]\d+\.\d and [+-]\d+\.\d \(95%\); \d+ customers", out)
    assert "! draft.yaml, line 4: brand: no product of 'Natonal' tonight; did you mean 'national'?" in out
    draft.write_text("rules:\n  - hide: {brand: x}\n    valid_until: 2001-01-01\n", encoding="utf-8")
    assert main([str(draft)]) == 0
    assert "none of 1 rules is valid on" in capsys.readouterr().out


EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_page_are_right_and_make_lists(tmp_path, example):
    path = tmp_path / "rules.yaml"
    path.write_text(example, encoding="utf-8")
    shop = ShopRules.load(path, 20)
    assert len(shop.rules) >= 5
    names = ["Tobacco", "Wine", "Cheese", "Snacks", "Coats", "Shirts", "Prescription", "Pain", "Sleep", "Care"] * 6
    table = pd.DataFrame({"product_id": [f"p{number}" for number in range(60)], "department": "All", "type": names})
    table = table.assign(category=names, maker="m", brand=["Acme", "Atelier", "Outlet", "Bolt"] * 15, size="M")
    table = table.assign(price=np.arange(60) / 10 + 1, cost=np.arange(60)[::-1] / 60, stock=5.0)
    products = NightProducts(table, np.full(60, -1, np.int32), np.arange(60, dtype=np.int32), lambda: np.full(60, 9.0))
    rules = NightRules.of(shop.rules, products, date(2026, 12, 8), shop.where)
    assert len(rules.held) == len(shop.rules)
    nothing = np.zeros(0, np.int32)
    chosen = choose(rules, Recipients.unknown(3), nothing, nothing, np.zeros(0), 8, lambda _, items: items >= 0)
    assert (chosen.item >= 0).sum(axis=1).tolist() == [8, 8, 8]


def test_the_page_has_an_example_for_each_of_three_shops():
    assert len(EXAMPLES) == 3

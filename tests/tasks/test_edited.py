"""Texts that a person changed: kept where the guard finds nothing, and never after the plan was answered."""

import datetime

import pandas as pd
import pytest

from nightmarket.contracts import InputError
from nightmarket.copywriting.facts import CopyFacts, CopyOffer, Product
from nightmarket.copywriting.writers.prompt import as_data, facts_of_data
from tasks.campaigns import edited, export
from tasks.files import catalogue, storage

OFFER = CopyOffer(
    "discount", "Bananas", datetime.date(2026, 12, 1), datetime.date(2026, 12, 7), percent=20.0, threshold=15.0,
    code="FRUIT20",
)  # fmt: skip
FACTS = CopyFacts(
    "en", "Corner Market", "USD", Product("Bananas", category="bananas"), OFFER, "bought by 643 customers",
    praise=("fresh",), readers=("high spend",),
)  # fmt: skip
GOOD = "20% off Bananas from $15 with the code FRUIT20 until 7 Dec. Corner Market"


@pytest.fixture
def plan(tmp_path):
    """A plan that waits, with one text message, in a checkout that knows two products."""
    row = {"brief": "1|fruit|sms|en", "segment": "1", "offer": "fruit", "channel": "sms", "locale": "en", "form": "sms"}
    rows = [row | {"place": place, "text": GOOD, "writer": "template", "nearness": 0.5} for place in (1, 2)]
    folder = tmp_path / "plan"
    catalogue.COPY.at(folder).write(rows)
    storage.write_json({"facts": {row["brief"]: as_data(FACTS)}}, tmp_path / "summary.json")
    edited.keep_facts(tmp_path / "summary.json", folder)
    names = {"title": ["Bananas", "Oat drink"], "type": ["bananas", "drinks"], "category": ["fruit", "drinks"]}
    columns = {"product_id": ["1", "2"], "brand": ["", "Oatly"], **names}
    catalogue.PRODUCTS.at(tmp_path).write(pd.DataFrame(columns))
    return folder


def edit(plan, text):
    return edited.edit(plan, plan.parent, "1|fruit|sms|en", {"sms": text})


def test_facts_come_back_from_what_was_kept_of_them():
    without = CopyFacts("zh", "小店", "CNY", Product("香蕉", price=3.5, is_new=True))
    for facts in (FACTS, without):
        assert facts_of_data(as_data(facts), facts.locale) == facts


def test_an_edit_that_says_what_the_offer_says_is_kept_and_changes_what_would_be_approved(plan):
    for name in (export.PLAN, export.ELIGIBLE, export.SUMMARY):
        (plan / name).touch()
    before = export.digest(plan)
    assert edit(plan, "Bananas:  20% off from $15 with the code FRUIT20 until 7 Dec. Corner Market") == {}
    [message] = edited.messages(plan)
    assert message["texts"] == {"sms": "Bananas: 20% off from $15 with the code FRUIT20 until 7 Dec. Corner Market"}
    assert message["writer"] == "edited"
    assert [row["text"] for row in catalogue.COPY.at(plan).read().to_pylist() if row["place"] == 2] == [GOOD]
    assert export.digest(plan) != before


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (GOOD.replace("20%", "50%"), "percent"),
        (GOOD + " The best bananas in town!", "superlative"),
        (GOOD.replace(" until 7 Dec", ""), "missing"),
        (GOOD + " https://evil.example", "link"),
        ("x" * 200, "length"),
    ],
)
def test_an_edit_that_promises_more_is_not_kept_and_says_why(plan, text, rule):
    broken = edit(plan, text)
    assert any(rule in f"{violation.rule} {violation.what}" for violation in broken["sms"]), broken
    assert edited.messages(plan)[0]["texts"] == {"sms": GOOD}


def test_after_the_answer_and_for_what_is_not_there_nothing_is_changed(plan):
    with pytest.raises(InputError, match="there is no such text"):
        edited.edit(plan, plan.parent, "2|fruit|sms|en", {"sms": GOOD})
    with pytest.raises(InputError, match="every text of the message"):
        edited.edit(plan, plan.parent, "1|fruit|sms|en", {"sms": GOOD, "push": "Bananas"} | {"banner": GOOD})
    (plan / edited.ANSWERED).touch()
    with pytest.raises(InputError, match="answered already"):
        edit(plan, GOOD)

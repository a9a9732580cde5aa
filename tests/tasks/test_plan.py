"""plan: every limit holds in the file that is sent, its totals are the summary's, and mistakes are told in one line."""

import json
import shutil
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import yaml

from nightmarket.delivery.campaign import Channel, Options, Outlook, Rules, plan
from nightmarket.delivery.deliverable import Deliverable
from nightmarket.delivery.offers import OfferTerms
from tasks.__main__ import main
from tasks.campaigns import offers
from tasks.files import catalogue, storage


@pytest.fixture(scope="module")
def answered(whole_night, tmp_path_factory):
    """The night in a folder of its own, with a plan."""
    folder = tmp_path_factory.mktemp("plan") / "night"
    shutil.copytree(whole_night, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("NIGHTMARKET_HOME", raising=False)
        assert main("plan") == 0
    return folder


@pytest.fixture
def night(answered, monkeypatch):
    """The current folder; what is changed in params.yaml is put back."""
    monkeypatch.chdir(answered)
    monkeypatch.delenv("NIGHTMARKET_HOME", raising=False)
    before = (answered / "params.yaml").read_text(encoding="utf-8")
    yield answered
    (answered / "params.yaml").write_text(before, encoding="utf-8")


def planned(folder, **changes):
    """The stage with changed settings: plan.parquet and summary.json."""
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    params["plan"] |= changes
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    assert main("plan") == 0
    return read(folder)


def read(folder):
    out = folder / "artifacts/plan"
    return pd.read_parquet(out / "plan.parquet"), json.loads((out / "summary.json").read_text(encoding="utf-8"))


def refused(folder, capsys, **changes):
    """The one line that the stage says of wrong settings."""
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    params["plan"] |= changes
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    assert main("plan") == 2
    err = capsys.readouterr().err.strip()
    assert "\n" not in err
    return err


def test_every_limit_holds_and_totals_are_those_of_the_rows(night):
    rows, summary = planned(night, budget=6.0, max_per_customer=2, days=5)
    sent, campaign = rows[rows.arm == "send"], summary["campaign"]
    assert len(sent) > 10
    spend = sent.cost.astype(float).sum()
    assert spend <= 6.0 + 1e-6
    assert sent.groupby("customer_id").size().max() <= 2
    assert not sent.duplicated(["customer_id", "offer"]).any()
    assert not sent.duplicated(["customer_id", "day"]).any()
    assert sent.groupby(["channel", "day", "slot"]).size().max() <= 4
    assert set(rows.slot) <= {"9-12", "12-15", "15-18", "18-21"}, "quiet hours are 21 to 8"
    assert (sent.expected_profit > 0).all()
    start = date.fromisoformat(campaign["start"])
    assert rows.day.map(lambda day: 0 <= (day - start).days < 5).all()
    assert summary["spend"] == pytest.approx(spend)
    assert summary["expected_profit"] == pytest.approx(sent.expected_profit.astype(float).sum())
    assert summary["expected_responses"] == pytest.approx(sent.probability.astype(float).sum())
    certificate = summary["certificate"]
    assert certificate["value"] == pytest.approx(summary["expected_profit"], rel=1e-6)
    assert certificate["bound"] >= certificate["value"]
    assert certificate["gap"] == pytest.approx(1 - certificate["value"] / certificate["bound"], abs=1e-9)
    assert certificate["gap"] < 0.05
    for name in ("by_offer", "by_channel", "by_slot", "pacing"):
        assert sum(row["num"] for row in summary[name]) == len(sent)
        assert sum(row["spend"] for row in summary[name]) == pytest.approx(spend)
    assert "incremental" not in summary["words"]


def test_the_arms_of_all_who_would_be_contacted_are_logged_and_stand_whatever_is_planned(night):
    rows, summary = planned(night, holdout=0.3)
    logged = pd.read_parquet(night / "artifacts/plan/eligible.parquet").set_index("customer_id")
    assert set(logged.index) == set(rows.customer_id)
    assert summary["num_eligible"] >= len(logged) == summary["test"]["num"]
    assert summary["num_kept_back"] == (logged.arm == "holdout").sum() > 0
    assert (rows.arm == logged.arm[rows.customer_id].to_numpy()).all()
    assert (rows.propensity == logged.propensity[rows.customer_id].to_numpy()).all()
    assert set(logged.propensity[logged.arm == "holdout"]) == {0.3}
    held = rows[rows.arm == "holdout"]
    assert len(held)
    assert held.offer.notna().all(), "what they would have got"
    planned(night, holdout=0.3, budget=2.0, goal="responses")
    again = pd.read_parquet(night / "artifacts/plan/eligible.parquet").set_index("customer_id")
    both = again.index.intersection(logged.index)
    assert (again.arm[both] == logged.arm[both]).all()
    planned(night, holdout=0.3, name="another")
    other = pd.read_parquet(night / "artifacts/plan/eligible.parquet").set_index("customer_id")
    both = other.index.intersection(logged.index)
    assert not (other.arm[both] == logged.arm[both]).all()


def test_a_budget_for_a_few_contacts_keeps_somebody_back_and_says_first_that_nothing_can_be_measured(night):
    rows, summary = planned(night, budget=0.15, holdout=0.05, name="tiny")
    assert 1 <= summary["num_sent"] <= 20
    assert summary["num_holdout"] >= 1
    assert set(rows.customer_id[rows.arm == "holdout"]).isdisjoint(rows.customer_id[rows.arm == "send"])
    assert summary["words"].startswith("The effect of this campaign cannot be measured: only ")


def test_the_audience_that_was_asked_for_stands_in_the_summary_and_in_its_words(night):
    _, summary = planned(night, audience={"segments": [], "min_baskets": 3})
    assert (summary["campaign"]["segments"], summary["campaign"]["min_baskets"]) == ([], 3)
    assert "Asked for: all segments, customers with at least 3 baskets, by email." in summary["words"]


@pytest.fixture
def foretold(night):
    """Tonight's rows of customer care: a third each as usual, about to leave, and of these worth keeping."""
    before = catalogue.CARE_CUSTOMERS.read()
    rows = before.to_pandas()
    third = np.arange(len(rows)) % 3
    rows["standing"], rows["worth_keeping"] = np.where(third == 0, "active", "leaving"), third == 2
    catalogue.CARE_CUSTOMERS.write(rows)
    yield rows
    catalogue.CARE_CUSTOMERS.write(before)


@pytest.mark.parametrize("group", ["leaving", "worth_keeping"])
def test_a_campaign_to_keep_customers_reaches_those_alone_whom_care_names(night, foretold, group):
    rows, summary = planned(night, audience={"care": group})
    named = foretold[foretold["worth_keeping"] if group == "worth_keeping" else foretold["standing"] == "leaving"]
    assert set(rows.customer_id) <= set(named.customer_id)
    assert summary["num_sent"] > 0
    everybody = planned(night, audience={})[1]
    assert summary["num_eligible"] < everybody["num_eligible"]
    said = "about to leave and worth keeping" if group == "worth_keeping" else "about to leave"
    assert f"Asked for: all segments, {said}, by email." in summary["words"]


def test_without_forecasts_a_campaign_to_keep_customers_is_refused_and_any_other_is_planned(night, foretold, capsys):
    metrics = catalogue.CARE_METRICS.read()
    catalogue.CARE_CUSTOMERS.write_empty()
    catalogue.CARE_METRICS.write({"reason": "the history is too short"})
    line = refused(night, capsys, audience={"care": "leaving"})
    assert "plan.audience.care: nothing is foretold of single customers: the history is too short" in line
    assert planned(night, audience={})[1]["num_sent"] > 0
    catalogue.CARE_METRICS.write(metrics)


@pytest.mark.parametrize("days", [-1, -210, 93])
def test_a_start_that_is_over_or_far_ahead_is_refused_in_one_line(night, capsys, days):
    prepared = date.fromisoformat(json.loads((night / "artifacts/prepare/windows.json").read_text())["as_of"])
    line = refused(night, capsys, start=str(prepared + timedelta(days)))
    assert "plan.start" in line
    assert f"{abs(days)} days {'before' if days < 0 else 'after'} the day that the night prepared, {prepared}" in line


def test_contacts_of_one_week_are_limited_on_every_seven_days(night):
    rows, _ = planned(night, days=15, max_per_customer=4, max_per_week=1)
    sent = rows[rows.arm == "send"]
    assert sent.groupby("customer_id").size().max() > 1
    for _, days in sent.groupby("customer_id").day:
        assert all((later - earlier).days >= 7 for earlier, later in pairwise(sorted(days)))


def test_nobody_is_planned_for_whom_the_tables_do_not_clear_and_the_plan_counts_them(night):
    customers, path = pd.read_parquet("artifacts/prepare/customers.parquet"), "artifacts/prepare/customers.parquet"
    before, arms = planned(night, holdout=0.3)[1], pd.read_parquet("artifacts/plan/eligible.parquet")
    assert "The tables know no consent, and no ground is stated (plan.consent): nothing of" in before["words"]
    assert (before["consent"]["known"], before["consent"]["closed"]) == (False, [])
    kinds = ["no consent", "not reachable", "too young", "suppressed", "objected to profiling"]
    who = dict(zip(kinds, arms["customer_id"].iloc[:5], strict=True))
    row = customers["customer_id"]
    changed = customers.assign(
        consent_email=np.where(row == who["no consent"], None, "yes"),
        reachable_email=np.where(row == who["not reachable"], "no", "yes"),
        birth_year=np.where(row == who["too young"], 2020, 1970),
        consent_sms="yes",
    )
    listed = pd.DataFrame({"customer_id": [who["suppressed"], who["objected to profiling"]], "channel": ["email", None],
                           "from": pd.NaT, "reason": [None, "objected"]})  # fmt: skip
    suppressions = night / "artifacts/validate/clean/suppressions.parquet"
    try:
        changed.to_parquet(path)
        listed.to_parquet(suppressions)
        rows, summary = planned(night, holdout=0.3)
        eligible = pd.read_parquet("artifacts/plan/eligible.parquet")
        both, _ = planned(night, channels={"email": {"cost": 0.0}, "sms": {"cost": 0.0}}, budget=1000.0)
        changed.drop(columns=["consent_email", "consent_sms"]).to_parquet(path)
        stated = planned(night, consent="told at purchase")[1]
    finally:
        customers.to_parquet(path)
        suppressions.unlink()
    assert not {*who.values()} & {*rows["customer_id"], *eligible["customer_id"]}
    closed = {row["reason"]: row["customers"] for row in summary["consent"]["closed"]}
    assert closed == dict.fromkeys(kinds, 1)
    assert (
        summary["num_eligible"] == before["num_eligible"] - 5 == before["num_eligible"] - summary["consent"]["num_out"]
    )
    assert "Not contacted: 1 who objected to profiling, 1 suppressed for email, 1 too young" in summary["words"]
    stayed = arms.merge(eligible, on="customer_id", suffixes=("_before", ""))
    assert len(stayed) > len(arms) // 2
    assert (stayed["arm"] == stayed["arm_before"]).all()  # nobody else changes arms
    per_channel = [who["no consent"], who["not reachable"], who["suppressed"]]
    assert set(both[both["customer_id"].isin(per_channel)]["channel"]) <= {"sms"}
    assert not {who["too young"], who["objected to profiling"]} & {*both["customer_id"]}
    assert "The tables know no consent; contacts rest on the stated ground: told at purchase." in stated["words"]


def test_an_empty_budget_gives_an_empty_plan_and_a_loss_is_not_sent(night):
    rows, summary = planned(night, budget=0)
    assert rows.empty
    assert summary["empty_because"] == "the budget is 0"
    assert summary["certificate"] == {"value": 0.0, "bound": 0.0, "gap": 0.0, "unit": "currency"}
    rows, summary = planned(night, budget=30.0, channels={"post": {"cost": 500.0}})
    assert rows.empty
    assert "earn more than it costs" in summary["empty_because"]
    assert summary["num_eligible"] > 0


def test_without_a_responder_the_plan_is_empty_and_says_why(night):
    path = night / "artifacts/respond/responder.json"
    before = path.read_text(encoding="utf-8")
    try:
        path.write_text(json.dumps({"fitted": False, "reason": "no table `campaigns`"}), encoding="utf-8")
        assert main("plan") == 0
        rows, summary = read(night)
    finally:
        path.write_text(before, encoding="utf-8")
    assert rows.empty
    assert summary["empty_because"] == "no table `campaigns`"
    assert summary["words"].startswith("Nothing is sent: no table `campaigns`.")


def test_own_offers_are_planned_by_their_terms(night):
    products = pd.read_parquet("artifacts/prepare/products.parquet")
    usual = products[products.recommendable].department.mode()[0]
    offers = [
        {"name": "a tenth off", "kind": "discount", "category": usual, "discount": 0.1},
        {"name": "5 off 40", "kind": "threshold", "category": usual, "threshold": 40.0, "cost": 5.0},
        {"name": "a cup", "kind": "gift", "category": usual, "gift_cost": 1.5},
    ]
    rows, summary = planned(night, offers=offers, budget=1000.0, margin=1.0, channels={"app": {"cost": 0.0}})
    sent = rows[rows.arm == "send"]
    by_offer = sent.groupby("offer").agg(
        cost=("cost", "sum"), value=("expected_value", "sum"), chance=("probability", "sum")
    )
    ratio = by_offer.cost / by_offer.chance
    if "5 off 40" in by_offer.index:
        assert ratio["5 off 40"] == pytest.approx(5.0, rel=1e-4)
        assert by_offer.value["5 off 40"] / by_offer.chance["5 off 40"] >= 40 - 1e-3
    if "a tenth off" in by_offer.index:
        assert by_offer.cost["a tenth off"] == pytest.approx(0.1 * by_offer.value["a tenth off"], rel=1e-4)
    assert set(by_offer.index) <= {offer["name"] for offer in offers}
    assert len(by_offer) >= 2
    assert {offer["name"] for offer in summary["offers"]} == {offer["name"] for offer in offers}


@pytest.mark.parametrize(
    ("offer", "key"),
    [
        ({"name": "x", "kind": "discount", "category": "a", "discount": 1.2}, "plan.offers.0.discount"),
        ({"name": "x", "kind": "discount", "category": "a"}, "plan.offers.0"),
        ({"name": "x", "kind": "threshold", "category": "a", "threshold": 0, "cost": 1}, "plan.offers.0.threshold"),
        ({"name": "x", "kind": "gift", "category": "no such place", "gift_cost": 1}, "plan.offers.0.category"),
        ({"name": "x", "kind": "gift", "products": ["nope"], "gift_cost": 1}, "plan.offers.0.products"),
        ({"name": "x", "kind": "gift", "gift_cost": 1}, "plan.offers.0"),
    ],
)
def test_wrong_terms_are_told_by_their_key(night, capsys, offer, key):
    assert f": {key}: " in refused(night, capsys, offers=[offer])


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"slots": ["9-12", "11-14"]}, "plan.slots"),
        ({"slots": ["9"]}, "plan.slots"),
        ({"kind": "no such kind"}, "plan.kind"),
        ({"audience": {"segments": ["nobody"]}}, "plan.audience.segments.0"),
        ({"audience": {"care": "gone"}}, "plan.audience.care"),
        ({"holdout": 0}, "plan.holdout"),
        ({"budget": -1}, "plan.budget"),
    ],
)
def test_wrong_settings_are_told_by_their_key(night, capsys, changes, key):
    assert f": {key}: " in refused(night, capsys, **changes)


def test_an_offer_without_a_product_that_is_there_tonight_is_left_out_and_nobody_is_offered_what_they_may_not_have():
    num = 4
    goods = Deliverable(
        on_sale=np.array([True, False, True, False]),
        least_age=np.array([0.0, 0, 18, 0]),
        age=np.array([30.0, 15, np.nan]),
        sold_in=np.zeros((num, 0), bool),
        market=np.full(3, -1, np.int32),
        gone_back=np.zeros(0, np.int64),
        group=np.full(num, -1, np.int32),
        sizes=None,
    )
    every = [OfferTerms(name, "coupon", np.array(items, np.int32), 0.2)
             for name, items in (("milk", [0, 1]), ("wine", [2, 3]), ("gone", [1, 3]))]  # fmt: skip
    terms, offered, notes = offers.there_tonight(every, goods)
    assert {offer.name: offer.items.tolist() for offer in terms} == {"milk": [0], "wine": [2]}
    assert offered.tolist() == [[True, True], [True, False], [True, False]]
    assert notes == ["Left out, as no product of theirs is in stock or on sale: gone."]
    chance = np.full((3, 2), 0.5, np.float32)
    outlook = Outlook(
        chance, np.full((3, 2), 9.0, np.float32), np.zeros((3, 2), np.float32), np.ones((3, 1), np.float32)
    )
    chance[:, 1] = 0.9  # everybody would rather have wine
    rules = Rules(7, np.inf, 2, 2, {})
    options = Options(outlook, [Channel("email", 0.0, None)], rules, "responses", np.ones((3, 1), bool), offered)
    contacts = plan(options, np.arange(3), np.zeros(3, bool)).contacts
    assert set(contacts.customer[contacts.offer == 1].tolist()) == {0}
    assert set(contacts.customer[contacts.offer == 0].tolist()) == {0, 1, 2}


def test_a_plan_whose_only_offer_is_sold_out_says_so_and_sends_nothing(copied_night):
    path = copied_night / "artifacts/prepare/products.parquet"
    products = storage.read_table(path).to_pandas()
    products.assign(stock=0.0).to_parquet(path, index=False)
    assert main("plan") == 0
    summary = storage.read_json(copied_night / "artifacts/plan/summary.json")
    assert summary["empty_because"] == "no offer has a product in stock or on sale tonight"
    assert summary["num_contacts"] == 0


def _changed(path, **columns):
    storage.read_table(path).to_pandas().assign(**columns).to_parquet(path, index=False)


def test_profit_takes_each_products_cost_where_it_is_known_and_the_shops_margin_elsewhere(copied_night):
    path = copied_night / "artifacts/prepare/products.parquet"
    products = storage.read_table(path).to_pandas()
    usual = products[products.recommendable].department.mode()[0]
    mine = products.recommendable & (products.department == usual)
    offers = [{"name": "a tenth off", "kind": "discount", "category": usual, "discount": 0.1}]
    settings = {"offers": offers, "budget": 1000.0, "channels": {"app": {"cost": 0.0}}}
    before, summary = planned(copied_night, margin=0.5, **settings)
    assert not any("cost" in note and "tables" in note for note in summary["notes"])
    _changed(path, cost=0.0)
    rows, summary = planned(copied_night, margin=0.5, **settings)
    both = before.merge(rows, on="customer_id", suffixes=("", "_free"))
    assert len(both) > 10
    ratio = (both.expected_value_free / both.probability_free) / (both.expected_value / both.probability)
    assert ratio.to_numpy() == pytest.approx(2.0, rel=1e-3), "what costs nothing earns all that is paid"
    num = f"{int(mine.sum())} of {int(mine.sum())}"
    assert f"Profit takes the cost of {num} products on offer from the tables." in summary["notes"]
    _changed(path, cost=np.where(np.arange(len(products)) % 2 == 0, 1e6, np.nan))
    rows, summary = planned(copied_night, margin=0.5, **settings)
    assert not (rows.arm == "send").any()
    assert summary["empty_because"] == "no contact is expected to earn more than it costs"
    said = next(note for note in summary["notes"] if note.startswith("Profit takes"))
    assert said.endswith("the others are taken to earn 50% of what is paid.")
    assert any("cost more than their price" in note for note in summary["notes"])


def test_no_offer_is_promised_beyond_stock_and_the_plan_names_what_ran_out(copied_night):
    path = copied_night / "artifacts/prepare/products.parquet"
    products = storage.read_table(path).to_pandas()
    first, second, other = products[products.recommendable].product_id[:3]
    offers = [
        {"name": "few", "kind": "coupon", "products": [first], "cost": 0.01},
        {"name": "few or more", "kind": "coupon", "products": [first, second], "cost": 0.01},
        {"name": "enough", "kind": "coupon", "products": [other], "cost": 0.01},
    ]
    _changed(path, stock=products.product_id.map({first: 3.0, second: 4.0, other: np.nan}))
    rows, summary = planned(
        copied_night, offers=offers, goal="responses", budget=1000.0, channels={"app": {"cost": 0.0}}, max_per_week=7
    )
    sent = rows[rows.arm == "send"].offer.value_counts().reindex(["few", "few or more", "enough"], fill_value=0)
    assert sent["few"] <= 3
    assert sent["few"] + sent["few or more"] == 7
    assert sent["enough"] > 20
    assert any(note.startswith("Promised as often as there are units in stock") for note in summary["notes"])
    _changed(path, stock=products.product_id.map({first: 1.0, second: 1.0, other: 1.0}))
    rows, _ = planned(copied_night)
    assert rows[rows.arm == "send"].offer.isin(["few", "few or more"]).sum() > 20, (
        "1 is what `in stock` reads as, and no count"
    )


def test_contacts_carry_the_customers_language(copied_night):
    path = copied_night / "artifacts/prepare/customers.parquet"
    customers = storage.read_table(path).to_pandas()
    languages = np.resize(np.array(["en-GB", "zh_CN", "中文", "français", None], object), len(customers))
    _changed(path, language=languages)
    rows, _ = planned(copied_night)
    right = dict(zip(customers.customer_id, np.resize(["en", "zh", "zh", None, None], len(customers)), strict=True))
    assert len(rows)
    assert set(rows.language.dropna()) == {"en", "zh"}
    assert all((language or None) == right[name] for name, language in zip(
        rows.customer_id, rows.language.astype(object).where(rows.language.notna(), None), strict=True))  # fmt: skip

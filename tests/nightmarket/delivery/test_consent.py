"""No contact without consent, reach, age, or after an unsubscribe, whatever a campaign is made of."""

from dataclasses import fields
from datetime import date, datetime

import numpy as np
import pandas as pd
import pytest

from nightmarket.delivery import consent
from nightmarket.delivery.allocation import at_prices
from nightmarket.delivery.campaign import Channel, ContactRows, Options, Outlook, Rules, kept_back, plan

NOW, TODAY = datetime(2024, 6, 1), date(2024, 6, 1)
CHANNELS = ("email", "sms", "app")
CUSTOMERS = 24


def tables(rng):
    """Customers and suppressions of a made-up shop, which may lack any column; and the truth, customer by customer."""
    names = [f"c{number}" for number in range(CUSTOMERS)]
    columns = {"customer_id": names}
    for channel in CHANNELS:
        if rng.random() < 0.8:
            columns[f"consent_{channel}"] = rng.choice(np.array(["yes", "yes", "yes", "no", None], object), CUSTOMERS)
            if rng.random() < 0.5:
                given = pd.Timestamp(NOW) - pd.to_timedelta(rng.integers(-100, 900, CUSTOMERS), "h")
                columns[f"consent_{channel}_at"] = pd.Series(given).where(rng.random(CUSTOMERS) < 0.7)
        if rng.random() < 0.5:
            columns[f"reachable_{channel}"] = rng.choice(np.array(["yes", "yes", "yes", "no", None], object), CUSTOMERS)
    if rng.random() < 0.7:
        columns["birth_year"] = pd.array(rng.choice([1960, 1990, 2005, 2006, 2010], CUSTOMERS), "Int64")
    num = int(rng.integers(0, 8))
    listed = {
        "customer_id": rng.choice([*names, "a stranger"], num),
        "channel": rng.choice(np.array(["E-Mail", "sms", "phone", "newsletter", None], object), num),
        "reason": rng.choice(np.array(["unsubscribed", "bounced", "objected", None], object), num),
    }
    return pd.DataFrame(columns), pd.DataFrame(listed, dtype=object) if num else None


def may(customer, listed, channel, known):
    """The rule once more, in plain words, for one customer on one channel."""
    if known and customer.get(f"consent_{channel}") != "yes":
        return False
    given, reach = customer.get(f"consent_{channel}_at"), customer.get(f"reachable_{channel}", "yes")
    if (known and not pd.isna(given) and given >= NOW) or reach != "yes":
        return False
    if TODAY.year - customer.get("birth_year", 1900) - 1 < 18:
        return False
    closed = {"E-Mail": ("email",), "sms": ("sms",), "phone": ()}
    return not any(
        row.reason == "objected" or channel in closed.get(row.channel, CHANNELS)
        for row in listed
        if row.customer_id == customer["customer_id"]
    )


def campaign(rng, allowed):
    """A random campaign, planned: rows of contacts, those of who is kept back among them.

    Nine of ten have random prices of their limits in place of the best ones, which take their time.
    """
    offers, slots = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    ways = [Channel(name, float(rng.choice([0.0, 0.1])), None) for name in CHANNELS]
    shape = (CUSTOMERS, offers)
    reward = rng.random(shape, np.float32) * np.float32(0.3)
    outlook = Outlook(
        rng.random(shape, np.float32), rng.random(shape, np.float32), reward, np.ones((CUSTOMERS, slots), np.float32)
    )
    budget = float(rng.choice([0.5, 5.0, np.inf]))
    rules = Rules(7, budget, int(rng.integers(1, 4)), 2, {})
    asked = np.flatnonzero(allowed.any(axis=1))
    held = kept_back([str(number) for number in asked], str(rng.random()), 0.3)
    goal = "profit" if rng.random() < 0.5 else "responses"
    options = Options(outlook, ways, rules, goal, allowed)
    if rng.random() < 0.1:
        return plan(options, asked, held).contacts
    arms = []
    for some, sent in ((asked[~held], True), (asked[held], False)):
        problem = options.problem(some)
        picks, _ = at_prices(problem, np.full(problem.limits.size, rng.random() * np.isfinite(budget)))
        arms.append(options.contacts(some, picks, sent))
    return ContactRows(*(np.concatenate([getattr(arm, name.name) for arm in arms]) for name in fields(ContactRows)))


@pytest.mark.slow
def test_no_contact_of_a_thousand_campaigns_goes_to_whom_it_may_not():
    sent = kept = closed = 0
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        customers, suppressions = tables(rng)
        facts = consent.contact_facts(customers, suppressions, CHANNELS, NOW, TODAY)
        allowed = consent.may_contact(facts, 18) == consent.ALLOWED
        people = customers.to_dict("records")
        listed = [] if suppressions is None else list(suppressions.itertuples())
        truth = np.array([[may(customer, listed, name, facts.known) for name in CHANNELS] for customer in people])
        assert (allowed == truth).all()
        contacts = campaign(rng, allowed)
        assert truth[contacts.customer, contacts.channel].all()
        sent, kept = sent + int(contacts.sent.sum()), kept + int((~contacts.sent).sum())
        closed += int((~truth).sum())
    assert sent > 5000
    assert kept > 1000
    assert closed > 20_000


def test_closed_options_leave_everybody_else_s_plan_as_it_was():
    rng = np.random.default_rng(3)
    chance = rng.random((40, 2), np.float32)
    outlook = Outlook(chance, np.ones_like(chance), np.zeros_like(chance), np.ones((40, 1), np.float32))
    ways = [Channel("email", 0.1, None), Channel("sms", 0.2, None)]
    free = np.ones((40, 2), bool)
    shut = free.copy()
    shut[:10, 0] = False
    every, nobody = np.arange(40), np.zeros(40, bool)
    freely, other = (
        plan(Options(outlook, ways, Rules(7, np.inf, 2, 2, {}), "profit", allowed), every, nobody).contacts
        for allowed in (free, shut)
    )
    assert set(freely.channel.tolist()) == {0}
    assert set(other.channel[other.customer < 10].tolist()) == {1}
    pairs = [{*zip(rows.customer.tolist(), rows.offer.tolist(), strict=True)} for rows in (freely, other)]
    assert {pair for pair in pairs[0] if pair[0] >= 10} == {pair for pair in pairs[1] if pair[0] >= 10}
    assert set(other.channel[other.customer >= 10].tolist()) == {0}


def test_consent_on_one_channel_is_none_on_another():
    customers = pd.DataFrame({"customer_id": ["a"], "consent_email": ["yes"]})
    facts = consent.contact_facts(customers, None, ["E-Mail", "sms"], NOW, TODAY)
    assert consent.may_contact(facts, 18).tolist() == [[consent.ALLOWED, consent.REASONS.index("no consent")]]


def test_an_age_is_read_from_a_range_or_a_year_and_the_younger_reading_holds():
    customers = pd.DataFrame({
        "customer_id": list("abcdefg"), "attr_age": ["19-24", "16", "55+", "17-25", None, "Unknown", "12"],
        "birth_year": pd.array([None, None, None, None, 2006, 1900, 1990], "Int64"),
    })  # fmt: skip
    facts = consent.contact_facts(customers, None, ["app"], NOW, TODAY)
    codes = consent.may_contact(facts, 18)[:, 0]
    young = consent.REASONS.index("too young")
    assert (codes == young).tolist() == [False, True, False, True, True, False, False]
    assert not consent.may_contact(facts, 0).any()

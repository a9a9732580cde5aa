"""Who is kept back, at random, for good and independently for every plan, and what they would have been sent."""

import numpy as np

from nightmarket.delivery.campaign import Channel, Options, Outlook, Rules, kept_back, plan

IDS = [f"{number:032x}" for number in range(20_000)]


def test_the_share_is_kept_and_stands_whoever_else_is_asked_for():
    held = kept_back(IDS, "spring", 0.1)
    assert abs(held.mean() - 0.1) < 4 * np.sqrt(0.09 / len(IDS))
    assert (kept_back(IDS[::-1], "spring", 0.1)[::-1] == held).all()
    assert kept_back(IDS[7:8], "spring", 0.1)[0] == held[7]


def test_plans_and_keys_are_independent_and_a_larger_share_holds_the_smaller():
    held = kept_back(IDS, "spring", 0.2)
    for other in (kept_back(IDS, "summer", 0.2), kept_back(IDS, "spring", 0.2, key=b"k")):
        assert abs((held & other).mean() - 0.04) < 0.006
    assert kept_back(IDS, "spring", 0.4)[held].all()


def contacts_of(chance, held, budget, seed=0):
    """Rows of a plan with one offer at a cent a contact, and whether each was sent."""
    column = chance.astype(np.float32)[:, None]
    outlook = Outlook(column, np.ones_like(column), np.zeros_like(column), np.ones_like(column))
    allowed = np.ones((len(chance), 1), bool)
    options = Options(outlook, [Channel("email", 0.01, None)], Rules(7, budget, 1, 1, {}), "responses", allowed)
    return plan(options, np.arange(chance.size), held, seed).contacts


def test_of_customers_who_are_alike_the_same_share_is_kept_as_was_sent():
    held = np.arange(100) < 30
    counts = []
    for seed in range(40):
        contacts = contacts_of(np.full(100, 0.05), held, 0.3, seed)
        assert contacts.sent.sum() == 30  # of the 70 who are not kept back; 30 * 30 / 70 is 12.86
        counts.append(int((~contacts.sent).sum()))
    assert set(counts) == {12, 13}
    assert abs(np.mean(counts) - 30 * 30 / 70) < 4 * np.sqrt(0.86 * 0.14 / 40)
    assert set(contacts.customer[~contacts.sent]) <= set(np.flatnonzero(held))


def test_where_customers_differ_the_same_chance_decides_in_both_arms():
    chance = np.linspace(0.01, 0.2, 100)
    held = np.arange(100) % 3 == 0
    contacts = contacts_of(chance, held, 0.3)
    sent = contacts.customer[contacts.sent]
    least, most = chance[sent].min(), np.delete(chance, [*sent, *np.flatnonzero(held)]).max()
    kept = set(contacts.customer[~contacts.sent])
    assert kept - set(np.flatnonzero((chance > most) & (chance < least))) == set(
        np.flatnonzero(held & (chance > least))
    )
    some_alike = np.maximum(chance, 0.15)  # the best 27 of all differ, 73 are alike
    contacts = contacts_of(some_alike, held, 0.3)
    kept = np.zeros(100, bool)
    kept[contacts.customer[~contacts.sent]] = True
    assert kept[held & (some_alike > 0.15)].all()
    sent = contacts.customer[contacts.sent]
    share = (some_alike[sent] == some_alike.min()).sum() / (~held & (some_alike == some_alike.min())).sum()
    assert abs(kept[held & (some_alike == some_alike.min())].mean() - share) < 0.05

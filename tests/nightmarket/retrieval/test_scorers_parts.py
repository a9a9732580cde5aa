"""The parts of the scorers, against values worked out by hand or by brute force."""

import numpy as np
import pytest
import torch

from nightmarket.histories.calendar import last_day
from nightmarket.histories.histories import Histories
from nightmarket.retrieval.scorers.loss import Logits, Wanted, by_owner, negative_sampling, sampled_softmax
from nightmarket.retrieval.scorers.material import EventTable, ScorerData, Vocabulary
from nightmarket.retrieval.scorers.past import Past
from nightmarket.retrieval.scorers.samples import ScorerSampler
from nightmarket.retrieval.scorers.scorer import config_of
from nightmarket.retrieval.scorers.terms import NEW_SPANS, SPANS, Trend


def lines(rows, num_customers=3, num_items=6):
    """rows: (customer, item, week, weekday, value, channel), in any order."""
    rows = sorted(rows, key=lambda r: (r[0], r[2], r[3]))
    customer, item, week, weekday, value, channel = (np.array(c) for c in zip(*rows, strict=True))
    codes = {"customer": customer, "item": item, "week": week, "day": week * 7 + 4 + weekday, "channel": channel}
    codes = {name: values.astype(np.int32) for name, values in codes.items()}
    money = {"quantity": np.ones(len(rows)), "value": value, "discount": np.zeros(len(rows))}
    money = {name: values.astype(np.float32) for name, values in money.items()}
    return Histories(**codes, **money, basket=codes["day"], num_customers=num_customers, num_items=num_items)


def ledger_of(histories, origin, min_buyers=1):
    material = ScorerData(histories)
    return EventTable(material, Vocabulary.learn(histories.until(last_day(origin)), min_buyers), last_day(origin))


SHOP = lines(
    [
        (0, 1, 0, 0, 2.0, 0),
        (0, 1, 0, 0, 3.0, 0),  # the same day: one event
        (0, 2, 0, 0, 1.0, 0),
        (0, 1, 2, 3, 2.0, 1),
        (2, 1, 1, 6, 2.0, 0),
        (2, 5, 3, 0, 9.0, 2),
    ]
)


def test_an_event_is_a_day_with_an_item():
    ledger = ledger_of(SHOP, 3)
    assert ledger.customer.tolist() == [0, 0, 0, 2, 2]
    assert ledger.item.tolist() == [1, 2, 1, 1, 5]
    assert ledger.first.tolist() == [True, True, False, True, True]
    assert ledger.since.tolist() == [-1, -1, 17, -1, 8]
    assert ledger.first_week.tolist() == [2147483647, 0, 0, 2147483647, 2147483647, 3]


def test_the_past_ends_with_its_origin():
    past = Past(ledger_of(SHOP, 3), np.array([2, 1, 0]), 1)
    assert list(zip(past.pairs.row.tolist(), past.pairs.item.tolist(), strict=True)) == [(0, 1), (2, 1), (2, 2)]
    sequence = past.sequence(3)
    assert sequence.valid.tolist() == [[False, False, True], [False, False, False], [False, True, True]]


def test_what_is_hidden_is_as_if_it_had_not_been_bought():
    ledger = ledger_of(SHOP, 3)
    without = Past(ledger, np.array([0, 2]), 3, hidden=np.array([0 * 6 + 1]))
    assert list(zip(without.pairs.row.tolist(), without.pairs.item.tolist(), strict=True)) == [(0, 2), (1, 1), (1, 5)]
    assert without.sequence(4).valid.tolist() == [[False, False, True, False], [False, False, True, True]]
    assert np.expm1(without.pace[0] * 3).round(3).tolist() == [1, 1, 1]


def test_pair_features_by_hand():
    past = Past(ledger_of(SHOP, 3), np.array([0]), 3)
    assert last_day(3) == 3 * 7 + 10
    faded, rest = past.pairs.features[0, :4] * 3, past.pairs.features[0, 4:] * 3
    ages = np.array([27.0, 10.0])
    np.testing.assert_allclose(faded, [np.log((0.5 ** (ages / h)).sum() + 0.02) for h in (14, 45, 120, 365)], rtol=1e-5)
    gap, visits = 17, 2
    wanted = [2, 11, gap + 1, 11 / (gap + 1), np.exp(3), visits + 1, visits + 1, 1]
    np.testing.assert_allclose(rest, np.log(wanted), rtol=1e-5, atol=1e-6)


def test_codes_that_were_unknown_or_rare_at_the_fit_have_row_zero():
    vocabulary = Vocabulary.learn(SHOP.until(last_day(2)), 2)
    assert vocabulary.item_row.tolist() == [0, 1, 0, 0, 0, 0]
    ledger = EventTable(ScorerData(SHOP), vocabulary, last_day(3))
    assert ledger.channel.tolist() == [1, 1, 2, 1, 0], "store 2 came after the fit"
    assert ledger.rows(np.array([1, 2, 5]), 3).tolist() == [1, 0, 0]
    assert ledger.rows(np.array([1]), -1).tolist() == [0], "not on sale yet"
    assert vocabulary.renumbered(np.array([1, -1, 0])).item_row.tolist() == [1, 0, 0]


def test_the_trend_counts_what_was_sold_by_the_origin():
    trend, items = Trend(ledger_of(SHOP, 3)), np.arange(6)
    at_1 = trend.features(items, 1)[1] * 3
    for column, span in enumerate(SPANS):
        sold, total = (1, 1) if span == 1 else (2, 3)
        assert at_1[column] == pytest.approx(np.log((sold + 0.3) * 1e4 / (total + 1)), rel=1e-5)
    assert at_1[len(SPANS)] == pytest.approx(np.log(2.3 * 1e4 / 4), rel=1e-5)
    assert at_1[len(SPANS) + len(NEW_SPANS)] == 0, "sold in the last week"
    assert not trend.features(items, 1)[[0, 3, 4, 5]].any(), "nothing is known of what nobody has bought"
    np.testing.assert_array_equal(Trend(ledger_of(SHOP, 1)).features(items, 1), trend.features(items, 1))


def test_a_sum_per_owner_in_logarithms():
    values, row = torch.tensor([1.0, 2.0, -500.0, 3.0]), torch.tensor([0, 0, 2, 0])
    sums = by_owner(values, row, 4)
    assert sums[0] == pytest.approx(np.log(np.exp([1, 2, 3]).sum()))
    assert sums[2] == pytest.approx(-500)
    assert (sums[[1, 3]] < -60).all()
    assert by_owner(torch.tensor([1000.0, 1000.0]), torch.tensor([0, 0]), 1)[0] == pytest.approx(1000 + np.log(2))


def complete():
    """Two customers, five items; customer 0 owns 0 and 1, customer 1 owns 4; every other item is in the sample."""
    scores = torch.tensor([[0.3, -1.0, 0.5, 2.0, 0.1], [1.0, 0.2, -0.4, 0.0, 0.7]], requires_grad=True)
    owned = torch.tensor([[True, True, False, False, False], [False, False, False, False, True]])
    row, item = torch.nonzero(owned, as_tuple=True)
    shared = scores.masked_fill(owned, -torch.inf)
    logits = Logits(shared, torch.zeros(5), scores[row, item], row)
    ones = torch.ones(1)
    wanted = Wanted(torch.tensor([1]), ones, torch.tensor([1]), torch.tensor([2]), ones)  # (0, 1) again, (1, 2) new
    return scores, logits, wanted


def test_the_softmax_is_exact_where_everything_is_sampled():
    scores, logits, wanted = complete()
    z = scores.detach().numpy().astype(float)
    again = np.log(np.exp(z[0]).sum()) - z[0, 1]
    new = np.log(np.exp(z[1, :4]).sum()) - z[1, 2]
    loss = sampled_softmax(logits, wanted)
    assert loss.item() == pytest.approx((again + new) / 2, rel=1e-5)
    loss.backward()
    assert torch.isfinite(scores.grad).all()


def test_cross_entropy_is_exact_where_everything_is_sampled():
    scores, logits, wanted = complete()
    z = scores.detach().numpy().astype(float)
    label = np.zeros((2, 5))
    label[0, 1] = label[1, 2] = 1
    chance = 1 / (1 + np.exp(-z))
    entropy = -(label * np.log(chance) + (1 - label) * np.log(1 - chance)).sum()
    loss = negative_sampling(logits, wanted)
    assert loss.item() == pytest.approx(entropy / 2, rel=1e-5)
    loss.backward()
    assert torch.isfinite(scores.grad).all()


def test_log_q_is_the_chance_to_be_sampled():
    """1,000 draws of the sampler against what it says: each item's sum of 1 / q over the draws is near their number."""
    rng = np.random.default_rng(0)
    weight = 1 / np.arange(1, 61)
    rows = [
        (c, int(rng.choice(60, p=weight / weight.sum())), w, int(rng.integers(7)), 1.0, 0)
        for c in range(40)
        for w in range(12)
        for _ in range(3)
    ]
    ledger = ledger_of(lines(rows, 40, 60), 11)
    config = config_of("cosine", batch_size=8, random_items=15, min_history=7)
    sampler = ScorerSampler(ledger, config, None)
    assert sampler.origins.tolist() == [7]
    total = np.zeros(60)
    for step in range(1000):
        draw = sampler.draw(0, step)
        total[draw.sampled] += np.exp(-draw.log_q)
        assert (np.diff(draw.sampled) > 0).all()
        assert np.isin(draw.new_item, draw.sampled).all()
        assert np.isin(draw.hidden_item, draw.sampled).all()
    on_sale = ledger.first_week <= 7
    assert np.abs(total[on_sale] / 1000 - 1).mean() < 0.2
    assert not total[~on_sale].any()


def test_positives_are_what_was_bought_within_the_horizon_and_not_hidden():
    rng = np.random.default_rng(1)
    rows = [(c, int(rng.integers(30)), w, 0, 1.0, 0) for c in range(20) for w in range(14) for _ in range(2)]
    ledger = ledger_of(lines(rows, 20, 30), 13)
    sampler = ScorerSampler(ledger, config_of("cosine", batch_size=20, min_history=6, hidden_share=0.3), None)
    for step in range(20):
        draw = sampler.draw(3, step)
        bought = {(r[0], r[1]) for r in rows if draw.past.origin < r[2] <= draw.past.origin + 4}
        before = {(r[0], r[1]) for r in rows if r[2] <= draw.past.origin}
        customers = draw.past.customers
        hidden = {(int(customers[r]), int(i)) for r, i in zip(draw.hidden_row, draw.hidden_item, strict=True)}
        new = {(int(customers[r]), int(i)) for r, i in zip(draw.new_row, draw.new_item, strict=True)}
        pairs = draw.past.pairs
        again = {(int(customers[pairs.row[p]]), int(pairs.item[p])) for p in draw.again}
        launch = {(int(customers[r]), int(i)) for r, i in zip(draw.launch_row, draw.launch_item, strict=True)}
        assert hidden <= before
        assert again == (bought & before) - hidden
        assert new | launch == bought - before
        assert {i for _, i in launch} <= set(draw.launched.tolist())

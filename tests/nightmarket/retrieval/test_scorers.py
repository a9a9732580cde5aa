"""One suite that every scorer must pass, whatever is inside it."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from nightmarket.contracts import InputError
from nightmarket.evaluation.metrics import rank_metrics
from nightmarket.histories.calendar import last_day
from nightmarket.histories.histories import Histories
from nightmarket.retrieval.scorers.material import ScorerData
from nightmarket.retrieval.scorers.scorer import SCORERS, config_of, load
from nightmarket.retrieval.scorers.training import fit

ORIGIN = 25
CUT = last_day(ORIGIN)
CUSTOMERS, ITEMS, KINDS = 60, 80, 4
SMALL = {"dim": 16, "hidden": 16, "length": 64, "batch_size": 48, "random_items": 60, "min_buyers": 1}


def histories(customer, item, week, day_of_week, num_customers=CUSTOMERS, num_items=ITEMS):
    day = np.asarray(week) * 7 + 4 + np.asarray(day_of_week)
    order = np.lexsort((item, day, customer))
    codes = {"customer": customer, "item": item, "week": week, "day": day}
    codes = {name: np.asarray(values, np.int32)[order] for name, values in codes.items()}
    ones = np.ones(len(order), np.float32)
    extra = {"basket": codes["day"], "channel": (codes["customer"] % 3).astype(np.int32)}
    money = {"quantity": ones, "value": 1 + codes["item"].astype(np.float32) % 7, "discount": ones * 0}
    return Histories(**codes, **extra, **money, num_customers=num_customers, num_items=num_items)


def shop(seed=3):
    """Customers of four tastes: each buys among the 20 products of one kind, nine times of ten. The kind shows in the
    text's vector, among noise. Weeks 0..29; scorers are fitted at the end of week 25."""
    rng = np.random.default_rng(seed)
    kinds = np.arange(ITEMS) % KINDS
    vectors = rng.normal(size=(KINDS, 12))[kinds] + 0.5 * rng.normal(size=(ITEMS, 12))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    customer = np.repeat(np.arange(CUSTOMERS), 30 * 2)
    week = np.tile(np.repeat(np.arange(30), 2), CUSTOMERS)
    kind = np.where(rng.random(len(week)) < 0.9, customer % KINDS, rng.integers(0, KINDS, len(week)))
    item = rng.integers(0, ITEMS // KINDS, len(week)) * KINDS + kind
    past = histories(customer, item, week, rng.integers(0, 7, len(week)))
    return ScorerData(past, vectors, np.arange(ITEMS, dtype=np.int32), np.ones(ITEMS, bool))


def with_lines(material, customer, item, week, num_customers=CUSTOMERS):
    """The material and some more lines."""
    old = material.histories
    lines = [np.concatenate([getattr(old, name), added]) for name, added in (("customer", customer), ("item", item))]
    weeks = np.concatenate([old.week, week])
    days = np.concatenate([old.day - old.week * 7 - 4, np.zeros(len(week), np.int64)])
    made = histories(*lines, weeks, days, num_customers=num_customers)
    return dataclasses.replace(material, histories=made)


def permuted(material, order):
    """Customer i of the result is customer order[i]."""
    old, place = material.histories, np.argsort(order)
    by_owner = np.argsort(place[old.customer], kind="stable")
    lines = old.where(by_owner)
    return dataclasses.replace(
        material, histories=dataclasses.replace(lines, customer=place[lines.customer].astype(np.int32))
    )


@pytest.fixture(scope="module")
def material():
    return shop()


@pytest.fixture(scope="module", params=list(SCORERS))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def scorer(name, material):
    steps = 150 if name == "linear" else 80
    return fit(name, material, CUT, config_of(name, **SMALL, max_steps=steps, learning_rate=5e-3), seed=1)


def quick(name, material, seed=1, **changed):
    return fit(name, material, CUT, config_of(name, **{**SMALL, "max_steps": 3, **changed}), seed=seed)


def everything(scorer):
    return scorer.scores(slice(0, scorer.ledger.num_customers), np.arange(scorer.ledger.num_items))


def test_scores_have_the_shape_of_what_was_asked_and_are_finite(scorer):
    items = np.array([7, 3, 79], np.int32)
    scores = scorer.scores(slice(10, 15), items)
    assert scores.shape == (5, 3)
    assert scores.dtype == np.float32
    assert np.isfinite(everything(scorer)).all()
    np.testing.assert_allclose(scores, everything(scorer)[10:15][:, items], rtol=1e-4, atol=1e-4)


def test_recommendations_are_the_best_scores_in_order(scorer):
    best, scores = scorer.recommend(slice(20, 26), 10), everything(scorer)[20:26]
    assert best.shape == (6, 10)
    assert best.dtype == np.int32
    assert best.min() >= 0
    picked = np.take_along_axis(scores, best.astype(np.int64), axis=1)
    np.testing.assert_allclose(picked, -np.sort(-scores, axis=1)[:, :10], rtol=1e-4, atol=1e-4)


def test_what_she_has_bought_can_be_left_out_and_a_short_list_is_filled_with_minus_one(scorer):
    own = scorer.ledger.item[scorer.ledger.customer == 5]
    items = scorer.recommend(slice(5, 6), ITEMS, exclude_own=True)[0]
    num_left = ITEMS - len(np.unique(own))
    assert not np.isin(items[:num_left], own).any()
    assert (items[:num_left] >= 0).all()
    assert (items[num_left:] == -1).all()


def test_products_that_may_not_be_recommended_are_not(scorer, material):
    some = np.arange(ITEMS) < 15
    items = scorer.at(dataclasses.replace(material, recommendable=some), CUT).recommend(slice(0, 9), 10)
    assert items.max() < 15


def test_the_same_seed_gives_the_same_scores_and_another_seed_others(name, material):
    first, same, other = (everything(quick(name, material, seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_nothing_is_seeded_or_drawn_globally(name, material):
    torch.manual_seed(11)
    np.random.seed(11)
    first = everything(quick(name, material))
    torch.manual_seed(12)
    np.random.seed(12)
    np.testing.assert_array_equal(first, everything(quick(name, material)))


def test_a_head_comes_back_from_arrays_and_json_with_the_same_scores(scorer, material):
    tensors, config = scorer.save()
    assert all(isinstance(value, np.ndarray) for value in tensors.values())
    again = load(tensors, json.loads(json.dumps(config)), material, CUT)
    np.testing.assert_array_equal(everything(again), everything(scorer))


@pytest.mark.parametrize("damage", ["missing", "shape", "not finite"])
def test_damaged_weights_are_refused_by_name(scorer, material, damage):
    tensors, config = scorer.save()
    key = next(k for k in tensors if k.startswith("space.") and tensors[k].ndim)
    if damage == "missing":
        del tensors[key]
    elif damage == "shape":
        tensors[key] = tensors[key][:-1]
    else:
        tensors[key] = tensors[key] * np.nan
    with pytest.raises(InputError, match=f"tensor '{key}' of {scorer.name} is missing or damaged"):
        load(tensors, config, material, CUT)


def test_purchases_after_the_origin_change_nothing(name, material):
    rng = np.random.default_rng(9)
    lines = rng.integers(0, CUSTOMERS, 500), rng.integers(0, ITEMS, 500), np.full(500, ORIGIN + 1)
    before, after = quick(name, material), quick(name, with_lines(material, *lines))
    np.testing.assert_array_equal(everything(before), everything(after))
    np.testing.assert_array_equal(everything(before), everything(before.at(with_lines(material, *lines), CUT)))


def test_purchases_before_the_origin_do_change_the_scores(scorer, material):
    if scorer.name == "linear":
        pytest.skip("a customer's purchases move all of her scores alike, as the formula says")
    more = with_lines(material, np.full(12, 8), np.arange(1, 49, 4), np.full(12, ORIGIN))
    shift = everything(scorer.at(more, CUT))[8] - everything(scorer)[8]
    assert np.ptp(shift) > 0.1


def test_a_planted_taste_is_found_better_than_by_popularity(scorer, material):
    """New products alone, so that remembering what was bought is no help."""
    after, before = material.histories.between(CUT + 1, last_day(29)), material.histories.until(CUT)
    targets = after.targets(before.matrix())

    def ndcg(lists):
        return np.nanmean(rank_metrics(lists, *targets, cutoffs=(10,))["ndcg@10"])

    popular = np.argsort(-np.bincount(before.item, minlength=ITEMS), kind="stable")
    own = before.matrix().toarray() > 0
    plain = np.stack([popular[~own[c][popular]][:10] for c in range(CUSTOMERS)]).astype(np.int32)
    quality, chance = ndcg(scorer.recommend(slice(0, CUSTOMERS), 10, exclude_own=True)), ndcg(plain)
    if scorer.name == "linear":
        # No term joins customer and product, so nobody's taste can be found: that is what the formula can do.
        assert quality < 1.5 * chance
    else:
        assert quality > 1.5 * chance


def test_what_is_bought_every_week_comes_first(name, material):
    """Customer 9 buys product 2 in every week and nothing else in the last two months."""
    rng = np.random.default_rng(2)
    habit = rng.permutation(ITEMS)[:CUSTOMERS].astype(np.int64)
    lines = np.repeat(np.arange(CUSTOMERS), 26), np.repeat(habit, 26), np.tile(np.arange(26), CUSTOMERS)
    steady = with_lines(material, *lines)
    learned = quick(name, steady, max_steps=40, repeats=True, learning_rate=5e-3)
    first = learned.recommend(slice(0, CUSTOMERS), 1)[:, 0]
    assert (first == habit).mean() > 0.9


def test_a_customer_without_purchases_is_scored(scorer, material):
    more = with_lines(material, np.zeros(0, int), np.zeros(0, int), np.zeros(0, int), num_customers=CUSTOMERS + 2)
    later = scorer.at(more, CUT)
    scores = everything(later)
    assert scores.shape == (CUSTOMERS + 2, ITEMS)
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores[CUSTOMERS], scores[CUSTOMERS + 1], rtol=1e-5, atol=1e-5)
    assert (later.recommend(slice(CUSTOMERS, None), 5) >= 0).all()


def test_a_customer_who_came_after_the_fit_is_scored_like_one_with_the_same_purchases(scorer, material):
    mask = material.histories.customer == 13
    old = material.histories
    lines = [np.concatenate([getattr(old, n), getattr(old, n)[mask]]) for n in ("item", "week", "day")]
    customer = np.concatenate([old.customer, np.full(mask.sum(), CUSTOMERS)])
    twin = histories(customer, *lines[:2], lines[2] - lines[1] * 7 - 4, num_customers=CUSTOMERS + 1)
    twin = dataclasses.replace(
        twin, channel=np.where(twin.customer == CUSTOMERS, 13 % 3, twin.channel).astype(np.int32)
    )
    scores = everything(scorer.at(dataclasses.replace(material, histories=twin), CUT))
    np.testing.assert_allclose(scores[13], scores[CUSTOMERS], rtol=1e-4, atol=1e-4)


def test_a_product_that_came_after_the_fit_is_scored_and_old_ones_keep_their_scores(scorer, material):
    kind = 2
    like = material.text_vectors[kind::KINDS].mean(axis=0, keepdims=True)
    codes = np.append(np.arange(ITEMS), -1)
    more = ScorerData(
        dataclasses.replace(material.histories, num_items=ITEMS + 1),
        np.concatenate([material.text_vectors, like]),
        np.append(material.text_id, ITEMS).astype(np.int32),
    )
    scores = everything(scorer.at(more, CUT, codes))
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores[:, :ITEMS], everything(scorer), rtol=1e-4, atol=1e-4)
    assert ITEMS not in scorer.at(more, CUT, codes).recommend(slice(0, 9), 20), "nobody has sold it yet"
    if scorer.name in ("cosine", "deep_matrix_factorisation", "self_attentive"):
        # Its text says what it is: those who like its kind want it more than the others do.
        wanted = scores[:, ITEMS] - scores.mean(axis=1)
        mean = np.array([wanted[np.arange(CUSTOMERS) % KINDS == k].mean() for k in range(KINDS)])
        assert mean.argmax() == kind


def test_a_catalogue_in_another_order_needs_codes_and_gets_the_same_scores(scorer, material):
    order = np.random.default_rng(4).permutation(ITEMS)
    place = np.argsort(order)
    old = material.histories
    moved = dataclasses.replace(old, item=place[old.item].astype(np.int32))
    again = ScorerData(moved, material.text_vectors, material.text_id[order])
    np.testing.assert_allclose(
        everything(scorer.at(again, CUT, order)), everything(scorer)[:, order], rtol=1e-3, atol=1e-3
    )
    with pytest.raises(InputError, match="pass `codes`"):
        scorer.at(
            dataclasses.replace(
                material,
                histories=dataclasses.replace(old, num_items=ITEMS + 1),
                text_id=None,
                text_vectors=np.zeros((ITEMS + 1, 12), np.float32),
                recommendable=None,
            ),
            CUT,
        )


def test_the_order_of_customers_and_the_slice_do_not_matter(scorer, material):
    order = np.random.default_rng(6).permutation(CUSTOMERS)
    scores = everything(scorer)
    np.testing.assert_allclose(
        everything(scorer.at(permuted(material, order), CUT)), scores[order], rtol=1e-4, atol=1e-4
    )
    alone = scorer.scores(slice(17, 18), np.arange(ITEMS))
    np.testing.assert_allclose(alone[0], scores[17], rtol=1e-4, atol=1e-4)


def test_the_origin_can_move_on_without_training(scorer, material):
    assert np.isfinite(everything(scorer.at(material, last_day(29)))).all()


def test_without_text_a_head_works_or_says_that_it_cannot(name, material):
    bare = dataclasses.replace(material, text_vectors=None)
    if name in ("cosine", "linear"):
        with pytest.raises(InputError, match=f"{name} reads nothing but text"):
            quick(name, bare)
    else:
        assert np.isfinite(everything(quick(name, bare))).all()


def test_without_the_terms_that_heads_share_it_stands_alone(name, material):
    assert np.isfinite(everything(quick(name, material, repeats=False, trend=False))).all()


def test_a_history_too_short_to_learn_from_is_refused(name, material):
    with pytest.raises(InputError, match="no week up to 1970-01-25 has purchases after it within 4 weeks"):
        fit(name, material, last_day(2), config_of(name, **SMALL))


def test_progress_is_told_and_the_loss_falls(name, material):
    told = []
    config = config_of(name, **SMALL, max_steps=30)
    fit(name, material, CUT, config, progress=lambda *step: told.append(step))
    assert [step[:2] for step in told] == [(i + 1, 30) for i in range(30)]
    losses = [step[2] for step in told]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_a_loss_that_is_not_finite_stops_with_the_step(name, material):
    with pytest.raises(InputError, match="not finite at step"):
        quick(name, material, learning_rate=1e30, repeats=True, trend=True, max_steps=20)


def test_an_unknown_name_lists_the_names(material):
    with pytest.raises(InputError, match="'als' is no scorer; choose from cosine, linear, matrix_factorisation"):
        fit("als", material, CUT)


def test_an_unknown_or_impossible_setting_is_named():
    with pytest.raises(InputError, match="'dims' is no setting of a scorer"):
        config_of("cosine", dims=3)
    with pytest.raises(InputError, match="dim 30 is no multiple of num_heads 4"):
        config_of("cosine", dim=30, num_heads=4)
    with pytest.raises(InputError, match="dim 0 is below 1"):
        config_of("cosine", dim=0)


def test_material_that_does_not_fit_together_is_refused(material):
    with pytest.raises(InputError, match="text_id has 3 entries for 80 items"):
        dataclasses.replace(material, text_id=np.zeros(3, np.int32))
    with pytest.raises(InputError, match="text_vectors has 5 rows, text_id asks for row 79"):
        dataclasses.replace(material, text_vectors=material.text_vectors[:5])
    with pytest.raises(InputError, match="not finite"):
        dataclasses.replace(material, text_vectors=material.text_vectors * np.nan)

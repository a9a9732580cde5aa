"""What drives a response, in words that are true of the model."""

from dataclasses import replace

import numpy as np

from nightmarket.response import models
from nightmarket.response.drivers import FAMILIES, contributions, shares, summary, words
from nightmarket.response.responder import rows


def test_every_feature_belongs_to_one_family(record):
    names = [name for members in FAMILIES.values() for name in members]
    assert sorted(name for name in names if not name.startswith("text_")) == sorted(rows(record, 3).names)
    with_text = replace(record, vectors=np.eye(record.histories.num_items, dtype=np.float32))
    assert sorted(names) == sorted(rows(with_text, 3).names)


def test_effects_sum_to_the_log_odds_and_the_planted_habit_leads(record):
    parts = [rows(record, k) for k in range(4, 8)]
    values, label = (np.concatenate([getattr(part, name) for part in parts]) for name in ("values", "label"))
    model = models.fit("blend", values, label, 1)
    told = contributions(model, parts[0].names, values)
    np.testing.assert_allclose(told.effects.sum(axis=1) + told.constant, model.log_odds(values), atol=1e-6)
    part = shares(told)
    assert next(iter(part)) == "answers"
    assert abs(sum(part.values()) - 1) < 1e-9
    assert summary(part).startswith("What sets likely responders apart: how they answered earlier campaigns (")
    assert "以往对活动的响应" in summary(part, "zh")


def test_words_name_the_strongest_and_leave_out_what_is_weak():
    effect = {"answers": -0.9, "offered": 0.4, "visits": 0.05, "other": 3.0}
    assert words(effect) == ["has seldom answered earlier campaigns", "buys the products on offer"]
    assert words(effect, "zh", 1) == ["以往很少响应营销活动"]
    assert words({"visits": 0.05}) == []

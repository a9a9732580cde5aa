"""The template says its facts, all of them, in many ways, and nothing else."""

from dataclasses import replace

import pytest

from nightmarket.copywriting.facts import CHANNELS, LIMITS
from nightmarket.copywriting.guard.check import message_violations
from nightmarket.copywriting.variety import self_bleu
from nightmarket.copywriting.writers.prompt import Brief, as_data, chat
from nightmarket.copywriting.writers.template import TemplateWriter
from tests.made_up.copy import chinese, english, offer

REASON = {"en": "bought by 643 customers in the last 4 weeks", "zh": "近 4 周有 643 位顾客买过"}
PRAISE = {"en": ("freshness", "taste"), "zh": ("新鲜", "口感")}
ENGLISH = [
    english(terms)
    for terms in (
        offer(percent=20.0),
        offer("threshold", amount=5.0, threshold=40.0),
        offer("gift", gift="a cup", threshold=40.0),
        offer("coupon"),
        offer("coupon", percent=15.0),
        offer("coupon", amount=5.0, code="JAVA5", threshold=40.0),
        None,
    )
]
CHINESE = [
    chinese(terms)
    for terms in (
        offer(scope="牛奶", percent=15.0),
        offer("threshold", scope="牛奶", amount=5.0, threshold=40.0),
        offer("gift", scope="牛奶", gift="帆布袋"),
        offer("coupon", scope="牛奶"),
        offer("coupon", scope="牛奶", percent=20.0, code="MILK8"),
        None,
    )
]


def written(facts, channel="email", num=12, key="b"):
    return TemplateWriter(1).write([Brief(key, channel, facts)], num)[0]


@pytest.mark.parametrize("angle", ["saving", "quality", "routine", "plain"])
@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("facts", [*ENGLISH, *CHINESE])
def test_every_text_of_every_phrase_passes_the_guard(facts, channel, angle, lexicon):
    known = replace(facts, angle=angle, reason=REASON[facts.locale], praise=PRAISE[facts.locale])
    messages = written(known, channel, num=30, key=f"{angle}{channel}")
    assert messages or channel == "banner"  # 40 characters do not hold every condition
    for message in messages:
        assert not any(message_violations(message, known, lexicon).values()), message
        assert all(len(text) <= LIMITS[form] for form, text in message.items())


@pytest.mark.parametrize("facts", [ENGLISH[0], CHINESE[0]])
def test_measured_praise_and_reason_are_said_and_only_then(facts):
    word, count = PRAISE[facts.locale][0], "643"
    known = replace(facts, reason=REASON[facts.locale], praise=PRAISE[facts.locale])
    bodies = [message["body"] for message in written(known)]
    assert all(word in body and count in body for body in bodies if facts.product.name in body.split(word)[0])
    assert any(word in body for body in bodies)
    assert not any(word in text or count in text for message in written(facts) for text in message.values())


@pytest.mark.parametrize("facts", [english(is_new=True), chinese(is_new=True)])
def test_a_new_product_is_told_as_new_with_its_price_and_nothing_else(facts, lexicon):
    texts = [text for channel in CHANNELS for message in written(facts, channel, 6) for text in message.values()]
    new = ("new", "arrived") if facts.locale == "en" else ("新",)
    assert all(any(word in text.lower() for word in new) for text in texts)
    assert all(facts.product.name.lower() in text.lower() for text in texts)
    assert any("7.50" in text or "29.9" in text for text in texts)
    old = replace(facts, product=replace(facts.product, is_new=False))
    assert all(message_violations({"body": text}, old, lexicon)["body"] for text in texts)


@pytest.mark.parametrize("facts", [ENGLISH[0], CHINESE[0]])
def test_messages_of_one_brief_are_unlike_each_other(facts):
    bodies = [message["body"] for message in written(facts, num=10)]
    assert len(set(bodies)) == 10
    assert self_bleu(bodies) < 0.8


def test_a_model_is_told_what_marks_the_readers_and_what_is_praised_as_data():
    facts = replace(ENGLISH[0], readers=("high spend", "broad choice"), praise=("freshness",), reason=REASON["en"])
    data = as_data(facts)
    assert data["readers"] == ["high spend", "broad choice"]
    assert data["praised_for"] == ["freshness"]
    assert data["why"] == REASON["en"]
    assert "never state it" in chat(facts, "sms")[0]["content"]
    assert "readers" not in as_data(ENGLISH[0])
    assert "never state it" not in chat(ENGLISH[0], "sms")[0]["content"]

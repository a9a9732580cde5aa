"""Whatever a writer gives: passed, repaired, stopped or replaced, and on record; only checked texts leave."""

import pytest

from nightmarket.copywriting.composing import compose, repaired
from nightmarket.copywriting.facts import CHANNELS
from nightmarket.copywriting.guard.check import message_violations
from nightmarket.copywriting.writers.prompt import Brief
from nightmarket.copywriting.writers.template import TemplateWriter
from tests.made_up.copy import chinese, english, offer

TENTH = english(offer(percent=20.0))
SPEND = english(offer("threshold", amount=5.0, threshold=40.0))
CODE = english(offer(percent=20.0, code="JAVA20"))
ZH_SPEND = chinese(offer("threshold", scope="牛奶", amount=5.0, threshold=40.0))


class Says:
    """A writer that gives what it was made with, whatever it is asked."""

    name = "parrot"

    def __init__(self, *messages):
        self.messages = list(messages)

    def write(self, briefs, num):
        return [self.messages for _ in briefs]


def composed(lexicon, facts, *messages, channel="sms"):
    [copy], record = compose([Brief("b", channel, facts)], Says(*messages), lexicon, 2, seed=1)
    return copy, record


def test_a_text_that_follows_from_its_facts_passes_as_it_is(lexicon):
    text = "20% off coffee until 14 January."
    copy, record = composed(lexicon, TENTH, {"sms": text})
    assert copy.messages == ({"sms": text},)
    assert copy.writer == "parrot"
    assert [(decision.number, decision.fate, decision.rules) for decision in record] == [(0, "passed", ())]


def test_spaces_and_stars_are_taken_out_and_that_counts_as_a_repair(lexicon):
    copy, [decision] = composed(lexicon, TENTH, {"sms": "  **20% off**  coffee\nuntil 14 January. "})
    assert copy.messages == ({"sms": "20% off coffee until 14 January."},)
    assert decision.fate == "repaired"


@pytest.mark.parametrize(
    ("facts", "text", "fixed"),
    [
        (TENTH, "20% off coffee", "20% off coffee. Until 14 Jan."),
        (SPEND, "$5 off coffee!", "$5 off coffee! From $40, until 14 Jan."),
        (SPEND, "$5 off coffee until 14 Jan.", "$5 off coffee until 14 Jan. From $40."),
        (CODE, "20% off coffee until 14 Jan.", "20% off coffee until 14 Jan. Code: JAVA20."),
        (ZH_SPEND, "牛奶减5元", "牛奶减5元（满40元可用，1月14日截止）"),
    ],
)
def test_a_missing_condition_is_added_and_no_other(lexicon, facts, text, fixed):
    copy, [decision] = composed(lexicon, facts, {"sms": text})
    assert copy.messages == ({"sms": fixed},)
    assert decision.fate == "repaired"
    assert {violation.rule for _, violation in decision.rules} == {"missing condition"}


def test_a_repair_touches_neither_a_whole_text_nor_a_product_without_an_offer():
    whole, alone = {"sms": "20% off coffee until 14 January."}, {"sms": "Roast coffee, at Corner Market."}
    assert repaired(whole, TENTH) == whole
    assert repaired(alone, english()) == alone


def test_a_repair_that_no_longer_fits_is_no_repair(lexicon):
    long = "20% off coffee, picked for your shelf and for your table"
    copy, record = composed(lexicon, TENTH, {"push": long}, channel="push")
    assert record[0].fate == "stopped"
    assert copy.writer == "template"


def test_a_false_text_is_replaced_by_the_template_and_both_are_on_record(lexicon):
    copy, record = composed(lexicon, TENTH, {"sms": "30% off coffee until 14 January."})
    assert copy.writer == "template"
    assert copy.messages
    assert (record[0].writer, record[0].fate) == ("parrot", "stopped")
    assert [(form, violation.rule) for form, violation in record[0].rules] == [("sms", "wrong percentage")]
    assert {(decision.writer, decision.fate) for decision in record[1:]} == {("template", "passed")}


def test_a_false_text_beside_a_true_one_is_only_left_out(lexicon):
    true = {"sms": "20% off coffee until 14 January."}
    copy, record = composed(lexicon, TENTH, {"sms": "Free coffee until 14 January."}, true, dict(true))
    assert copy.messages == (true,)
    assert copy.writer == "parrot"
    assert [decision.fate for decision in record] == ["stopped", "passed", "passed"]


def test_a_message_with_one_false_text_does_not_leave_at_all(lexicon):
    body = "20% off coffee until 14 January."
    copy, record = composed(lexicon, TENTH, {"subject": "30% off coffee", "body": body}, channel="email")
    assert record[0].fate == "stopped"
    assert copy.writer == "template"


@pytest.mark.parametrize("messages", [(), ({"sms": ""},), ({"sms": "\x00\u202e"},), ({"sms": "9" * 4000},)])
def test_a_writer_that_gives_nothing_or_rubbish_is_replaced(lexicon, messages):
    copy, record = composed(lexicon, TENTH, *messages)
    assert copy.writer == "template"
    assert copy.messages
    assert all(decision.fate == "stopped" for decision in record[: len(messages)])


@pytest.mark.parametrize("channel", [*CHANNELS, "app"])
@pytest.mark.parametrize("facts", [TENTH, SPEND, ZH_SPEND, english(), chinese()])
def test_nothing_leaves_that_the_guard_would_stop(lexicon, channel, facts):
    brief = Brief("b", channel, facts)
    texts = [*TemplateWriter(1).write([brief], 3)[0], *TemplateWriter(1).write([Brief("b", channel, CODE)], 3)[0]]
    [copy], record = compose([brief], Says(*texts), lexicon, 3, seed=1)
    assert copy.messages
    for message in copy.messages:
        assert not any(message_violations(message, facts, lexicon).values()), message
    assert len(record) >= len(texts)

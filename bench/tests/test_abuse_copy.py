"""Texts as persons write them: no false one passes, and most true ones do."""

import pytest

from bench.abuse.copy import figures
from bench.guarding import persons

EN, ZH = persons.OFFERS["en tea"], persons.OFFERS["zh tea"]


@pytest.fixture(scope="module")
def catalogue():
    return persons.lexicon()


@pytest.fixture(scope="module")
def rows():
    return list(figures(quick=True))


def test_no_false_text_in_a_persons_manner_passes(rows):
    assert [(row.what, row.value) for row in rows if row.most and row.value] == []


def test_four_in_five_true_texts_pass_and_of_a_round_that_was_never_opened_three_in_five(rows):
    shares = {row.what: row.value for row in rows if not row.most}
    assert [what for what, share in shares.items() if share < (0.6 if what.endswith("held out") else 0.8)] == []


def test_no_false_text_in_the_guards_own_words_passes(catalogue):
    built = list(persons.built_texts())
    assert len(built) > 350
    assert [text for facts, text in built if not persons.broken(facts, text, catalogue)] == []


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (ZH, "绿茶八折，2026年12月9日止。"),
        (persons.OFFERS["zh hundred"], "买绿茶满一百立减二十，2026年12月9日止。"),
        (EN, "Enjoy 20% off all tea, now through Dec 9, 2026."),
    ],
)
def test_plain_true_texts_pass(facts, text, catalogue):
    assert persons.broken(facts, text, catalogue) == []


@pytest.mark.parametrize(
    ("facts", "text"), [(EN, "Up to 20% off tea until Dec 9."), (ZH, "绿茶八折起，2026年12月9日止。")]
)
def test_a_moved_bound_is_stopped(facts, text, catalogue):
    assert any(rule.startswith("bound without a fact") for rule in persons.broken(facts, text, catalogue))

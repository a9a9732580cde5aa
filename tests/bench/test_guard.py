"""A sample of the guard's bench: no false text passes, hardly a true one is stopped."""

import pytest

from bench.guard import false_cases, rules, true_cases
from bench.guarding.catalogue import names
from nightmarket.copywriting.guard import Lexicon
from nightmarket.copywriting.phrases import vocabulary


@pytest.fixture(scope="module")
def lexicon():
    return Lexicon(names(), vocabulary())


def test_every_planted_fault_is_stopped(lexicon):
    missed = [(case.kind, case.fault, case.texts) for case in false_cases(200, seed=1) if not rules(case, lexicon)]
    assert missed == []


def test_true_texts_of_a_free_manner_pass(lexicon):
    alarms = [(case.texts, found) for case in true_cases(200, seed=1) if (found := rules(case, lexicon))]
    assert len(alarms) <= 2, alarms

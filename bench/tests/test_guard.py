"""A sample of the guard's bench: no false text passes, hardly a true one is stopped."""

import pytest

from bench.guard import false_cases, praised, rules, true_cases
from bench.guarding import blind
from bench.guarding.catalogue import names
from nightmarket.copywriting.guard.names import Lexicon
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


def test_false_texts_that_were_written_apart_are_stopped(lexicon, capsys):
    found = blind.measure(lexicon, 1)
    for half in ("blind", "blind_held_out"):
        assert found[f"{half}_false_right"] == found[f"{half}_false"] > 300
    assert found["blind_true_right"] + found["blind_held_out_true_right"] > 120
    assert "held out" in capsys.readouterr().out


def test_measured_praise_passes_and_any_other_is_stopped(lexicon):
    found = praised(lexicon, 2, seed=1)
    assert found["praise_passed"] == found["praise_true"] == 28
    assert found["praise_stopped"] == found["praise_false"] == 84

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
    alarms = [(case.texts, broken) for case in true_cases(200, seed=1) if (broken := rules(case, lexicon))]
    assert len(alarms) <= 2, alarms


def test_false_texts_that_were_written_apart_are_stopped(lexicon, capsys):
    figures = blind.measure(lexicon, 1)
    for half in ("blind", "blind_held_out"):
        assert figures[f"{half}_false_right"] == figures[f"{half}_false"] > 300
    assert figures["blind_true_right"] + figures["blind_held_out_true_right"] > 120
    assert "held out" in capsys.readouterr().out


def test_measured_praise_passes_and_any_other_is_stopped(lexicon):
    figures = praised(lexicon, 2, seed=1)
    assert figures["praise_passed"] == figures["praise_true"] == 28
    assert figures["praise_stopped"] == figures["praise_false"] == 84

import re

import pytest

from nightmarket.serving.card import card, parameters

RECORD = {
    "number": 7,
    "aliases": ["champion"],
    "registered": "2026-11-22T14:40:30Z",
    "tags": {
        "gate": "refused",
        "reason": "all ndcg@10 -.050",
        "commit": "abc",
        "lock_hash": "def",
        "as_of": "2018-01-01",
    },
    "lineage": {
        "run_name": "nightly-1",
        "tags": {
            "dirty": "false",
            "python": "3.11.7",
            "threads": "2",
            "constraints_sha256": "61d8",
            "params_sha256": "99",
        },
        "params": {"rank.seed": "17", "rank.num_leaves": "31", "plan.offers": "[]"},
        "data": {"events": {"rows": 1469307, "sha256": "e43d"}},
    },
    "decision": {
        "against": "version 6",
        "window": {"first_target": 17497, "last_target": 17524},
        "metrics": {"all": {"ndcg@10": {"value": 0.43, "low": 0.42, "high": 0.44}}},
        "differences": {"all": {"value": -0.05, "low": -0.06, "high": -0.04}},
    },
    "validation": {"events": {"rows": 1469307, "kept": 1464471, "set_aside": 4836}},
    "delivered": [{"since": "2026-11-23T02:00:00Z", "until": None, "by": "promote"}],
    "by_hand": {"how": "promote", "by": "Ann", "at": "2026-11-23T02:00:00Z", "reason": "a [link](x) | <b>"},
}
OLD = {
    **RECORD,
    "tags": {"gate": "opened"},
    "aliases": [],
    "lineage": {"run_name": "night", "tags": {}, "params": {}, "data": {}},
    "decision": None,
    "validation": None,
    "delivered": [],
    "by_hand": None,
}


def test_the_card_says_who_delivers_on_whose_word_and_from_what():
    text = card(RECORD).text()
    assert text.startswith("nightmarket version 7: the champion; it delivers\n")
    for line in (
        "gate        refused: all ndcg@10 -.050",
        "by hand     against the gate's word, promote by Ann, 2026-11-23T02:00:00Z: a [link](x) | <b>",
        "judged on         purchases from 2017-11-27 to 2017-12-24",
        "parameters        3 values, SHA-256 99",
        "threads          2",
    ):
        assert f"  {line}\n" in text
    assert re.search(r"all   0\.4300 \[0\.4200, 0\.4400\]  -\.050 \[-\.060, -\.040\]", text)
    assert re.search(r"events  1,469,307  1,464,471      4,836 +e43d", text)


def test_markdown_shows_a_persons_words_as_they_are():
    shown = card(RECORD).markdown()
    assert r"a \[link\](x) \| \<b\>" in shown
    assert "| events | 1,469,307 | 1,464,471 | 4,836 | e43d |" in shown


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_a_version_of_older_code_has_a_card_of_what_is_known(form):
    shown = getattr(card(OLD), form)()
    assert "once champion" in shown
    assert "never; make reproduce VERSION=7" in shown.replace("\\", "")
    assert "Environment" not in shown


def test_parameters_stand_by_section():
    assert parameters(RECORD["lineage"]["params"]) == ["  plan: offers=[]", "  rank: num_leaves=31 seed=17"]

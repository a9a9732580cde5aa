"""rules.yaml: a mistake is one line that names the line of the file and what to write."""

import pytest

from nightmarket.contracts import InputError
from tasks.merchandising.rules_file import ShopRules

WRONG = [
    ("- hide: {brand: x}", "line 1: expected rules: and a list below it, each rule with a dash"),
    ("rules: {hide: 3}", "line 1: rules: expected a list; begin each rule with a dash"),
    ("hide: {brand: x}", "line 1: hide: unknown key; begin it with a dash below rules:"),
    ("rools: []", "line 1: rools: unknown key; there is rules alone"),
    ("rules:\n  - hidee: {brand: x}", "line 2: rule 1: unknown key hidee; did you mean hide?"),
    ("rules:\n  - 5", "line 2: rule 1: expected a rule"),
    ("rules:\n  - name: x", "line 2: rule 1: it does not say what to do; begin it with one of hide, bury"),
    ("rules:\n  - hide: {brnd: x}", "line 2: rule 1, hide.brnd: unknown key; did you mean brand?"),
    ("rules:\n  - hide: x", "line 2: rule 1, hide: expected keys with values"),
    ("rules:\n  - hide: {id: 007}", "line 2: rule 1, hide.id: expected text; put it in quotes; found 7"),
    ("rules:\n  - hide: {brand: yes}", "line 2: rule 1, hide.brand: expected text or a number; found true"),
    ("rules:\n  - hide: {}", "line 2: rule 1, hide: it names no product; say one of id, group, brand"),
    ("rules:\n  - hide: {brand: x}\n    pin: {id: a}", "line 3: rule 1, pin: hide and pin in one rule; make two of it"),
    ("rules:\n  - pin: {id: a}\n    place: 0", "line 3: rule 1, place: must be at least 1; found 0"),
    ("rules:\n  - pin: {id: a}\n    place: [1, 2]", "line 3: rule 1, place: 2 places for 1 products"),
    ("rules:\n  - cap: 2", "line 2: rule 1, per: say what is counted"),
    ("rules:\n  - cap: 2\n    per: brnd", "line 3: rule 1, per: expected one of brand"),
    ("rules:\n  - cap: 0\n    per: brand", "line 2: rule 1, cap: must be at least 1; found 0"),
    ("rules:\n  - not_again: cyle", "line 2: rule 1, not_again: must be cycle, or a whole number of days"),
    (
        "rules:\n  - hide: {brand: x}\n    valid_from: 2026-02-30",
        "line 3: rules.0.valid_from: a date that no calendar has",
    ),
    (
        "rules:\n  - hide: {brand: x}\n    valid_from: 2026-03-01\n    valid_until: 2026-02-01",
        "line 4: rule 1, valid_until: 2026-02-01 lies before valid_from, 2026-03-01",
    ),
    (
        "rules:\n  - hide: {attribute: {price: {least: 5, most: 3}}}",
        "line 2: rule 1, hide.attribute: price: 5 is above most, 3",
    ),
    (
        "rules:\n  - hide: {attribute: {price: {leest: 5}}}",
        "line 2: rule 1, hide.attribute: price.leest: say least and most, numbers",
    ),
    (
        "rules:\n  - hide: {brand: x}\n    audiense: {market: DE}",
        "line 3: rule 1, audiense: unknown key; did you mean audience?",
    ),
    (
        "rules:\n  - hide: {brand: x}\n    audience: {markt: DE}",
        "line 3: rule 1, audience.markt: unknown key; did you mean",
    ),
    ("rules:\n  - margin: 9\n  - least_stock: -1", "line 2: rule 1, margin: must be at most 5; found 9 (and 1 more)"),
    ("rules:\n\t- hide", "line 2: not valid YAML: a tab; indent with spaces"),
]
SEE = "see rules.yaml, line 2"
CONTRADICTORY = [
    ("- pin: {id: a}\n  place: 25", "line 2: rule 1: place 25 is pinned, and a list has 20 (score.num_recommend"),
    ("- hide: {id: [a, b]}\n- pin: {id: a}", f"line 3: rule 2: products are pinned and hidden at the same time, {SEE}"),
    (
        "- pin: {brand: x, category: Food > Wine}\n- hide: {category: wine}",
        f"line 3: rule 2: products are pinned and hidden at the same time, {SEE}",
    ),
    (
        "- pin: {brand: x}\n  place: [1, 2, 3]\n- cap: 2\n  per: brand",
        f"line 4: rule 2: 3 places are pinned and the cap is 2, {SEE}",
    ),
    (
        "- cap: 1\n  products: {brand: [x, y]}\n- pin: {brand: x}\n- pin: {brand: y}\n  place: 2",
        f"line 5: rule 3: 2 places are pinned and the cap is 1, {SEE}",
    ),
    ("- pin: {id: a}\n- pin: {id: b}", "line 3: rule 2: place 1 is pinned already by rules.yaml, line 2"),
    (
        "- sold_in: [DE]\n  products: {brand: x}\n- pin: {brand: X}\n  audience: {market: FR}",
        "line 4: rule 2: products are pinned in a market where they are not sold by rules.yaml, line 2",
    ),
]
TOGETHER = [
    "- hide: {id: b}\n- pin: {id: a}",
    "- pin: {brand: x}\n- hide: {brand: x, category: wine}",  # x has other products
    "- pin: {id: a}\n  audience: {market: DE}\n- hide: {id: a}\n  audience: {market: FR}",
    "- pin: {id: a}\n  valid_until: 2026-11-30\n- pin: {id: b}\n  valid_from: 2026-12-01",
    "- cap: 1\n  per: brand\n- pin: {brand: x}\n  audience: {market: DE}\n"
    "- pin: {brand: x}\n  place: 2\n  audience: {market: FR}",
    "- cap: 1\n  per: brand\n- pin: {brand: [x, y]}\n  place: [1, 2]",  # one of each may stand there
    "- pin: {id: a}\n- bury: {brand: x}",
]


def loaded(tmp_path, text):
    path = tmp_path / "rules.yaml"
    path.write_text(text + "\n", encoding="utf-8")
    return ShopRules.load(path, 20, "params.yaml, line 60")


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_a_mistake_is_named_with_its_line_and_what_to_write(tmp_path, text, said):
    with pytest.raises(InputError) as error:
        loaded(tmp_path, text)
    assert str(error.value).startswith(f"rules.yaml, {said}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("text", "said"), CONTRADICTORY)
def test_rules_that_contradict_each_other_are_named_with_both_lines(tmp_path, text, said):
    with pytest.raises(InputError) as error:
        loaded(tmp_path, "rules:\n" + text)
    assert str(error.value).startswith(f"rules.yaml, {said}")
    assert str(error.value).count(", line ") == 2


@pytest.mark.parametrize("text", TOGETHER)
def test_rules_that_never_meet_or_leave_each_other_room_hold_together(tmp_path, text):
    assert len(loaded(tmp_path, "rules:\n" + text).rules) >= 2


@pytest.mark.parametrize("text", ["", "# hide: nothing", "rules:", "rules: []"])
def test_a_file_without_a_rule_has_none_and_so_has_none_at_all(tmp_path, text):
    assert loaded(tmp_path, text).rules == ()
    assert ShopRules.load(tmp_path / "no such file.yaml").rules == ()

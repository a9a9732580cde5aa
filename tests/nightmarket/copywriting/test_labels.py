"""labels: words for customers, and one name per offer that is true of all that it covers."""

import pytest

from nightmarket.copywriting import labels
from nightmarket.copywriting.labels import covered, customer_words


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("REFRGRATD JUICES/DRNKS", "refrigerated juices and drinks"),
        ("FLUID MILK PRODUCTS", "milk products"),
        ("ALL FAMILY CEREAL", "family cereal"),
        ("MEAT - MISC", "meat"),
        ("CHIPS&SNACKS", "chips and snacks"),
        ("NUTS (IN SHELL)", "nuts"),
        ("Dresses & Skirts", "Dresses & Skirts"),
        ("TV", "TV"),
        ("绿茶", "绿茶"),
        ("КОФЕ", "кофе"),
        ("ALL", "all"),
        ("LED TVS", "LED tvs"),
        ("MISCELLANEOUS", "miscellaneous"),
        ("", ""),
        (None, ""),
    ],
)
def test_labels_in_capitals_become_words_and_others_stay(label, words):
    assert customer_words(label) == words


def test_an_offer_is_called_by_its_kinds_and_what_is_offered_in_part_is_selected():
    assert covered([[("COFFEE", True)]]) == {"en": "coffee", "zh": "coffee"}
    assert covered([[("COFFEE", False)]]) == {"en": "selected coffee", "zh": "指定coffee"}
    assert covered([[("绿茶", True), ("红茶", True)]]) == {"en": "绿茶 and 红茶", "zh": "绿茶、红茶"}
    assert covered([[("COFFEE", True), ("TEA", False)]])["en"] == "selected coffee and tea"


def test_of_many_kinds_the_group_is_named_and_of_many_groups_none():
    kinds = [(name, True) for name in ("A TEA", "B TEA", "C TEA", "D TEA")]
    assert covered([kinds, [("Hot drinks", True)]])["en"] == "Hot drinks"
    assert covered([kinds, kinds, kinds]) == labels.ANYTHING
    assert covered([[("", False), ("COFFEE", True)], [("Drinks", False)]])["en"] == "selected Drinks", (
        "some of it has no kind"
    )


def test_a_name_never_covers_more_than_the_label_did():
    assert covered([[("OTHER CHEESE", True)]])["en"] == "selected cheese"
    assert covered([[("FLUID MILK PRODUCTS", True)]])["en"] == "selected milk products"
    assert labels.scope("OTHER CHEESE") == {"en": "selected cheese", "zh": "指定cheese"}
    assert labels.scope("Coffee") == {"en": "Coffee", "zh": "Coffee"}


def test_what_stays_an_abbreviation_is_not_said_to_customers():
    assert covered([[("FRZN SS PREMIUM ENTREES/DNRS/N", True)], [("FROZEN MEALS", True)]])["en"] == "frozen meals"
    assert covered([[("PWDR/CRYSTL DRNK MX", True)]]) == labels.ANYTHING
    assert covered([[("A VERY LONG NAME OF ONE KIND OF PRODUCTS", True)], [("Tea", True)]])["en"] == "Tea"

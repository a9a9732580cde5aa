"""The list that is the same for everybody."""

from types import SimpleNamespace

import numpy as np
import pytest

from nightmarket.ranking.impersonal import PopularList


@pytest.mark.parametrize(
    ("language", "target", "reason"),
    [
        ("en", "purchase", "bought by 30 customers in the last 4 weeks"),
        ("en", "view", "looked at by 30 customers in the last 4 weeks"),
        ("zh", "view", "近 4 周有 30 位顾客看过"),
    ],
)
def test_its_reasons_speak_of_what_lists_foretell(language, target, reason):
    buyers = {"2w": np.array([9, 0, 9]), "4w": np.array([30, 0, 30]), "ever": np.array([40, 1, 50])}
    statistics = SimpleNamespace(buyers=buyers, active=np.array([0, 2], np.int32))
    popular = PopularList.of(statistics, 1, language, target)
    assert popular.items[: popular.num].tolist() == [2]
    assert popular.reasons[: popular.num].tolist() == [reason]

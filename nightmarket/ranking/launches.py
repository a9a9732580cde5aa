"""Products that come on sale now: who will be the first to buy them.

Which products are launched is the retailer's own decision and known beforehand; what is not known is who wants them.
A product without sales has only its place in the catalogue and its text. Besides, we know how many bought the products
of its line, kind and maker that came on sale lately, and who buys there.
"""

import numpy as np
from numpy.typing import NDArray

from nightmarket.ranking.evidence import Evidence
from nightmarket.ranking.sources import Source, affinity

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

_LEVELS = ("line", "kind", "category", "maker")
RECENT_WEEKS = 8
LAUNCH_FEATURES: dict[str, str] = {
    **{f"{level}_debuts": f"products of its {level} first sold in the last {RECENT_WEEKS} weeks" for level in _LEVELS},
    **{f"{level}_draw": f"customers per debut of its {level}, per week since the debut" for level in _LEVELS},
    **{f"{level}_own": f"share of the customer's fresh baskets in its {level}" for level in _LEVELS},
    "line_num": "baskets of the customer with its line",
    "kind_num": "baskets of the customer with its kind",
    "kind_age": "days since the customer's last basket with its kind",
    "range": "distinct products of the customer",
    "explore": "share of the customer's last 8 weeks' purchases that were first purchases",
}


def _codes(evidence: Evidence) -> dict[str, Ints]:
    return {level: getattr(evidence.catalogue, level) for level in _LEVELS}


class LaunchTable:
    """Candidates and features for products without sales, at one origin."""

    def __init__(self, evidence: Evidence, launching: Ints) -> None:
        self._evidence = evidence
        self._launching = launching
        self._first = evidence.histories.first_weeks()
        self._stats = {level: self._level(codes) for level, codes in _codes(evidence).items()}

    def sources(self, num: int) -> list[Source]:
        """Affinity to line, kind and maker, weighed by how many buyers a debut there can expect."""
        items = self._launching
        weight = np.ones(self._evidence.catalogue.num_items, np.float32)
        made = []
        for level, codes in _codes(self._evidence).items():
            if level == "category":
                continue
            expected = self._stats[level]["draw"][codes[items]] + 1e-4
            weight[items] = expected
            made.append(Source(level, num, items, affinity(self._evidence, level, codes, items, weight, divide=False)))
        return made

    def names(self, sources: list[str]) -> list[str]:
        """Names of the feature columns, in order."""
        return [*LAUNCH_FEATURES, *(f"score_{name}" for name in sources)]

    def rows(self, customer: Ints, item: Ints, scores: dict[str, Floats]) -> Floats:
        """(N, F) features of the pairs (customer[i], item[i])."""
        found: dict[str, NDArray] = {}
        levels = self._evidence.levels
        for level, codes in _codes(self._evidence).items():
            code = codes[item]
            for name in ("debuts", "draw"):
                found[f"{level}_{name}"] = self._stats[level][name][code]
            stats = levels[level]
            row = stats.find(customer, code)
            some = (row >= 0) if stats.key.size else np.zeros(row.size, bool)
            fresh = np.where(some, stats.fresh[row] if stats.key.size else 0.0, 0.0)
            found[f"{level}_own"] = fresh / self._evidence.customer_fresh[customer]
            if level in ("line", "kind"):
                found[f"{level}_num"] = np.where(some, stats.num[row] if stats.key.size else 0.0, 0.0)
            if level == "kind":
                age = self._evidence.last_day - (stats.last[row] if stats.key.size else np.zeros(row.size))
                found["kind_age"] = np.where(some, age, np.nan)
        tried, bought = self._evidence.customer_recent
        found["range"] = self._evidence.customer_range[customer]
        found["explore"] = (tried / np.maximum(bought, 1))[customer]
        found |= {f"score_{name}": values for name, values in scores.items()}
        table = np.empty((customer.size, len(found)), np.float32)
        for column, name in enumerate(self.names(list(scores))):
            table[:, column] = found[name]
        return table

    def _level(self, codes: Ints) -> dict[str, Floats]:
        """Debuts of the last weeks, per code of the level."""
        evidence, num = self._evidence, int(codes.max(initial=0)) + 1
        since = evidence.origin - RECENT_WEEKS + 1
        debut = evidence.sold & (self._first >= since)
        debuts = np.bincount(codes[debut], minlength=num)
        weeks = np.maximum(evidence.origin - self._first[debut] + 1, 1)
        draw = np.bincount(codes[debut], evidence.buyers["13w"][debut] / weeks, num)
        overall = draw.sum() / max(debuts.sum(), 1)
        return {
            "debuts": debuts.astype(np.float32),
            "draw": ((draw + 2 * overall) / (debuts + 2)).astype(np.float32),
        }

"""Offline and off-policy estimates beside A/B results: how far the next estimate can be trusted.

One row per model or policy version and experiment. All figures are relative lifts over the experiment's control, so
that an offline metric and an online one can stand side by side; they remain different metrics, and the rows name them.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import t as student

MIN_ROWS = 3
VERSION = re.compile(r"^(?:v|version)[ _-]?(\d+)$", re.IGNORECASE)


class Lift(NamedTuple):
    """A relative lift with its 95% interval where it has one; .1 is 10% more than the control."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class LedgerRow:
    """One version or policy, one experiment or none.

    offline  what the offline evaluation promised;  ope  what the off-policy estimate promised;  ab  what the test found
    """

    name: str
    experiment: str = ""
    control: str = ""
    offline: Lift | None = None
    offline_metric: str = ""
    ope: Lift | None = None
    ab: Lift | None = None
    ab_metric: str = ""
    verdict: str = ""
    note: str = ""

    def content(self) -> dict[str, Any]:
        """As JSON keeps it."""
        lifts = {name: lift._asdict() if (lift := getattr(self, name)) else None for name in ("offline", "ope", "ab")}
        return asdict(self) | lifts


def version_of(arm: str) -> int | None:
    """7 for an arm called v7, V7, version 7 or version-7; None for another name."""
    match = VERSION.match(arm.strip())
    return int(match.group(1)) if match else None


def ledger(
    versions: Sequence[Mapping[str, Any]], policies: Mapping[str, Lift], experiments: Iterable[Mapping[str, Any]]
) -> list[LedgerRow]:
    """One table of all that was promised and found.

    versions     rows of versions.json: version, metric, value, against, difference ({value, low, high} or None)
    policies     off-policy lift over the logged policy, by policy (a version's policy is called like its arm)
    experiments  `ReadOut.content()` of each experiment; a blocked one finds nothing
    """
    by_version = {int(row["version"]): row for row in versions}
    by_policy = {_key(name): lift for name, lift in policies.items()}
    rows: list[LedgerRow] = []
    for experiment in experiments:
        if not experiment["sample_ratio"]:
            continue
        metric = next((compared["metric"] for compared in experiment["comparisons"]), "")
        for arm in experiment["sample_ratio"]["found"]:
            if arm == experiment["control"]:
                continue
            version = version_of(arm)
            known = version in by_version or _key(arm) in by_policy
            if version is None and not known:
                continue
            offline, note = _offline(by_version, version, experiment["control"])
            rows.append(
                LedgerRow(
                    name=_label(arm),
                    experiment=experiment["name"],
                    control=experiment["control"],
                    offline=offline,
                    offline_metric=str(by_version[version]["metric"]) if version in by_version else "",
                    ope=by_policy.get(_key(arm)),
                    ab=_measured(experiment, arm, metric),
                    ab_metric=metric,
                    verdict=experiment["verdict"]["word"],
                    note=note,
                )
            )
    tested = {row.name for row in rows}
    for version, decided in sorted(by_version.items()):
        if f"v{version}" not in tested:
            rows.append(_untested(version, decided, by_policy))
    named = {_key(row.name) for row in rows}
    rows += [LedgerRow(name, ope=lift) for name, lift in sorted(policies.items()) if _key(name) not in named]
    return rows


def _label(arm: str) -> str:
    version = version_of(arm)
    return arm if version is None else f"v{version}"


def _key(name: str) -> str:
    return _label(name).casefold()


def _untested(version: int, row: Mapping[str, Any], by_policy: Mapping[str, Lift]) -> LedgerRow:
    against = str(row["against"] or "")
    return LedgerRow(
        name=f"v{version}",
        control=against,
        offline=_promised(row),
        offline_metric=str(row["metric"]),
        ope=by_policy.get(f"v{version}"),
    )


def _promised(row: Mapping[str, Any]) -> Lift | None:
    """The paired difference against the rival over the rival's own figure, which is taken as known."""
    difference = row["difference"]
    if not difference or not row["value"] - difference["value"] > 0:
        return None
    rival = row["value"] - difference["value"]
    return Lift(*(difference[part] / rival for part in ("value", "low", "high")))


def _offline(by_version: Mapping[int, Mapping[str, Any]], version: int | None, control: str) -> tuple[Lift | None, str]:
    """What the offline evaluation promised of a version over the experiment's control, and what to know about it."""
    if version is None or version not in by_version:
        return None, ""
    row, other = by_version[version], version_of(control)
    if other is None:
        return None, f"the control '{control}' has no offline figure"
    if version_of(str(row["against"])) == other:
        return _promised(row), ""
    if other not in by_version or not by_version[other]["value"] > 0:
        return None, f"v{other} has no offline figure"
    return Lift(row["value"] / by_version[other]["value"] - 1), f"v{version} and v{other} were judged on other windows"


def _measured(experiment: Mapping[str, Any], arm: str, metric: str) -> Lift | None:
    """The effect over the control's level, which is taken as known; with the always-valid interval."""
    for result in experiment["comparisons"]:
        if result["arm"] == arm and result["metric"] == metric and result["control"]:
            bounds = result["sequence"]
            return Lift(
                result["effect"] / result["control"],
                bounds["low"] / result["control"],
                bounds["high"] / result["control"],
            )
    return None


@dataclass(frozen=True)
class Trust:
    """How far estimates of one kind were from the A/B results.

    bias   mean of estimate - A/B, in points of relative lift, with its t-interval over rows
    ratio  mean A/B over mean estimate with Fieller's interval (1954): what of a promised lift arrives.
           None where the estimates do not differ clearly from no lift at all
    """

    num_rows: int
    sentence: str
    bias: Lift | None = None
    ratio: Lift | None = None

    def content(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return {
            "num_rows": self.num_rows,
            "sentence": self.sentence,
            "bias": self.bias._asdict() if self.bias else None,
            "ratio": self.ratio._asdict() if self.ratio else None,
        }


def trust(rows: Iterable[LedgerRow], kind: str) -> Trust:
    """How estimates of one kind ("offline" or "ope") compared with the A/B results; silent below 3 rows."""
    said = {"offline": "offline", "ope": "off-policy"}[kind]
    pairs = [(getattr(row, kind).value, row.ab.value) for row in rows if getattr(row, kind) and row.ab]
    if len(pairs) < MIN_ROWS:
        return Trust(
            len(pairs),
            f"{len(pairs)} versions have both an {said} estimate and an A/B result; how far to trust the {said} "
            f"estimates cannot be said before there are {MIN_ROWS}",
        )
    estimate, measured = np.array(pairs).T
    edge = float(student.ppf(0.975, len(pairs) - 1))
    gap = estimate - measured
    half = edge * float(gap.std(ddof=1)) / math.sqrt(len(pairs))
    bias = Lift(float(gap.mean()), float(gap.mean()) - half, float(gap.mean()) + half)
    ratio = _fieller(estimate, measured, edge)
    sentence = (
        f"over {len(pairs)} versions the {said} estimate was {bias.value:+.1%} [{bias.low:+.1%}, {bias.high:+.1%}] "
        "above the A/B result"
    )
    if ratio:
        sentence += f"; of a promised lift {ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}] arrived"
    return Trust(len(pairs), sentence, bias, ratio)


def _fieller(x: np.ndarray, y: np.ndarray, edge: float) -> Lift | None:
    """mean(y) / mean(x) of paired values with Fieller's interval; None where it is not bounded."""
    scatter = np.cov(x, y) * edge**2 / x.size
    a = x.mean() ** 2 - scatter[0, 0]
    b = x.mean() * y.mean() - scatter[0, 1]
    c = y.mean() ** 2 - scatter[1, 1]
    if a <= 0:
        return None
    root = math.sqrt(max(b * b - a * c, 0.0))
    return Lift(float(y.mean() / x.mean()), float((b - root) / a), float((b + root) / a))

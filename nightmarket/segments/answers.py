"""How groups answered campaigns: measured rates with intervals, and what follows from them in words."""

from typing import Any

import pandas as pd
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Bools
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.evaluation.intervals import clustered


def reached(
    exposures: pd.DataFrame, responses: pd.DataFrame, campaigns: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp
) -> tuple[pd.DataFrame, int]:
    """Customers × campaigns reached, whether they answered, and how many campaigns were left out.

    first, last  the span of the data, UTC; a campaign that began before or ends after is not seen whole and left out

    Gives customer_id, campaign_id, kind, answered. A response to a campaign that did not reach the customer is none.
    """
    seen = campaigns[(campaigns["start"] >= first) & (campaigns["end"] <= last)]
    pairs = exposures[["customer_id", "campaign_id"]].drop_duplicates()
    pairs = pairs.merge(seen[["campaign_id", "kind"]], on="campaign_id", validate="many_to_one")
    who = responses[["customer_id", "campaign_id"]].drop_duplicates().assign(answered=True)
    pairs = pairs.merge(who, on=["customer_id", "campaign_id"], how="left", validate="one_to_one")
    left_out = exposures["campaign_id"].nunique() - pairs["campaign_id"].nunique()
    return pairs.assign(answered=pairs["answered"].eq(True)), int(left_out)


def rate(customer: NDArray, answered: Bools) -> dict[str, float]:
    """Share of pairs answered with a 95% interval that counts customers, not pairs (`shares.clustered`)."""
    interval = clustered(customer, answered)
    return {"rate": interval.value, "low": interval.low, "high": interval.high}


def answers(pairs: pd.DataFrame) -> list[dict[str, Any]]:
    """Per kind of campaign: customers and pairs reached, answers, rate with interval. Kinds that reached fewer than 20
    people are left out; highest rate first."""
    rows = []
    for kind, part in pairs.groupby("kind", sort=True):
        people = part["customer_id"].nunique()
        if people < MIN_GROUP:
            continue
        figures = rate(part["customer_id"].to_numpy(), part["answered"].to_numpy())
        counts = {"customers": int(people), "pairs": len(part), "answered": int(part["answered"].sum())}
        rows.append({"kind": str(kind), "campaigns": int(part["campaign_id"].nunique())} | counts | figures)
    return sorted(rows, key=lambda row: -row["rate"])


def strategy(rows: list[dict[str, Any]], others: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What measured answers say about a group, in words.

    rows    what `answers` gives for the group
    others  per kind, the same row for all customers outside the group

    `kind` is the kind whose interval lies above every other's, else null; `against` whether the group answers its first
    kind more than other customers ("more", "less", "no measured difference", or null where nobody else was reached).
    """
    if not rows:
        return {
            "kind": None,
            "against": None,
            "en": "No kind of campaign reached 20 of them, so nothing is known of how they answer.",
            "zh": "没有哪类活动触达到20人，尚不知其响应情况。",
        }
    first, rest = rows[0], rows[1:]
    clear = bool(rest) and all(first["low"] > row["high"] for row in rest)
    stated, said = _figures(first, "en"), _figures(first, "zh")
    if clear:
        second, two = _figures(rest[0], "en"), _figures(rest[0], "zh")
        english = f"They answered {stated} most, ahead of {second}: the kind to try first."
        chinese = f"对{said}响应最高，高于{two}：可优先尝试此类。"
    elif rest:
        listed = "; ".join(_figures(row, "en") for row in rows)
        english = f"No measured difference between kinds of campaign: {listed}."
        chinese = f"各类活动之间没有可测差异：{'；'.join(_figures(row, 'zh') for row in rows)}。"
    else:
        english, chinese = f"Only {stated} reached 20 of them.", f"只有{said}触达满20人。"
    against = _against(first, others.get(first["kind"]))
    if against:
        words = {"more": ("more than", "高于"), "less": ("less than", "低于")}
        other = others[first["kind"]]
        percent = f"{other['rate']:.1%} [{other['low']:.1%}, {other['high']:.1%}]"
        if against in words:
            english += f" That is {words[against][0]} other customers ({percent})."
            chinese += f"{words[against][1]}其他顾客（{percent}）。"
        else:
            english += f" No measured difference from other customers ({percent})."
            chinese += f"与其他顾客没有可测差异（{percent}）。"
    return {"kind": first["kind"] if clear else None, "against": against, "en": english, "zh": chinese}


def _against(row: dict[str, Any], other: dict[str, Any] | None) -> str | None:
    if other is None:
        return None
    if row["low"] > other["high"]:
        return "more"
    return "less" if row["high"] < other["low"] else "no measured difference"


def _figures(row: dict[str, Any], language: str) -> str:
    figures = f"{row['rate']:.1%} [{row['low']:.1%}, {row['high']:.1%}]"
    return f"{row['kind']} ({figures})" if language == "en" else f"{row['kind']}（{figures}）"

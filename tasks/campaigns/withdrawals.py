"""Who may no longer be contacted when a campaign is exported: the shop's lists are read again at that moment.

reads   the source's tables `suppressions`, `deliveries` and `customers`, where it is a folder or folders
        .nightmarket/suppressions.csv (or .parquet, .jsonl …), which the shop may drop in at any time, with its own ids
        or the pseudonyms of an export
        .nightmarket/forgotten.json
"""

import datetime
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Int8s
from nightmarket.contracts.tables import channel_column
from nightmarket.delivery import consent
from tasks.intake import Feed, now
from tasks.privacy.pseudonyms import Pseudonyms, customer_keys, digest, forgotten

SUPPRESSIONS, CUSTOMERS, DELIVERIES = "suppressions", "customers", "deliveries"
LISTED = ("customer_id", "channel", "reason")
SENT = ("customer_id", "channel", "sent", "bounced", "unsubscribed", "complained")


@dataclass(frozen=True)
class ReadAgain:
    """What the lists say now.

    customers  (C,)    pseudonyms
    codes      (C, H)  of consent.REASONS, by `channels`
    rows       file → rows read, and how many of them are of customers of the plan
    """

    customers: pd.Index
    channels: Sequence[str]
    codes: Int8s
    rows: dict[str, dict[str, int]]

    def of(self, plan: pa.Table) -> Int8s:
        """(N,) code of each row of a plan."""
        customer = self.customers.get_indexer(pd.Index(plan["customer_id"].to_pylist()))
        channel = pd.Index(self.channels).get_indexer(pd.Index(plan["channel"].to_pylist()))
        if (customer < 0).any() or (channel < 0).any():
            raise InputError("the plan holds channels that its summary does not name; plan again")
        codes: Int8s = self.codes[customer, channel]
        return codes

    def taken_out(self, sent: pa.Table) -> dict[str, Any]:
        """Contacts of a plan that go out no more, of how many customers, and customers by reason."""
        codes = self.of(sent)
        customer = np.array(sent["customer_id"].to_pylist(), object)
        reasons = {
            reason: len({*customer[codes == code].tolist()})
            for code, reason in enumerate(consent.REASONS)
            if code != consent.ALLOWED and (codes == code).any()
        }
        closed = codes != consent.ALLOWED
        return {"contacts": int(closed.sum()), "customers": len({*customer[closed].tolist()}), "reasons": reasons}

    def anywhere(self, customers: Sequence[str]) -> Bools:
        """(N,) who may be contacted on one channel at least."""
        allowed = (self.codes == consent.ALLOWED).any(axis=1)
        return np.asarray(allowed[self.customers.get_indexer(pd.Index(customers))], bool)


def read_again(home: Path, customers: Collection[str], said: Mapping[str, Any]) -> ReadAgain:
    """Ask the lists about the customers of a plan.

    said  of the plan's summary, `consent`: what was known when it was made

    Raises InputError where a list is gone that the plan was made with, or cannot be read: then nobody knows.
    """
    asked = frozenset(customers)
    names = _Names(asked)
    rows: dict[str, dict[str, int]] = {}
    listed = _forgotten(asked)
    people: list[pd.DataFrame] = []
    sent = [pd.DataFrame({name: pd.Series(dtype=object) for name in SENT})]
    known = {SUPPRESSIONS: False, CUSTOMERS: False, DELIVERIES: False}
    parts = {SUPPRESSIONS: listed, CUSTOMERS: people, DELIVERIES: sent}
    for feed, prefix in now.feeds(home, tuple(known)):
        columns = [name for name in _columns(feed) if name not in feed.filled]
        parts[feed.table.name].append(_rows(feed, prefix, columns, names, rows))
        known[feed.table.name] |= feed.table.name != CUSTOMERS or consent.is_known(columns)
    for feed, prefix in now.dropped_in(home, SUPPRESSIONS):
        listed.append(_rows(feed, prefix, list(LISTED), names, rows))
    asked_before = {SUPPRESSIONS: said["listed"], CUSTOMERS: said["known"], DELIVERIES: said.get("delivered", False)}
    for name, was in asked_before.items():
        if was and not known[name]:
            what = "has no column of consent any more" if name == CUSTOMERS else "is gone"
            raise InputError(
                f"{name} {what}, and the plan was made with it: who withdrew since is not known, so nothing is "
                "exported; bring it back"
            )
    index = pd.Index(sorted(asked))
    frame = pd.DataFrame({"customer_id": index}).merge(_one_each(people), on="customer_id", how="left")
    moment = datetime.datetime.now(datetime.UTC)
    table = pd.concat([pd.DataFrame(columns=list(LISTED), dtype=object), *listed])
    facts = consent.contact_facts(
        frame, table, said["channels"], moment.replace(tzinfo=None), moment.date(), pd.concat(sent, ignore_index=True)
    )
    return ReadAgain(index, said["channels"], consent.may_contact(facts, said["min_age"]), rows)


def without(home: Path, plan: pa.Table, said: Mapping[str, Any]) -> tuple[pa.Table, int]:
    """The rows of a plan that may still go out, and how many customers lost one."""
    lists = read_again(home, set(plan["customer_id"].to_pylist()), said)
    return plan.filter(pa.array(lists.of(plan) == consent.ALLOWED)), int(lists.taken_out(plan)["customers"])


def _columns(feed: Feed) -> list[str]:
    if feed.table.name == SUPPRESSIONS:
        return list(LISTED)
    if feed.table.name == DELIVERIES:
        return list(SENT)
    return ["customer_id", "birth_year", *(column.name for column in feed.table.columns if channel_column(column.name))]


class _Names:
    """The pseudonyms of a plan by the shop's own ids; an id may be a pseudonym already."""

    def __init__(self, asked: Collection[str]) -> None:
        self._asked = asked
        self._hashed = Pseudonyms(customer_keys())

    def __call__(self, ids: pa.Array, prefix: str) -> list[str | None]:
        coded = ids.cast(pa.string()).dictionary_encode()
        known = [self._of(customer, prefix) for customer in coded.dictionary.to_pylist()]
        return [None if at is None else known[at] for at in coded.indices.to_pylist()]

    def _of(self, customer: str, prefix: str) -> str | None:
        names = (customer, *self._hashed.under_each_key(customer, prefix))
        return next((name for name in names if name in self._asked), None)


def _rows(
    feed: Feed, prefix: str, columns: Sequence[str], names: _Names, rows: dict[str, dict[str, int]]
) -> pd.DataFrame:
    """The rows of the plan's customers; counts them and all that were read."""
    parts = [pd.DataFrame({name: pd.Series(dtype=object) for name in columns})]
    counts = rows.setdefault(f"{prefix}{feed.file}", {"rows": 0, "of_the_plan": 0})
    for batch in feed.batches():
        counts["rows"] += batch.num_rows
        own = names(batch["customer_id"], prefix)
        frame = batch.select(list(columns)).to_pandas().assign(customer_id=own)
        parts.append(frame[frame["customer_id"].notna()])
        counts["of_the_plan"] += len(parts[-1])
    return pd.concat(parts[1:] or parts)


def _one_each(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One row per customer: of two answers no holds, of two times the later, of two years of birth the younger's."""
    people = pd.concat([pd.DataFrame({"customer_id": pd.Series(dtype=object)}), *parts])
    rules = {
        name: "min" if (column := channel_column(name)) and column.kind == "category" else "max"
        for name in people
        if name != "customer_id"
    }
    return people.groupby("customer_id", as_index=False).agg(rules) if rules else people.drop_duplicates()


def _forgotten(customers: Collection[str]) -> list[pd.DataFrame]:
    """Customers who asked to be forgotten since, as rows of suppressions."""
    gone = forgotten()
    names = [name for name in customers if digest(name) in gone] if gone else []
    return [pd.DataFrame({"customer_id": names, "channel": None, "reason": "forgotten"})]

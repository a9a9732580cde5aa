"""A made-up marketplace of any number of events, made crowd by crowd so that no more than one is in memory.

Crowds are customers of one shop: the same products, prices and promotions, each their own tastes and dice.
"""

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.shops.profiles import PROFILES, ShopProfile
from bench.shops.tables import make_shop, places
from bench.shops.truth import load, save
from nightmarket.evaluation.metrics import rank_metrics

EVENTS_PER_CUSTOMER = 85
"""About so many in a year and a month of the marketplace's sessions."""
EVENTS_PER_PRODUCT = 200
FEWEST_PRODUCTS = 300
SEED = 7
KINDS = ("view", "cart", "purchase")


@dataclass(frozen=True)
class ScaledShop:
    """How many events are wanted, of how many products (0: in proportion), by how many customers at a time."""

    events: int
    products: int = 0
    crowd_events: int = 1_000_000

    @property
    def num_crowds(self) -> int:
        """Of `crowd_events` events each, about."""
        return max(1, round(self.events / self.crowd_events))

    @property
    def profile(self) -> ShopProfile:
        """Of one crowd: customers with an id alone, and what they view, put into the cart and buy."""
        num_customers = max(20, round(self.events / self.num_crowds / EVENTS_PER_CUSTOMER))
        num_products = self.products or max(FEWEST_PRODUCTS, self.events // EVENTS_PER_PRODUCT)
        plain = {"guests": 0.0, "bots": 0, "searching": 0.0}
        return replace(PROFILES["marketplace"], num_customers=num_customers, num_products=num_products, **plain)

    def make_crowd(self, number: int, folder: Path) -> None:
        """Write the events of one crowd; the first writes the other tables and keeps its truth."""
        tables, truth = make_shop(self.profile, SEED, crowd=number)
        events = tables["events"]
        events = events.filter(pc.is_in(events["kind"], pa.array(KINDS))).drop_columns(["query"])
        for name in ("customer_id", "basket_id"):
            events = events.set_column(events.column_names.index(name), name, _of_crowd(events[name], number))
        place = folder / "parts" / f"{number:04}.parquet"
        place.parent.mkdir(parents=True, exist_ok=True)
        customers = tables["customers"]
        known = pa.table({"customer_id": _of_crowd(customers["customer_id"], number)})
        pq.write_table(known, place.with_name(f"{number:04}.customers"), compression="zstd")
        if number == 0:
            for name in ("products", "promotions"):
                pq.write_table(tables[name], folder / f"{name}.parquet")
            save(truth, folder.parent / "truth")
        pq.write_table(events, place.with_suffix(".tmp"), compression="zstd")
        place.with_suffix(".tmp").rename(place)

    def join(self, folder: Path) -> int:
        """One file of events and one of customers, a crowd at a time; returns the number of events."""
        parts = sorted((folder / "parts").glob("*.parquet"))
        num_events = _joined(parts, folder / "events.parquet")
        _joined([part.with_suffix(".customers") for part in parts], folder / "customers.parquet")
        for part in (folder / "parts").iterdir():
            part.unlink()
        return num_events


def _of_crowd(ids: pa.ChunkedArray, number: int) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(pa.scalar(f"{number:04}"), ids, "-")


def _joined(parts: list[Path], target: Path) -> int:
    with pq.ParquetWriter(target, pq.read_schema(parts[0]), compression="zstd") as writer:
        for part in parts:
            writer.write_table(pq.read_table(part))
    return sum(pq.ParquetFile(part).metadata.num_rows for part in parts)


def over_truth(folder: Path, ours: float, num_customers: int = 2000) -> dict[str, float]:
    """NDCG@10 of ours, of the ranking by the true probabilities for customers of the first crowd, and the ratio.

    folder  of the size: truth/, tables/ and artifacts/ of a night lie in it
    """
    truth = load(folder / "truth")
    window = json.loads((folder / "artifacts/prepare/windows.json").read_text(encoding="utf-8"))["test"]
    days = window["last_target"] - window["cut"]
    first, last = (np.datetime64(window[name], "D") for name in ("first_target", "last_target"))
    columns = ["customer_id", "product_id", "timestamp", "kind"]
    chosen = pc.starts_with(pc.field("customer_id"), "0000-") & (pc.field("kind") == "purchase")
    bought = pq.read_table(folder / "tables/events.parquet", columns=columns, filters=chosen).to_pandas()
    day = bought["timestamp"].to_numpy().astype("datetime64[D]")
    bought = bought[(day >= first) & (day <= last)].drop_duplicates(["customer_id", "product_id"])
    names = bought["customer_id"].str.slice(5).to_numpy().astype(str)
    owners = np.unique(names)[:num_customers]
    bought, names = bought[np.isin(names, owners)], names[np.isin(names, owners)]
    item = places(truth.product_ids, bought["product_id"].to_numpy().astype(str))
    who, row = places(truth.customer_ids, owners), np.searchsorted(owners, names)
    order = np.argsort(row, kind="stable")
    indptr = np.searchsorted(row[order], np.arange(len(owners) + 1))
    lists = np.concatenate([_best(truth.probabilities(window["cut"], days, part), 10)
                            for part in np.array_split(who, max(1, len(who) // 50))])  # fmt: skip
    best = float(np.nanmean(rank_metrics(lists, indptr, item[order].astype(np.int32))["ndcg@10"]))
    return {"ours": round(ours, 5), "truth": round(best, 5), "over_truth": round(ours / best, 4)}


def _best(scores: np.ndarray, num: int) -> np.ndarray:
    top = np.argpartition(-scores, num, axis=1)[:, :num]
    order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1, kind="stable")
    return np.take_along_axis(top, order, axis=1).astype(np.int32)


def main() -> None:
    """Make one crowd in a process of its own."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    for name in ("events", "products", "crowd_events", "number"):
        parser.add_argument(f"--{name}", type=int, required=True)
    given = parser.parse_args()
    ScaledShop(given.events, given.products, given.crowd_events).make_crowd(given.number, given.folder)


if __name__ == "__main__":
    main()

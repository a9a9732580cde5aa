"""Cut time, build purchase histories, render texts. The only place where time is cut."""

import logging
from datetime import date
from typing import Literal

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field, field_validator

from nightmarket.contracts import InputError
from nightmarket.contracts.sources import SOURCE, zones
from nightmarket.contracts.tables import channel_column
from nightmarket.encoding import given
from nightmarket.evaluation.protocol import TARGET_DAYS, Window, Windows, cuts
from nightmarket.histories.calendar import NEVER, day_of, last_complete_week, last_day, offsets, week_of
from nightmarket.histories.exclusions import DEMO, Exclusions
from nightmarket.histories.interactions import TARGETS, sessions
from nightmarket.histories.purchases import (
    interactions,
    local_days,
    number_customers,
    promotion_shares,
    purchase_lines,
    return_days,
    returned,
)
from nightmarket.histories.texts import levels, product_texts
from nightmarket.histories.variants import alike, groups
from nightmarket.intake.objections import objections
from tasks.files import catalogue, storage
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings

ROW = "file_row_number"
LEVELS = ("department", "category", "type")
DELIVERED = ("path", "stock", "markets", "min_age", "group_id", "cost")
"""What decides to whom a product may be delivered tonight, and what that earns; nothing learns from it."""
log = logging.getLogger("nightmarket")
STAGE = Stage("cut time, build histories, render texts", reads=(catalogue.CLEAN,), writes=(catalogue.PREPARE,))


class Settings(StageSettings):
    """Where time is cut and what may be recommended."""

    target_days: int | None = Field(
        None,
        ge=1,
        le=182,
        description="days that a window's targets span; null: 28, fewer where the history is shorter than five of them",
    )
    origins: int = Field(3, ge=2, le=8, description="windows: one for the test, the others train the ranker")
    origin_step: int = Field(14, ge=1, le=182, description="days between the origins that train the ranker")
    launch_origins: int = Field(8, ge=0, le=52, description="origins that train the ranker of launches")
    window_end: date | None = Field(None, description="Monday after the test window; null: last complete week")
    target: Literal["purchase", "cart", "rating", "click", "view", "any"] | None = Field(
        None,
        description="what recommendations foretell; any: all of these. null: purchases, or in a shop that records none "
        "the kind of event that comes nearest",
    )
    min_category_levels: int | None = Field(
        None,
        ge=0,
        le=5,
        description="a shorter category path is left out; null: none, or the demo's own",
    )
    exclude_categories: tuple[str, ...] | None = Field(
        None, description="words; a category level that holds one is left out; null: none, or the demo's own"
    )
    exclude_departments: tuple[str, ...] | None = Field(
        None, description="first levels of the category path to leave out; null: none, or the demo's own"
    )

    def exclusions(self, source: str) -> Exclusions:
        """What is left out: as the settings say, and where they say nothing, as the source's own."""
        own = DEMO if source == "demo" else Exclusions()
        chosen = {name: getattr(self, name) for name in own._fields if getattr(self, name) is not None}
        return own._replace(**chosen)

    @field_validator("window_end")
    @classmethod
    def _monday(cls, day: date | None) -> date | None:
        if day is not None and day.weekday() != 0:
            raise ValueError(f"{day} is a {day:%A}; a window ends on the Monday after its last week")
        return day


def run(settings: Settings) -> None:
    """Write artifacts/prepare."""
    snapshot = catalogue.CLEAN_SNAPSHOT.read()
    products = _products(settings, snapshot.get("source", ""))
    engine = ibis.duckdb.connect()
    try:
        events = _events(engine, snapshot)
        numbered = number_customers(events, ROW).order_by("customer").to_pyarrow()
        items = ibis.memtable(products.loc[products.recommendable, ["product_id", "item"]])
        kinds = set(events.kind.as_table().distinct().to_pyarrow()["kind"].to_pylist())
        target = settings.target or _nearest(kinds)
        lines = purchase_lines(events, ibis.memtable(numbered), items, ROW, target).to_pyarrow()
        if lines.num_rows == 0:
            raise InputError(
                f"events: no {target} of a recommendable product; check prepare.exclude_*, "
                "prepare.min_category_levels, prepare.target and the categories"
            )
        if target == "purchase":
            lines = _with_returns(lines, return_days(events, ibis.memtable(numbered), items).to_pyarrow())
        catalogue.PURCHASES.write(lines)
        log.info("prepare: %s %s lines of %s customers", f"{lines.num_rows:,}", target, f"{numbered.num_rows:,}")
        if kinds <= set(TARGETS[target]):  # all there is stands in the table of purchases
            catalogue.INTERACTIONS.write_empty()
        else:
            _write_interactions(events, numbered, items)
        _write_promotions(engine, items, snapshot.get("sources", []))
        known_from = _first_sources(events) if "sources" in snapshot else None
    finally:
        engine.disconnect()
    _write_customers(numbered.to_pandas(), known_from)
    _write_products(products, lines)
    _write_windows(settings, snapshot, lines, target)


def _products(settings: Settings, source: str) -> pd.DataFrame:
    products = catalogue.CLEAN_PRODUCTS.read().to_pandas()
    exclusions = settings.exclusions(source)
    path = products["category"].fillna("").str.split(" > ")
    if not products["category"].notna().any():
        other = "where yours has another name, say so under snapshot.mapping.products.category"
        log.info("prepare: no product has a category, so nothing goes by kind; %s", other)
    text = product_texts(products)
    products = products.drop(columns="category").join(levels(products["category"]))
    depth = path.map(lambda names: len(names) if names[0] else 0)
    if (depth > len(LEVELS)).any():  # the shop's rules name paths of any length
        products["path"] = path.str.join(" > ")
    excluded = products["department"].isin(exclusions.exclude_departments)
    excluded |= depth < exclusions.min_category_levels
    for word in exclusions.exclude_categories:
        excluded |= path.map(lambda names, w=word: any(w in level for level in names[1:]))
    if "not_a_product" in products:
        excluded |= products["not_a_product"].fillna("no") != "no"
    products["recommendable"] = ~excluded
    products["item"] = np.arange(len(products), dtype=np.int32)
    codes, distinct = pd.factorize(text)
    products["text_id"] = codes.astype(np.int32)
    products["group"] = alike(codes, groups(products))
    catalogue.TEXTS.write({"text_id": np.arange(len(distinct), dtype=np.int32), "text": distinct.tolist()})
    log.info("prepare: %s products, %s distinct texts", f"{len(products):,}", f"{len(distinct):,}")
    _write_vectors(products)
    return products


def _write_vectors(products: pd.DataFrame) -> None:
    """The shop's own vectors, where it has any."""
    catalogue.VECTORS.path.unlink(missing_ok=True)
    if "vector" not in products or not products["vector"].notna().any():
        return
    vectors = given.read(products["vector"].tolist())
    catalogue.VECTORS.write({"vectors": given.directions(vectors)})
    there, used = int(products["vector"].notna().sum()), int(vectors.any(axis=1).sum())
    log.info("prepare: %s products have a vector of %s numbers", f"{used:,}", vectors.shape[1])
    if used < there:
        log.warning("prepare: %s vectors have another length or only zeros, and count as none", f"{there - used:,}")


def _events(engine: ibis.BaseBackend, snapshot: dict) -> ir.Table:
    """Events with their day and week, local to the shop that each comes from."""
    events = engine.read_parquet(catalogue.CLEAN_EVENTS.path, file_row_number=True)
    span = events.agg(first=events.timestamp.min(), last=events.timestamp.max()).to_pandas().iloc[0]
    first, last = (pd.Timestamp(span[name]).to_pydatetime().replace(tzinfo=None) for name in ("first", "last"))
    several = zones(snapshot)
    if not several:
        return local_days(events, offsets(snapshot["time_zone"], first, last))
    each = [
        local_days(events.filter(events[SOURCE] == name), offsets(zone, first, last)) for name, zone in several.items()
    ]
    return ibis.union(*each)


def _with_returns(lines: pa.Table, back: pa.Table) -> pa.Table:
    """The lines with the day on which each came back, where anything did."""
    if back.num_rows == 0:
        return lines
    customer, item, day, quantity = (lines[name].to_numpy() for name in ("customer", "item", "day", "quantity"))
    taken = {name: back[name].to_numpy() for name in back.column_names}
    came_back = returned(customer, item, day, quantity, taken)
    num = int((came_back < NEVER).sum())
    log.info("prepare: %s returns take back %s purchase lines", f"{back.num_rows:,}", f"{num:,}")
    return lines.append_column("returned", pa.array(came_back, pa.int32()))


def _nearest(kinds: set[str]) -> str:
    """What counts as a purchase in a shop that records these kinds of events."""
    target = next((target for target, of_target in TARGETS.items() if kinds & set(of_target)), "purchase")
    if target != "purchase":
        log.info("prepare: no purchase on record, so lists foretell events of the kind %s: prepare.target", target)
    return target


def _write_interactions(events: ir.Table, customers: pa.Table, items: ir.Table) -> None:
    """Events of every kind, with their sessions."""
    table = interactions(events, ibis.memtable(customers), items, ROW).to_pyarrow()
    columns = {name: table[name].to_numpy() for name in table.column_names}
    columns["session"] = sessions(columns["customer"], columns["second"], columns.pop("named"))
    catalogue.INTERACTIONS.write(columns)
    log.info(
        "prepare: %s events in %s sessions", f"{table.num_rows:,}", f"{int(columns['session'].max(initial=-1)) + 1:,}"
    )


def _first_sources(events: ir.Table) -> pd.DataFrame:
    """Per customer the source of the first event: known as soon as the customer is, and never another one later."""
    moment = ibis.struct({"time": events.timestamp, "row": events[ROW]})
    return events.group_by("customer_id").agg(attr_source=events[SOURCE].argmin(moment)).to_pandas()


def _write_customers(customers: pd.DataFrame, known_from: pd.DataFrame | None) -> None:
    path = catalogue.CLEAN / "customers.parquet"
    if path.exists():
        known = storage.read_table(path).to_pandas()
        attributes = [name for name in known if name == "text" or name.startswith("attr_") or channel_column(name)]
        attributes += [
            name for name in ("birth_year", "market", "language") if name in known and known[name].notna().any()
        ]
        customers = customers.merge(
            known[["customer_id", *attributes]], on="customer_id", how="left", validate="one_to_one"
        ).sort_values("customer")
    customers = customers.assign(**_objections(customers["customer_id"]))
    if known_from is not None:
        customers = customers.merge(known_from, on="customer_id", how="left", validate="one_to_one")
    catalogue.CUSTOMERS.write(pa.Table.from_pandas(customers, preserve_index=False))


def _objections(ids: pd.Series) -> dict[str, pd.Series]:
    """`objected`: who objected to profiling; nothing where nobody did."""
    if not catalogue.CLEAN_SUPPRESSIONS.exists():
        return {}
    listed = catalogue.CLEAN_SUPPRESSIONS.read(["customer_id", "reason"]).to_pandas()
    objected = ids.isin(listed.loc[objections(listed["reason"]), "customer_id"])
    return {"objected": objected} if objected.any() else {}


def _write_products(products: pd.DataFrame, lines: pa.Table) -> None:
    sold = lines.select(["item", "day", "quantity", "value"]).to_pandas()
    sold["price"] = sold["value"] / sold["quantity"]
    first = sold.groupby("item")["day"].min()
    products["first_day"] = products["item"].map(first).fillna(NEVER).astype(np.int32)
    if not sold["value"].any():  # nothing says what was paid, which is not that all was free
        sold["price"] = np.nan
        log.info("prepare: no purchase says what was paid; what needs amounts goes without")
    paid = products["item"].map(sold.groupby("item")["price"].median())
    listed = products["price"] if "price" in products else pd.Series(np.nan, index=products.index)
    products["price"] = listed.fillna(paid).astype(np.float32)
    products["list_price"] = listed.astype(np.float32)
    for name, column in (("from_day", "available_from"), ("until_day", "available_until")):
        moment = products[column] if column in products else pd.Series(pd.NaT, products.index)
        days = (pd.to_datetime(moment) - pd.Timestamp(0)).dt.days
        products[name] = days.fillna(NEVER).astype(np.int32)
    for name in ("brand", "maker", "size"):
        if name not in products:
            products[name] = pd.Series(pd.NA, index=products.index, dtype="str")
    columns = (
        "item product_id title brand maker department category type size price list_price text_id group first_day "
        "from_day until_day recommendable"
    )
    tonight = [name for name in DELIVERED if name in products and products[name].notna().any()]
    catalogue.PRODUCTS.write(pa.Table.from_pandas(products[[*columns.split(), *tonight]], preserve_index=False))


def _write_promotions(engine: ibis.BaseBackend, items: ir.Table, sources: list[dict]) -> None:
    """A product's share is one of the channels of the shop that it is in; what shops share, of those of all of them."""
    path = catalogue.CLEAN / "promotions.parquet"
    if not path.exists():
        catalogue.PROMOTIONS.write_empty()
        return
    promotions = engine.read_parquet(path)
    parts = [promotions.filter(promotions[SOURCE].isin(names)) for names in _apart(sources)] or [promotions]
    shares = pa.concat_tables([promotion_shares(part, items).to_pyarrow() for part in parts])
    if len(parts) > 1:
        shares = shares.sort_by([("week", "ascending"), ("item", "ascending")])
    catalogue.PROMOTIONS.write(shares.cast(catalogue.PROMOTIONS.schema))
    log.info("prepare: %s promoted items x weeks", f"{shares.num_rows:,}")


def _apart(sources: list[dict]) -> list[list[str]]:
    """Shops together that share their products, the others each alone."""
    shared = [origin["name"] for origin in sources if origin["products"] == "shared"]
    alone = [[origin["name"]] for origin in sources if origin["name"] not in shared]
    return alone + ([shared] if shared else [])


def _write_windows(settings: Settings, snapshot: dict, lines: pa.Table, target: str) -> None:
    days = lines.select(["week", "day"]).to_pandas()
    if settings.window_end is None:
        last = last_complete_week(days.groupby("week")["day"].nunique().to_dict())
    else:
        last = week_of(day_of(settings.window_end)) - 1
    first, newest = int(days["day"].min()), int(days["day"].max())
    if last > week_of(newest):
        raise InputError(f"params.yaml: prepare.window_end {settings.window_end} lies after the last purchase")
    end = last_day(last)
    if settings.window_end is None and settings.target_days is None and end - first + 1 < 7 * (settings.origins + 2):
        # windows of less than a week need not end with one
        end = min(newest, day_of(date.fromisoformat(snapshot["last_full_day"])))
    made = Windows(
        **cuts(
            end,
            first,
            settings.target_days,
            settings.origins,
            settings.origin_step,
            settings.launch_origins,
        ),
        deliver=Window.after(newest),
        first_day=first,
        last_day=newest,
        as_of=snapshot["as_of"],
        time_zone=snapshot["time_zone"],
        target=target,
    )
    if settings.target_days is None and made.test.days < TARGET_DAYS:
        days = f"{made.test.days} day" + "s" * (made.test.days > 1)
        log.info("prepare: %s days of history: windows of %s in place of %s", end - first + 1, days, TARGET_DAYS)
    catalogue.WINDOWS.write(made.content())

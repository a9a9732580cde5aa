"""One page to read in the morning, self-contained, from what every stage left."""

import contextlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from nightmarket.contracts import InputError
from nightmarket.evaluation.calibration import reliability
from nightmarket.evaluation.figures import Metrics
from nightmarket.histories.calendar import last_whole_week, week_of
from nightmarket.reporting.launches import shelf
from nightmarket.reporting.lineage import graph
from nightmarket.reporting.night import KINDS, Night, Person, Pick, Purchase, choose
from nightmarket.reporting.page import render, sections
from tasks.files import catalogue, storage
from tasks.files.prepared import Prepared
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings

log = logging.getLogger("nightmarket")
NUM_VISITS = 4
NUM_TITLES = 6
NUM_PICKS = 10
NUM_KINDS = 9
NUM_BINS = 10
NUM_NIGHTS = 120
NUM_SHARES = 6
NUM_WEEKS = 26
"""Past weeks beside a forecast."""
OUT = catalogue.PAGE.path
BESIDE = (
    catalogue.RESPONSE_METRICS,
    catalogue.TOPICS,
    catalogue.SEGMENT_PORTRAITS,
    catalogue.DEMAND_METRICS,
    catalogue.CARE_METRICS,
    catalogue.PLAN_SUMMARY,
    catalogue.COMPOSE_SUMMARY,
    catalogue.GOES_WITH,
    catalogue.BUNDLE,
    catalogue.READOUT,
    catalogue.DRIFT,
)
"""One file of each side stage."""
STAGE = Stage(
    "one page to read in the morning",
    reads=(
        catalogue.VALIDATION,
        catalogue.CLEAN_SNAPSHOT,
        catalogue.PREPARE,
        catalogue.FINETUNE_HISTORY,
        catalogue.RESPONSE_METRICS,
        catalogue.DRIVERS,
        catalogue.RESPONSE_PREDICTIONS,
        catalogue.REVIEWS,
        catalogue.SEGMENT,
        catalogue.DEMAND,
        catalogue.CARE_METRICS,
        catalogue.METRICS,
        catalogue.SCORE,
        catalogue.GOES_WITH,
        catalogue.BUNDLE,
        catalogue.PLAN,
        catalogue.COMPOSE,
        catalogue.READOUT_FOLDER,
        catalogue.DRIFT_FOLDER,
        catalogue.VERSIONS,
        catalogue.CHAMPION_RECEIPT,
        catalogue.CHAMPION_DECISION,
        catalogue.CHAMPION_RANK,
    ),
    writes=(catalogue.REPORT,),
    phase="deliver",
    timeout_s=600,
    side=True,
)


class Settings(StageSettings):
    """The page has no knobs."""


def run(settings: Settings) -> None:
    """Gather what is there and write the page, and which of its sections could not be made."""
    prepare, lists = catalogue.PREPARE.path, catalogue.RECOMMENDATIONS.path
    data = Prepared()
    unavailable = [what for artifact in BESIDE if (what := artifact.unavailable())]
    content, unreadable = _collected(
        {
            "copy": lambda: _copy(catalogue.COMPOSE.path),
            "respond": lambda: _responses(storage.ARTIFACTS / "respond"),
            "reviews": lambda: _reviews(catalogue.REVIEWS.path, prepare),
            "demand": lambda: _demand(catalogue.DEMAND.path, data),
            "drift": lambda: _drift(catalogue.DRIFT_FOLDER.path),
            "launches": lambda: _launches(data, lists),
            "people": lambda: people(prepare, lists),
        }
    )
    night = Night(
        as_of=data.windows.as_of,
        snapshot=_optional(catalogue.CLEAN_SNAPSHOT.path),
        validation=_optional(catalogue.VALIDATION.path),
        window=data.windows.test,
        target=data.windows.target,
        metrics=Metrics.read(_optional(catalogue.METRICS.path) or {}),
        history=_optional(catalogue.FINETUNE_HISTORY.path),
        receipt=_optional(catalogue.CHAMPION_RECEIPT.path),
        decision=_optional(catalogue.CHAMPION_DECISION.path),
        importance=_optional(storage.CHAMPION / "rank/importance.json"),
        summary=_optional(catalogue.SCORE_SUMMARY.path),
        plan=_optional(catalogue.PLAN_SUMMARY.path),
        segments=_optional(catalogue.SEGMENT_PORTRAITS.path),
        care=_optional(catalogue.CARE_METRICS.path),
        readout=_optional(catalogue.READOUT.path),
        versions=_optional(catalogue.VERSIONS.path),
        stages=_stages(Path("dvc.yaml")),
        responses=content.pop("respond"),
        people=content.pop("people") or (),
        unavailable={what.stage: what for what in unavailable},
        unreadable=unreadable,
        **content,
    )
    made = sections(night)
    page = render(night, made)
    with storage.replacing(OUT) as temporary:
        temporary.write_text(page, encoding="utf-8")
    catalogue.PAGE_LACKS.write({key: section.error for key, section in made.items() if section.error})
    log.info("report: %s, %.0f kB", OUT, len(page.encode()) / 1000)


def _collected(load: Mapping[str, Callable[[], Any]]) -> tuple[dict[str, Any], dict[str, str]]:
    """{section: its content, None where it failed}, and the kind of the error by section."""
    content: dict[str, Any] = dict.fromkeys(load)
    errors = {}
    for key, of_section in load.items():
        try:
            content[key] = of_section()
        except Exception as error:  # the page goes without the section
            log.warning("report: what the section %s is made of cannot be read", key, exc_info=True)
            errors[key] = type(error).__name__
    return content, errors


def _optional(path: Path) -> Any:
    """What a stage wrote, or None: the page says in a sentence what is not there."""
    with contextlib.suppress(InputError):
        return storage.read_json(path)
    log.info("report: %s is not there; the page goes without it", path)
    return None


def _copy(folder: Path) -> Any:
    """Summary and texts of the copy."""
    summary = _optional(folder / "summary.json")
    if summary is None:
        return None
    return {"summary": summary, "texts": storage.read_table(folder / "copy.parquet").to_pylist()}


def _responses(folder: Path) -> Any:
    """Figures and drivers of the response model, and the bins of its probabilities on the test campaigns."""
    metrics = _optional(folder / "metrics.json")
    if metrics is None:
        return None
    responses = {"metrics": metrics, "drivers": _optional(folder / "drivers.json"), "calibration": []}
    if (folder / "predictions.parquet").exists():
        table = storage.read_table(folder / "predictions.parquet")
        probability, responded, customer = (table[name].to_numpy() for name in ("probability", "responded", "customer"))
        responses["calibration"] = reliability(probability, responded, customer, NUM_BINS)
    return responses


def _reviews(folder: Path, prepare: Path) -> Any:
    """Topics and figures of reviews and baskets; the products that stand out, with their share of praise."""
    topics, metrics = _optional(folder / "topics.json"), _optional(folder / "metrics.json")
    if topics is None or metrics is None:
        return None
    reviews: dict[str, Any] = {"topics": topics, "metrics": metrics, "products": {}}
    if (folder / "products.parquet").exists():
        rows = storage.read_table(folder / "products.parquet").to_pandas().set_index("product_id")
        titles = storage.read_table(prepare / "products.parquet", ["product_id", "title"]).to_pandas()
        titles = titles.set_index("product_id")["title"].fillna("")
        reviews["products"] = {
            side: [{"title": _title(titles.get(product_id))} | rows.loc[product_id].to_dict() for product_id in ids]
            for side, ids in topics["products"].items()
        }
    return reviews


def _drift(folder: Path) -> Any:
    """The verdict, the scores of the last nights, and the shares of what drifted, most moved first."""
    drift = _optional(folder / "drift.json")
    if drift is None:
        return None
    nights = storage.read_table(folder / "nights.parquet", ["score"])["score"].to_pylist()
    shares: dict[str, list[Any]] = {}
    drifted = {(column["table"], column["name"]) for column in drift["columns"] if column["drifted"]}
    for row in storage.read_table(folder / "shares.parquet").to_pylist() if drifted else ():
        if (row["table"], row["column"]) in drifted:
            shares.setdefault(row["column"], []).append(row)
    for rows in shares.values():
        rows.sort(key=lambda row: -abs(row["week"] - row["reference"]))
        del rows[NUM_SHARES:]
    return drift | {"nights": nights[-NUM_NIGHTS:], "shares": shares}


def _demand(folder: Path, data: Prepared) -> Any:
    """Figures of the forecast; the product types of which most will be sold, with their past and their prices."""
    metrics = _optional(folder / "metrics.json")
    if metrics is None or not (folder / "forecast.parquet").exists():
        return None if metrics is None else {"metrics": metrics}
    forecast = storage.read_table(folder / "forecast.parquet").to_pandas()
    kinds = forecast.groupby("kind")["units"].sum().sort_values(ascending=False, kind="stable").index[:NUM_KINDS]
    past = _past(data, list(kinds)) if len(kinds) else {}
    largest = [
        {"kind": kind, "past": past.get(kind, [])}
        | {name: rows[name].tolist() for name in ("units", "low80", "high80")}
        for kind, rows in ((kind, forecast[forecast["kind"] == kind].sort_values("week")) for kind in kinds)
    ]
    demand: dict[str, Any] = {"metrics": metrics, "largest": largest, "prices": []}
    if (folder / "supply.parquet").exists():
        supply = storage.read_table(folder / "supply.parquet").to_pandas()
        soonest = [f"out_week{week}" for week in range(4, 0, -1)]
        supply = supply.sort_values([*soonest, "missing", "kind"], ascending=[*[False] * 5, True], kind="stable")
        demand["supply"] = supply.head(NUM_KINDS).to_dict("records")
    if (folder / "response.parquet").exists():
        prices = storage.read_table(folder / "response.parquet").to_pandas().set_index("kind", drop=False)
        there = prices.loc[[kind for kind in kinds if kind in prices.index]]
        demand["prices"] = there[there["price_measured"].notna()].to_dict("records")
    return demand


def _past(data: Prepared, kinds: list[str]) -> dict[str, list[float]]:
    """Units of these product types in the last weeks, counted as the forecast counts them."""
    from nightmarket.demand.series import kind_paths, weekly

    products = data.products[["department", "category", "type"]]
    levels = products.drop_duplicates()
    levels = levels.assign(kind=[kinds.index(path) if path in kinds else -1 for path in kind_paths(levels)])
    kind = products.merge(levels, how="left")["kind"].to_numpy()
    lines = data.histories.where(kind[data.histories.item] >= 0)
    if not len(lines):
        return {}
    history = weekly(lines, np.maximum(kind, 0), kinds, last_whole_week(data.windows.test.last_target))
    return {name: units[-NUM_WEEKS:].tolist() for name, units in zip(history.kinds, history.units, strict=True)}


def _launches(data: Prepared, recommendations: Path) -> Any:
    """What is new on the shelf, and on how many of tonight's lists it stands."""
    lists = np.zeros(len(data.products), np.int64)
    if recommendations.exists():
        picked = storage.read_table(recommendations, ["product_id"])["product_id"]
        at = pc.index_in(picked, pa.array(data.products["product_id"], picked.type)).drop_null()
        lists += np.bincount(at.to_numpy(), minlength=lists.size)
    titles = [_title(title) for title in data.products["title"]]
    lines = {name: getattr(data.histories, name) for name in ("customer", "item", "week", "basket")}
    first_week = week_of(data.products["first_day"].to_numpy())
    return shelf(first_week, lines, week_of(data.windows.deliver.cut), titles, lists)


def _stages(path: Path) -> list[dict[str, Any]]:
    """The stages as dvc.yaml has them; none where the page is made without it.

    DVC takes no dvc.yaml as a dependency. A stage more or less is a change of tasks/pipeline too, which is one.
    """
    return graph(yaml.safe_load(path.read_text(encoding="utf-8"))["stages"]) if path.exists() else []


def people(prepare: Path, recommendations: Path) -> list[Person]:
    """Example customers with their latest visits and tonight's recommendations; none where nobody was scored."""
    if not recommendations.exists():
        return []
    columns = ["customer", "item", "day"]
    bought = {name: column.to_numpy() for name, column in _columns(prepare / "purchases.parquet", columns).items()}
    ids = storage.read_table(prepare / "customers.parquet", ["customer_id"])["customer_id"]
    products = _columns(prepare / "products.parquet", ["product_id", "title"])
    visit = np.unique(bought["customer"].astype(np.int64) << 32 | bought["day"].astype(np.int64))
    num_visits = np.bincount(visit >> 32, minlength=len(ids))
    recommended = storage.read_table(recommendations, ["customer_id", "rank", "product_id", "title", "reason"])
    shown = []
    for customer, (kind, _) in zip(choose(num_visits), KINDS, strict=False):
        mine = bought["customer"] == customer
        rows = (
            recommended.filter(pc.equal(recommended["customer_id"], ids[customer])).sort_by("rank").slice(0, NUM_PICKS)
        )
        items, days = bought["item"][mine], bought["day"][mine]
        person = Person(
            kind=kind,
            pseudonym=str(ids[customer].as_py()),
            num_visits=int(num_visits[customer]),
            num_products=int(np.unique(items).size),
            purchases=_visits(items, days, products["title"]),
            picks=_picks(rows, items, products["product_id"]),
        )
        shown.append(person)
    return shown


def _columns(path: Path, names: list[str]) -> dict[str, pa.ChunkedArray]:
    table = storage.read_table(path, names)
    return {name: table[name] for name in names}


def _visits(items: np.ndarray, days: np.ndarray, titles: pa.ChunkedArray) -> list[Purchase]:
    """The latest visits, newest first; items by their place in the catalogue."""
    visits = []
    for day in np.unique(days)[::-1][:NUM_VISITS]:
        there = np.unique(items[days == day])
        names = tuple(_title(titles[int(item)].as_py()) for item in there[:NUM_TITLES])
        visits.append(Purchase(int(day), names, max(0, there.size - NUM_TITLES)))
    return visits


def _picks(rows: pa.Table, items: np.ndarray, product_ids: pa.ChunkedArray) -> list[Pick]:
    """Recommendations with how often the customer bought each product before."""
    own, counts = np.unique(items, return_counts=True)
    known = dict(zip(product_ids.take(pa.array(own)).to_pylist(), counts.tolist(), strict=True))
    return [
        Pick(row["rank"], _title(row["title"]), row["reason"] or "", known.get(row["product_id"], 0))
        for row in rows.to_pylist()
    ]


def _title(title: str | None) -> str:
    return title or "(without a title)"

"""The catalogue of artifacts: name → path, format, and the columns of tables. A stage reads and writes through here.

Paths are relative to the folder that a stage runs in; `at` gives the same artifact in another checkout.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa

from nightmarket.contracts import Unavailable
from tasks.files import storage

if TYPE_CHECKING:
    import pandas as pd

RAW, CHAMPION, ARTIFACTS = storage.RAW, storage.CHAMPION, storage.ARTIFACTS
TYPES = {
    "bool": pa.bool_(),
    "date": pa.date32(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "int8": pa.int8(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "string": pa.string(),
}


@dataclass(frozen=True)
class Artifact:
    """A file or folder that one stage writes and others read."""

    path: Path

    def at(self, root: Path) -> Self:
        """The same artifact in the checkout `root`."""
        return replace(self, path=root / self.path)

    def exists(self) -> bool:
        """Whether it is there; most artifacts always are, a table of the source need not be.

        Raises UnavailableError where it is not, because the side stage that writes it failed tonight.
        """
        storage.require_available(self.path)
        return self.path.exists()

    def unavailable(self) -> Unavailable | None:
        """Why it is not there tonight; None where its stage did not fail."""
        return storage.unavailable(self.path)

    def __str__(self) -> str:
        return self.path.as_posix()


@dataclass(frozen=True)
class Folder(Artifact):
    """A folder with files of its stage's own."""

    def __truediv__(self, name: str) -> Path:
        return self.path / name


@dataclass(frozen=True)
class TableFile(Artifact):
    """A parquet file.

    columns  "name type, ..." in order, types as in TYPES; a type that ends in + stands for any number of further
             columns. Empty: the columns are those of the data contract, or decided where it is written.
    """

    columns: str = ""

    @cached_property
    def schema(self) -> pa.Schema:
        """What a reader may rely on."""
        pairs = (pair.split() for pair in self.columns.split(",") if pair.strip() and not pair.endswith("+"))
        return pa.schema([(name, TYPES[kind]) for name, kind in pairs])

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """The rows; InputError where the file is missing or damaged."""
        return storage.read_table(self.path, columns)

    def write(self, content: "pa.Table | pd.DataFrame | Mapping[str, Any] | list[dict[str, Any]]") -> None:
        """Write a table, a frame, columns, or rows, with the catalogue's types in the catalogue's order."""
        if isinstance(content, list):
            content = pa.Table.from_pylist(content, self.schema)
        elif hasattr(content, "itertuples"):
            schema = self.schema if self.columns else None
            frame = content[schema.names] if schema else content
            content = pa.Table.from_pandas(frame, schema, preserve_index=False).replace_schema_metadata(None)
        elif not isinstance(content, pa.Table):
            columns = {name: _texts(values) for name, values in content.items()}
            content = pa.table(columns, schema=self.schema if self.columns else None)
        if self.columns and not content.schema.equals(self.schema):
            raise ValueError(f"{self}: written with {content.schema.names}, the catalogue says {self.schema.names}")
        storage.write_table(content, self.path)

    def write_empty(self) -> None:
        """Write the table without rows."""
        self.write(self.schema.empty_table())

    @contextmanager
    def writer(self) -> Iterator[Callable[[pa.Table], None]]:
        """A function that appends; the file appears when the block ends well."""
        with storage.table_writer(self.path, self.schema) as write:
            yield write


def _texts(values: Any) -> Any:
    """Texts of a frame's column, where a missing one is NaN, as Arrow has them; anything else as it is."""
    is_object = isinstance(values, np.ndarray) and values.dtype == object
    return pa.array(values, pa.string(), from_pandas=True) if is_object else values


@dataclass(frozen=True)
class Json(Artifact):
    """A JSON file."""

    def read(self) -> Any:
        """Its content; InputError where the file is missing or damaged."""
        return storage.read_json(self.path)

    def write(self, content: Any) -> None:
        """Write it with sorted keys; numbers are finite."""
        storage.write_json(content, self.path)


@dataclass(frozen=True)
class Tensors(Artifact):
    """A safetensors file."""

    def read(self) -> dict[str, Any]:
        """Arrays by name; InputError where the file is missing or damaged, or numbers are not finite."""
        return storage.read_tensors(self.path)

    def write(self, tensors: Mapping[str, Any]) -> None:
        """Write arrays by name."""
        storage.write_tensors(tensors, self.path)


RULES = Artifact(Path("rules.yaml"))
"""The shop's rules, beside params.yaml and written by people, too."""

# data/raw: the night's snapshot
RAW_FOLDER = Folder(RAW)
SNAPSHOT = Json(RAW / "snapshot.json")
VERSIONS = Json(RAW / "versions.json")
WARM = Folder(RAW / "warm")

# data/champion: the model that delivers
CHAMPION_RANK = Folder(CHAMPION / "rank")
CHAMPION_FINETUNE = Folder(CHAMPION / "finetune")
CHAMPION_ENCODER = Folder(CHAMPION / "finetune/encoder")
CHAMPION_RECEIPT = Json(CHAMPION / "receipt.json")
CHAMPION_DECISION = Json(CHAMPION / "decision.json")
CHAMPION_MANIFEST = Json(CHAMPION / "manifest.json")
CHAMPION_SCORES = TableFile(CHAMPION / "per_customer.parquet")

# validate
VALIDATE = Folder(ARTIFACTS / "validate")
VALIDATION = Json(ARTIFACTS / "validate/report.json")
CLEAN = Folder(ARTIFACTS / "validate/clean")
CLEAN_SNAPSHOT = Json(CLEAN / "snapshot.json")
CLEAN_PRODUCTS, CLEAN_EVENTS, CLEAN_OFFERS, CLEAN_REVIEWS, CLEAN_SUPPRESSIONS, CLEAN_DELIVERIES = (
    TableFile(CLEAN / f"{name}.parquet")
    for name in ("products", "events", "offers", "reviews", "suppressions", "deliveries")
)
CLEAN_CAMPAIGNS, CLEAN_EXPOSURES = (TableFile(CLEAN / f"{name}.parquet") for name in ("campaigns", "exposures"))

# prepare; customers have a column attr_NAME for each attribute of the source
PREPARE = Folder(ARTIFACTS / "prepare")
CUSTOMERS = TableFile(PREPARE / "customers.parquet")
PRODUCTS = TableFile(PREPARE / "products.parquet")
PURCHASES = TableFile(PREPARE / "purchases.parquet")
INTERACTIONS = TableFile(
    PREPARE / "interactions.parquet",
    "customer int32, item int32, day int32, second int64, kind int8, session int32",
)
PROMOTIONS = TableFile(PREPARE / "promotions.parquet", "item int32, week int32, display float32, mailer float32")
TEXTS = TableFile(PREPARE / "texts.parquet", "text_id int32, text string")
VECTORS = Tensors(PREPARE / "vectors.safetensors")
"""(I, K) `vectors`: main directions of the shop's own; no file where it has none."""
WINDOWS = Json(PREPARE / "windows.json")

# pretrain, embed, finetune, rank
PRETRAIN = Folder(ARTIFACTS / "pretrain")
PRETRAINED = Json(PRETRAIN / "manifest.json")
EMBED = Folder(ARTIFACTS / "embed")
EMBEDDINGS = Tensors(EMBED / "vectors.safetensors")
EMBEDDED = Json(EMBED / "manifest.json")
FINETUNE = Folder(ARTIFACTS / "finetune")
ENCODER = Folder(FINETUNE / "encoder")
FINETUNE_HISTORY = Json(FINETUNE / "history.json")
RANK = Folder(ARTIFACTS / "rank")
RANKER = Json(RANK / "ranker.json")

# respond
RESPONDER = Json(ARTIFACTS / "respond/responder.json")
DRIVERS = Json(ARTIFACTS / "respond/drivers.json")
RESPONSE_METRICS = Json(ARTIFACTS / "respond/metrics.json")
RESPONSE_PREDICTIONS = TableFile(
    ARTIFACTS / "respond/predictions.parquet",
    "customer int32, campaign_id string, probability float64, responded bool",
)

# reviews
REVIEWS = Folder(ARTIFACTS / "reviews")
REVIEW_SENTIMENT = TableFile(
    REVIEWS / "reviews.parquet",
    "review int64, product_id string, customer_id string, day int32, probability float64, rated bool, topic int32",
)
REVIEW_ASPECTS = TableFile(
    REVIEWS / "aspects.parquet", "review int64, product_id string, aspect string, probability float64"
)
REVIEWED_PRODUCTS = TableFile(
    REVIEWS / "products.parquet", "product_id string, num_reviews int64, positive float64, low float64, high float64"
)
PRAISE = TableFile(
    REVIEWS / "praise.parquet",
    "product_id string, aspect string, en string, zh string, num_mentions int64, positive float64, low float64, "
    "high float64",
)
BASKET_TOPICS = TableFile(REVIEWS / "baskets.parquet", "customer int32, topic int32, num_baskets int32")
TOPICS = Json(REVIEWS / "topics.json")
REVIEW_METRICS = Json(REVIEWS / "metrics.json")

# segment, demand
SEGMENT = Folder(ARTIFACTS / "segment")
SEGMENTS = TableFile(
    SEGMENT / "segments.parquet", "customer_id string, segment string, probability float32, distance float32"
)
SEGMENT_PORTRAITS = Json(SEGMENT / "segments.json")
SEGMENT_ASSIGNER = Json(SEGMENT / "assigner.json")
DEMAND = Folder(ARTIFACTS / "demand")
FORECAST = TableFile(
    DEMAND / "forecast.parquet",
    "kind string, week date, units float64, low80 float64, high80 float64, low95 float64, high95 float64",
)
SUPPLY = TableFile(
    DEMAND / "supply.parquet",
    "kind string, stock float64, out_week1 float64, out_week2 float64, out_week3 float64, out_week4 float64, "
    "quantity float64, missing float64, missing_cost float64",
)
PRICE_RESPONSE = TableFile(
    DEMAND / "response.parquet",
    "kind string, products int64, weeks int64, price_measured float64, price_error float64, price float64, "
    "price_low float64, price_high float64, discount_measured float64, discount_error float64, discount float64, "
    "discount_low float64, discount_high float64",
)
DEMAND_METRICS = Json(DEMAND / "metrics.json")

# care
CARE_CUSTOMERS = TableFile(
    ARTIFACTS / "care/customers.parquet",
    "customer_id string, purchases int32, last date, gap_days float64, due date, active float64, staying float64, "
    "expected_purchases float64, purchases_low80 float64, purchases_high80 float64, expected_value float64, "
    "value_low80 float64, value_high80 float64, at_risk float64, standing string, worth_keeping bool",
)
CARE_LIST = Artifact(ARTIFACTS / "care/customers.csv")
"""The same rows for a spreadsheet or a mail tool, who is worth keeping first."""
CARE_METRICS = Json(ARTIFACTS / "care/metrics.json")

# evaluate
EVALUATE = Folder(ARTIFACTS / "evaluate")
METRICS = Json(EVALUATE / "metrics.json")
CUSTOMER_SCORES = TableFile(EVALUATE / "per_customer.parquet")
NDCG_PLOT = Artifact(EVALUATE / "ndcg.csv")
PREDICTIONS = Json(EVALUATE / "predictions.json")

# score, bundle, plan, compose, and the files of a launch
SCORE = Folder(ARTIFACTS / "score")
RECOMMENDATIONS = TableFile(
    SCORE / "recommendations.parquet",
    "customer_id string, rank int32, product_id string, title string, score float32, probability float32, "
    "reason string, reason_kind string",
)
LAUNCHES = TableFile(SCORE / "launches.parquet", RECOMMENDATIONS.columns)
"""The same of products on sale for at most four weeks and of announced ones."""
POPULAR = TableFile(
    SCORE / "popular.parquet", "rank int32, product_id string, title string, score float32, reason string"
)
"""What sells, for those whom the night does not know."""
FACTORS = Tensors(SCORE / "factors.safetensors")
"""Of the products tonight, where looks are recorded: `nightmarket.ranking.factors`."""
SCORE_SUMMARY = Json(SCORE / "summary.json")
_BESIDE = "beside string, rank int32, product_id string, title string, score float32"
SIMILAR = TableFile(ARTIFACTS / "related/similar.parquet", _BESIDE)
GOES_WITH = TableFile(ARTIFACTS / "related/goes_with.parquet", _BESIDE)
"""Products that stand beside the product `beside`, best first."""
POPULAR_IN = TableFile(
    ARTIFACTS / "related/popular.parquet",
    "kind string, place string, rank int32, product_id string, title string, score float32",
)
"""What is in demand; `kind` of the place: department, category, type (`place` is the path) or market."""
BUNDLE = Folder(ARTIFACTS / "bundle")
PLAN = Folder(ARTIFACTS / "plan")
PLAN_OFFERS = TableFile(PLAN / "offers.parquet", "offer string, product_id string")
PLAN_SUMMARY = Json(PLAN / "summary.json")
LAUNCH = Folder(ARTIFACTS / "launch")
COMPOSE = Folder(ARTIFACTS / "compose")
MESSAGES = TableFile(
    COMPOSE / "customers.parquet",
    "customer_id string, day date, slot string, channel string, offer string, locale string, form string, text string",
)
COMPOSE_SUMMARY = Json(COMPOSE / "summary.json")
CONTACTS = TableFile(
    Path("plan.parquet"),
    "customer_id string, segment string, offer string, offer_kind string, channel string, day date, slot string, "
    "probability float32, expected_value float32, cost float32, expected_profit float32, propensity float64, "
    "arm string, language string",
)
"""In the folder of a plan or a launch; so are the next three: `CONTACTS.at(PLAN.path)`."""
ELIGIBLE = TableFile(Path("eligible.parquet"), "customer_id string, arm string, propensity float64")
COPY = TableFile(
    Path("copy.parquet"),
    "brief string, segment string, offer string, channel string, locale string, place int32, form string, "
    "text string, writer string, nearness float32",
)
COPY_DECISIONS = TableFile(
    Path("decisions.parquet"),
    "brief string, writer string, number int32, fate string, form string, rule string, what string",
)

# readout, drift, report
READOUT_FOLDER = Folder(ARTIFACTS / "readout")
READOUT = Json(ARTIFACTS / "readout/readout.json")
DRIFT_FOLDER = Folder(ARTIFACTS / "drift")
DRIFT = Json(DRIFT_FOLDER / "drift.json")
DRIFT_NIGHTS = TableFile(DRIFT_FOLDER / "nights.parquet", "day int32, score float64")
DRIFT_SHARES = TableFile(
    DRIFT_FOLDER / "shares.parquet", "table string, column string, value string, reference float64, week float64"
)
REPORT = Folder(ARTIFACTS / "report")
PAGE = Artifact(REPORT / "index.html")
PAGE_LACKS = Json(REPORT / "lacks.json")
"""The page's sections that could not be made, with the kind of the error."""

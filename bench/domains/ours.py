"""nightmarket itself as one of the recommenders: its stages on the tables of a question, its lists of the night.

    python -m bench.domains --shops fashion --ours bench.domains.ours:nightmarket

`prepare` and `rank` run as in a night; the encoder's stages do not, since by default the lists need no language model.
"""

import contextlib
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml
from scipy import sparse

from bench.domains.question import TASKS, Question
from nightmarket.contracts.arrays import Int32s
from nightmarket.contracts.tables import EVENT_KINDS, EVENTS, PRODUCTS, PROMOTIONS, Table, arrow_schema, arrow_type
from nightmarket.contracts.values import convert
from nightmarket.evaluation.protocol import Window
from nightmarket.histories.calendar import date_of
from nightmarket.ranking.candidate_set import CandidateSet
from nightmarket.ranking.generators import ATTENTION, best_sellers
from nightmarket.ranking.impersonal import top
from nightmarket.ranking.model import recommend
from tasks.__main__ import main as run_stage
from tasks.files import catalogue, storage
from tasks.files.prepared import Prepared
from tasks.models import recommender

SPARE = 10
"""Places beyond those asked for, for what is taken out of a list."""
ROOT = Path(__file__).resolve().parents[2]
EVERYTHING = {"exclude_departments": [], "exclude_categories": [], "min_category_levels": 0}
"""Nothing of a made-up shop is left out; the defaults are the demo's."""


def nightmarket(question: Question, num: int) -> Mapping[str, Int32s]:
    """Lists of the night after the question's cut: see bench.domains.question.Recommender."""
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        write(question)
        for stage in ("prepare", "rank"):
            if run_stage(stage):
                raise RuntimeError(f"{stage} failed")
        data, model = Prepared(), recommender.load(catalogue.RANK.path)
        window = Window.after(data.windows.deliver.cut, question.window.days)
        candidate_set = recommender.candidate_set(model, data, catalogue.FINETUNE.path, window)
        lists = recommend(model, candidate_set, num=num + SPARE)[False]
        popular = _popular(candidate_set, model.popular_span, num + SPARE)
        rows = _places(data.customers["customer_id"], question.shop.customer_ids)
        products = _places(data.products["product_id"], question.shop.product_ids)
    row_of = np.full(question.shop.customer_ids.size, -1)
    row_of[rows] = np.arange(rows.size)
    asked = row_of[question.asked]
    answers = {}
    for task in TASKS:
        codes = np.where((asked >= 0)[:, None], lists[task][np.maximum(asked, 0)], popular[task])
        answers[task] = np.where(codes >= 0, products[np.maximum(codes, 0)], -1).astype(np.int32)
    answers["new"] = _not_of(answers["new"], question.bought[question.asked])
    return {task: places[:, :num] for task, places in answers.items()}


def without_vectors(question: Question, num: int) -> Mapping[str, Int32s]:
    """The same, by what words say alone."""
    bare = question.shop.tables | {"products": question.shop.tables["products"].drop_columns(["vector"])}
    return nightmarket(replace(question, shop=replace(question.shop, tables=bare)), num)


def _not_of(places: Int32s, bought: sparse.csr_matrix) -> Int32s:
    """The lists (B, N) without what each customer bought, -1 at the end in its place: to us what came back was not
    bought, to the question it was."""
    kept = np.full_like(places, -1)
    for row, items in enumerate(places):
        left = items[~np.isin(items, bought.indices[bought.indptr[row] : bought.indptr[row + 1]])]
        kept[row, : left.size] = left
    return kept


def _popular(candidate_set: CandidateSet, span: str, num: int) -> dict[str, Int32s]:
    """(num,) per task, what customers get who are not known at the cut."""
    statistics = candidate_set.statistics
    of_span = best_sellers(statistics, span)
    scores = {"launch": best_sellers(statistics, ATTENTION)} if statistics.behaves else {}
    chosen = {"all": statistics.active, "new": statistics.active, "launch": candidate_set.launched}
    best = {task: top(scores.get(task, of_span), items, num) for task, items in chosen.items()}
    return {task: np.pad(items, (0, num - items.size), constant_values=-1) for task, items in best.items()}


def _places(ids: "pa.ChunkedArray", known: np.ndarray) -> Int32s:
    """(N,) place of each id among the known ones, which are all there are."""
    order = np.argsort(known)
    return order[np.searchsorted(known, ids.to_numpy(str), sorter=order)].astype(np.int32)


def write(question: Question) -> None:
    """The tables as `validate` leaves them, and the settings."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["prepare"] |= EVERYTHING
    params["rank"]["promotion_plan"] = False  # peers know no plan either
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    tables = question.tables()
    events = tables["events"]
    named = pc.and_(events["customer_id"].is_valid(), events["product_id"].is_valid())
    known = pc.and_(named, pc.is_in(events["kind"], pa.array(EVENT_KINDS)))
    if "quantity" not in events.column_names:
        events = events.append_column("quantity", pa.repeat(pa.scalar(1.0), events.num_rows))  # as the intake has it
    catalogue.CLEAN.path.mkdir(parents=True)
    catalogue.CLEAN_EVENTS.write(_contract(events.filter(known), EVENTS))
    catalogue.CLEAN_PRODUCTS.write(_contract(tables["products"], PRODUCTS))
    if "promotions" in tables:
        storage.write_table(_contract(tables["promotions"], PROMOTIONS), catalogue.CLEAN / "promotions.parquet")
    cut = question.window.cut
    days = {"as_of": date_of(cut + 1).isoformat(), "last_full_day": date_of(cut).isoformat()}
    catalogue.CLEAN_SNAPSHOT.write(days | {"time_zone": "UTC"})


def _contract(table: pa.Table, contract: Table) -> pa.Table:
    """The contract's columns; those that the table lacks are empty."""
    schema = arrow_schema(contract)
    columns = []
    for column in contract.columns:
        kind = arrow_type(column)
        if column.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, kind))
        elif column.kind == "vector":
            columns.append(convert(table[column.name].combine_chunks(), column, "UTC"))
        else:
            columns.append(table[column.name].cast(kind))
    return pa.table(columns, schema=schema)

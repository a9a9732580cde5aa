"""A shop that records looks and carts: from its clean events to lists and launches with reasons."""

import json
import shutil

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from nightmarket.histories.interactions import KINDS
from nightmarket.ranking.behaviour_features import BEHAVIOUR
from nightmarket.ranking.factors import DIMENSIONS
from nightmarket.serving.live import Ask, LiveEvent, LiveRecommender
from nightmarket.serving.live.parts import read
from tasks.__main__ import main
from tasks.files import catalogue, manifest


def shifted(events: pa.Table, kind: str, seconds: int) -> pa.Table:
    """The same lines as another kind of event, so many seconds earlier, without money."""
    columns = {name: events[name] for name in events.column_names}
    columns["kind"] = pa.array([kind] * events.num_rows, events.schema.field("kind").type)
    columns["timestamp"] = pc.subtract(events["timestamp"], pa.scalar(seconds * 1_000_000, pa.duration("us")))
    columns["value"] = pa.nulls(events.num_rows, pa.float64())
    return pa.table(columns, schema=events.schema)


@pytest.fixture
def looking(copied_night):
    """Every purchase is looked at and carted before; a third of the purchases of the last weeks stay in the cart."""
    path = copied_night / "artifacts/validate/clean/events.parquet"
    events = pq.read_table(path)
    late = pc.greater(events["timestamp"], pa.scalar(pc.max(events["timestamp"]).as_py().replace(day=1)))
    left = pc.and_(late, pa.array([row % 3 == 0 for row in range(events.num_rows)]))
    bought = events.filter(pc.invert(left))
    returned = shifted(bought.slice(5, 1), "return", -3_600)
    pq.write_table(
        pa.concat_tables([shifted(events, "view", 120), shifted(events, "cart", 60), bought, returned]), path
    )
    for stage in ("prepare", "rank", "evaluate"):
        assert main(stage) == 0, stage
    champion = copied_night / "data/champion"
    for part in ("rank", "finetune"):
        shutil.copytree(copied_night / "artifacts" / part, champion / part)
    (champion / "receipt.json").write_text(json.dumps({"version": "1"}))
    manifest.write(champion)
    assert main("score") == 0
    return copied_night


def test_looks_and_carts_reach_the_forests_the_figures_and_the_reasons(looking):
    table = pq.read_table(looking / "artifacts/prepare/interactions.parquet").to_pandas()
    counts = table["kind"].map(dict(enumerate(KINDS))).value_counts()
    assert counts["view"] == counts["cart"] > counts["purchase"] > 0
    assert counts["return"] == 1
    assert (table.groupby("session")["customer"].nunique() == 1).all()
    assert table["session"].is_monotonic_increasing

    facts = json.loads((looking / "artifacts/rank/ranker.json").read_text())
    assert set(BEHAVIOUR) < set(facts["features"])
    metrics = json.loads((looking / "artifacts/evaluate/metrics.json").read_text())
    assert {"ease_behaviour", "content", "popular_behaviour"} <= set(metrics["all"])
    assert metrics["paired"]["all"]["popular_behaviour"]["ndcg@10"]["low"] > 0

    lists = pq.read_table(looking / "artifacts/score/recommendations.parquet").to_pandas()
    said = lists.groupby("reason_kind")["reason"].first()
    begins = {"cart": "left in your cart, last ", "looked": "you looked at it ", "looked_like": "like "}
    assert set(begins) & set(said.index)
    assert all(said[kind].startswith(words) for kind, words in begins.items() if kind in said)


def test_launches_have_a_table_of_their_own_with_ranks_from_one(looking):
    launches = pq.read_table(looking / "artifacts/score/launches.parquet").to_pandas()
    summary = json.loads((looking / "artifacts/score/summary.json").read_text())
    assert 0 < launches["product_id"].nunique() <= summary["num_launches"]
    ranks = launches.groupby("customer_id")["rank"].apply(list)
    assert all(rank == list(range(1, len(rank) + 1)) for rank in ranks)
    assert not launches.duplicated(["customer_id", "product_id"]).any()
    assert launches["probability"].between(0, 1, inclusive="neither").all()


def test_visits_are_answered_with_the_factors_that_the_lists_were_made_with(looking):
    assert main("bundle") == 0
    live = LiveRecommender.open(catalogue.BUNDLE.path)
    lists = pq.read_table(looking / "artifacts/score/recommendations.parquet").to_pandas()
    customer = lists["customer_id"].iloc[0]
    own = lists.loc[lists["customer_id"] == customer, "product_id"].tolist()
    assert [place.product for place in live.why(customer).listed] == own
    factors, mapped = catalogue.FACTORS.read()["items"], read(catalogue.BUNDLE / "model").arrays["factors.items"]
    assert mapped.shape == factors.shape == (live.made_from["num_products"], DIMENSIONS)
    assert mapped.tolist() == factors.tolist()
    now = 86_400.0 * (live.made_from["cut"] + 2)
    met = live.why(customer).events[-1].product
    answer = live.recommend(Ask(now, events=(LiveEvent("view", met, now),)))
    assert any("which you just looked at" in place.reason for place in answer.products)

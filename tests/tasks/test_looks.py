"""A shop that records looks and carts: from its clean events to lists and launches with reasons."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from nightmarket.evaluation.protocol import Window
from nightmarket.histories.interactions import KINDS
from nightmarket.ranking import behaviour
from nightmarket.ranking.behaviour_features import BEHAVIOUR
from nightmarket.ranking.factors import DIMENSIONS
from nightmarket.ranking.sessions.features import Asked
from nightmarket.ranking.sessions.learning import cuts, visit_at
from nightmarket.ranking.sessions.orders import SessionOrders
from nightmarket.ranking.sessions.shop import build
from nightmarket.serving.live import Ask, LiveEvent, LiveRecommender
from nightmarket.serving.live import bundle as halves
from nightmarket.serving.live.parts import read
from nightmarket.serving.live.recommender import Question
from tasks.__main__ import main
from tasks.bundle import write
from tasks.files import catalogue, manifest
from tasks.files.prepared import Prepared
from tasks.models import recommender


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


def test_features_at_request_time_are_those_of_training_row_by_row(looking, tmp_path):
    data, rng = Prepared(), np.random.default_rng(3)
    statistics = recommender.statistics(data, Window.after(data.windows.deliver.cut - 60))
    shop = build(statistics, behaviour.latent(statistics).filed())
    write(tmp_path, shop, SessionOrders.plain(), data, "1", None)
    bundle = halves.read(tmp_path / "model", tmp_path / "state")
    events, products = data.interactions, data.products["product_id"].to_numpy(object)
    customers = data.customers["customer_id"].to_numpy(object)
    bounds = np.searchsorted(events.customer, np.arange(events.num_customers + 1))
    asked = cuts(events, shop.cut, rng, 300)
    assert len(asked) > 200
    for cut in asked:
        taught = visit_at(shop, events, cut, bounds)
        since = slice(cut.told - (taught.item.size - shop.past.of(cut.customer)[0].size), cut.told)
        did = zip(events.kind[since], events.item[since], events.second[since], strict=True)
        live = tuple(LiveEvent(KINDS[kind], products[item], float(second)) for kind, item, second in did)
        customer = customers[cut.customer] if cut.customer >= 0 else None
        visit = Question(bundle, Ask(float(taught.now), customer=customer, events=live)).visit
        assert visit.day == taught.day
        items = Asked(shop, taught).candidates()
        rows = [Asked(of, said).features(items) for of, said in ((shop, taught), (bundle.shop, visit))]
        assert np.array_equal(*rows, equal_nan=True)

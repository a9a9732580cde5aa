"""related: the tables beside the lists keep every hard rule, and the live site answers from them."""

import numpy as np
import pyarrow as pa
import yaml

from nightmarket.serving.live import LiveRecommender
from tasks.__main__ import main
from tasks.files import catalogue
from tasks.files.prepared import Prepared

TABLES = (catalogue.SIMILAR, catalogue.GOES_WITH)


def test_every_product_with_a_neighbour_has_a_list_in_order_without_itself(copied_night):
    assert main("related") == 0
    data = Prepared()
    kind = dict(zip(data.products["product_id"], data.catalogue.kind.tolist(), strict=True))
    for table in TABLES:
        rows = table.read().to_pandas()
        assert len(rows)
        assert (rows["beside"] != rows["product_id"]).all()
        assert not rows.duplicated(["beside", "product_id"]).any()
        of_list = rows.groupby("beside")
        assert (rows["rank"] == of_list.cumcount() + 1).all()
        assert (of_list["score"].diff().fillna(0) <= 1e-6).all()
    same = catalogue.SIMILAR.read().to_pandas()
    assert (same["beside"].map(kind) == same["product_id"].map(kind)).all()
    popular = catalogue.POPULAR_IN.read().to_pandas()
    assert {"department", "category", "type"} <= set(popular["kind"])


def test_no_list_breaks_a_hard_rule(copied_night):
    data = Prepared()
    products = data.products.assign(stock=np.where(np.arange(len(data.products)) % 5 == 0, 0.0, 9.0))
    products["brand"] = np.where(np.arange(len(products)) % 3 == 0, "Acme", "Bolt")
    products["min_age"] = np.where(np.arange(len(products)) % 7 == 0, 18.0, 0.0)
    catalogue.PRODUCTS.write(products)
    size = len(data.customers)
    catalogue.CUSTOMERS.write(data.customers.assign(market=np.where(np.arange(size) % 2, "DE", "AT")))
    ids = products["product_id"].astype(str)
    hidden = ids[data.histories.item[:3]].unique().tolist()
    rules = [{"hide": {"id": hidden}}, {"cap": 2, "per": "brand"}]
    rules.append({"sold_in": ["DE"], "products": {"id": ids[5:40].tolist()}})
    copied_night.joinpath("rules.yaml").write_text(yaml.safe_dump({"rules": rules}), encoding="utf-8")
    assert main("related") == 0
    facts = products.set_index(ids)
    for table, owner in (*((table, ["beside"]) for table in TABLES), (catalogue.POPULAR_IN, ["kind", "place"])):
        rows = table.read().to_pandas()
        assert len(rows)
        assert not set(rows["product_id"]) & set(hidden)
        assert (facts.loc[rows["product_id"], "stock"] > 0).all()
        assert (facts.loc[rows["product_id"], "min_age"] < 18).all()
        brand = facts.loc[rows["product_id"], "brand"].to_numpy()
        assert rows.groupby([*owner, brand]).size().max() <= 2
        elsewhere = rows[rows["place"] != "DE"] if "place" in rows else rows
        assert not set(elsewhere["product_id"]) & set(ids[5:40])
    assert {"DE", "AT"} <= set(catalogue.POPULAR_IN.read().to_pandas().query("kind == 'market'")["place"])


def test_the_live_site_answers_from_the_tables_and_without_them_too(copied_night):
    assert main("related") == 0
    assert main("bundle") == 0
    live = LiveRecommender.open(catalogue.BUNDLE.path)
    for table, ask in ((catalogue.SIMILAR, live.similar), (catalogue.GOES_WITH, live.goes_with)):
        rows = table.read().to_pandas()
        product = rows["beside"].iloc[0]
        listed = rows[rows["beside"] == product]["product_id"].tolist()
        answered = [place.product for place in ask(product, len(listed)).products]
        assert answered == listed
        scores = [place.score for place in ask(product, 50).products]
        assert scores == sorted(scores, reverse=True)
    for table in TABLES:
        table.path.unlink()
    assert main("bundle") == 0
    assert LiveRecommender.open(catalogue.BUNDLE.path).similar(product, 3).products


def test_a_shop_that_sold_nothing_has_empty_tables(copied_night):
    lines = catalogue.PURCHASES.read()
    catalogue.PURCHASES.write(lines.slice(0, 0))
    catalogue.INTERACTIONS.write(catalogue.INTERACTIONS.schema.empty_table())
    assert main("related") == 0
    assert isinstance(catalogue.GOES_WITH.read(), pa.Table)

"""The peers' adapters on shops whose answer is known; needs the peers' own environment, bench/libraries/.venv."""

import numpy as np
import pytest

from bench.libraries import trial
from bench.libraries.keeping import TUNING
from bench.libraries.shop import Shop
from nightmarket.histories.calendar import last_day

pytestmark = [
    pytest.mark.skipif(not trial.PYTHON.exists(), reason="python -m bench.libraries setup was not run"),
    pytest.mark.timeout(900),  # torch and pandas are read anew for every peer
]
NUM_CUSTOMERS, NUM_GROUPS, SIZE, ORIGIN = 240, 6, 5, 30
NUM_ITEMS = NUM_GROUPS * SIZE


def shop_of(baskets: list[tuple[int, int, np.ndarray]], num_items: int = NUM_ITEMS) -> Shop:
    """Baskets (customer, day, items), exported as the demo's are: a basket's lines sorted by product."""
    rows = sorted((c, d, b, int(i)) for b, (c, d, items) in enumerate(sorted(baskets, key=_day)) for i in items)
    customer, day, basket, item = (np.array(column, np.int32) for column in zip(*rows, strict=True))
    ones, codes = np.ones(item.size, np.float32), np.zeros(num_items, np.int32)
    none = np.zeros(0, np.int32)
    return Shop(
        customer,
        item,
        (day - 4) // 7,
        day,
        basket,
        ones,
        ones,
        *[codes] * 5,
        none,
        last_day(ORIGIN),
        NUM_CUSTOMERS,
        num_items,
    )


def _day(basket: tuple[int, int, np.ndarray]) -> int:
    return basket[1]


@pytest.fixture
def groups() -> np.ndarray:
    """(G, S) products; their codes tell nothing of the group."""
    return np.random.default_rng(5).permutation(NUM_ITEMS).reshape(NUM_GROUPS, SIZE)


def lists_of(name: str, shop: Shop, settings: dict, task: str, folder) -> np.ndarray:
    (folder / TUNING).mkdir()
    shop.save(folder / TUNING / "shop.npz")
    return trial.run(name, TUNING, settings, 0, folder).lists[task]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        (
            "rectools_sasrec",
            {"n_factors": 32, "n_blocks": 1, "dropout_rate": 0.1, "lr": 0.01, "epochs": 12, "batch_size": 16}
            | {"use_pos_emb": False, "least": 5, "reach": 200, "length": 20, "target": "basket"},
        ),
        (
            "recbole_sasrec",
            {"hidden_size": 32, "layers": 1, "dropout": 0.1, "learning_rate": 0.01, "samples": 4000, "batch": 64}
            | {"epochs": 4},
        ),
    ],
)
def test_a_model_of_sequences_finds_the_next_basket_where_baskets_go_round(name, settings, groups, tmp_path):
    """Every basket holds four of the five products of the group after the last basket's group."""
    rng = np.random.default_rng(3)
    baskets = [
        (c, 11 + 7 * week, rng.permutation(groups[(c + week) % NUM_GROUPS])[:4])
        for c in range(NUM_CUSTOMERS)
        for week in range(24)
    ]
    recommended = lists_of(name, shop_of(baskets), settings, "all", tmp_path)[:, :SIZE]
    group = np.empty(NUM_ITEMS, int)
    group[groups] = np.arange(NUM_GROUPS)[:, None]
    expected = (np.arange(NUM_CUSTOMERS) + 24) % NUM_GROUPS
    assert (group[recommended] == expected[:, None]).mean() > 0.9


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        (
            "implicit_bpr",
            {"factors": 8, "learning_rate": 0.1, "regularization": 0.01, "iterations": 60}
            | {"weight": "lines", "prior": 0.0},
        ),
        (
            "lightfm",
            {"no_components": 8, "learning_rate": 0.05, "item_alpha": 0.0, "epochs": 30, "features": "id"},
        ),
        (
            "recbole_multivae",
            {"hidden": 32, "latent_dimension": 16, "learning_rate": 0.01, "epochs": 30, "batch": 32, "weight": "log"},
        ),
    ],
)
def test_a_model_of_tastes_finds_what_is_left_of_a_taste(name, settings, groups, tmp_path):
    """Every customer bought three of the five products of one group and one product by chance."""
    rng = np.random.default_rng(3)
    baskets = [
        (c, 60 + c % 7, np.unique([*rng.permutation(groups[c % NUM_GROUPS])[:3], rng.integers(NUM_ITEMS)]))
        for c in range(NUM_CUSTOMERS)
    ]
    shop = shop_of(baskets)
    recommended = lists_of(name, shop, settings, "new", tmp_path)
    bought = shop.matrix().toarray() > 0
    hits = 0.0
    for c in range(NUM_CUSTOMERS):
        left = [item for item in groups[c % NUM_GROUPS] if not bought[c, item]]
        hits += np.isin(left, recommended[c, : len(left)]).mean() / NUM_CUSTOMERS
        assert not bought[c, recommended[c][recommended[c] >= 0]].any()
    assert hits > 0.7, "by chance it is about 0.1"


def test_bpr_forgets_popularity_unless_it_is_put_back(tmp_path):
    """Customers without a taste: all that can be known is which products are popular."""
    rng = np.random.default_rng(3)
    share = 1 / np.arange(1, 61)
    baskets = [(c, 60, rng.choice(60, 8, replace=False, p=share / share.sum())) for c in range(NUM_CUSTOMERS)]
    shop = shop_of(baskets, 60)
    settings = {"factors": 2, "learning_rate": 0.05, "regularization": 0.01, "iterations": 100, "weight": "binary"}
    mean = {}
    for prior in (0.0, 1.0):
        folder = tmp_path / str(prior)
        folder.mkdir()
        recommended = lists_of("implicit_bpr", shop, settings | {"prior": prior}, "new", folder)
        mean[prior] = np.bincount(shop.item, minlength=60)[recommended[:, :10]].mean()
    assert mean[1.0] > 1.3 * mean[0.0]

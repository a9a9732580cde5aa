"""Who takes part: adapter, environment, settings to start from and settings to search."""

from dataclasses import dataclass, field
from typing import Any

WEIGHTS = ["log", "recent"]


@dataclass(frozen=True)
class Entry:
    """One peer.

    title       as the table names it
    adapter     module:class
    packages    whose versions are recorded; none: runs in our own environment
    default     settings that are tried first
    space       values per setting, searched at random
    stochastic  fitted with several seeds
    tasks       `launch` only for those that can rank products that nobody bought yet
    note        what bounds it
    """

    title: str
    adapter: str
    default: dict[str, Any]
    space: dict[str, list[Any]] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    stochastic: bool = False
    tasks: tuple[str, ...] = ("all", "new")
    note: str = ""


IMPLICIT = ("pm-implicit",)

ROSTER: dict[str, Entry] = {
    "popularity": Entry(
        "popularity, last weeks", "bench.libraries.house:Popularity", {"weeks": 4}, {"weeks": [1, 2, 4, 8, 13, 26]}
    ),
    "recency_frequency": Entry(
        "recency-weighted frequency",
        "bench.libraries.house:RecencyFrequency",
        {"half_life": 90.0},
        {"half_life": [30.0, 60.0, 90.0, 120.0, 180.0, 365.0]},
    ),
    "tifu_knn": Entry(
        "TIFU-kNN",
        "bench.libraries.house:Tifu",
        {"num_groups": 20, "within_decay": 0.98, "group_decay": 0.9, "num_neighbours": 300, "own_share": 0.8},
        {
            "num_groups": [5, 10, 20, 40],
            "within_decay": [0.9, 0.95, 0.98, 1.0],
            "group_decay": [0.7, 0.8, 0.9, 0.95],
            "num_neighbours": [100, 300, 600, 900],
            "own_share": [0.2, 0.5, 0.7, 0.8, 0.9],
        },
    ),
    "upcf": Entry(
        "UP-CF",
        "bench.libraries.upcf:UpCf",
        {"recency": 100, "alpha": 0.25, "locality": 5},
        {
            "recency": [5, 10, 25, 50, 100, 0],
            "alpha": [0.0, 0.25, 0.5, 0.75, 1.0],
            "locality": [1, 5, 10, 50, 100, 1000],
        },
    ),
    "ease": Entry(
        "EASE", "bench.libraries.house:Ease", {"ridge": 300.0}, {"ridge": [30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0]}
    ),
    "affinity": Entry("kind and maker affinity", "bench.libraries.house:Affinity", {}, tasks=("launch",)),
    "implicit_als": Entry(
        "implicit ALS",
        "bench.libraries.implicit_models:Als",
        {"factors": 64, "regularization": 0.01, "alpha": 1.0, "iterations": 15, "weight": "log"},
        {
            "factors": [32, 64, 128],
            "regularization": [0.01, 0.1, 1.0, 10.0],
            "alpha": [1.0, 5.0, 20.0, 40.0],
            "iterations": [10, 15],
            "weight": WEIGHTS,
        },
        IMPLICIT,
        stochastic=True,
    ),
    "implicit_bpr": Entry(
        "implicit BPR",
        "bench.libraries.implicit_models:Bpr",
        {
            "factors": 64,
            "learning_rate": 0.03,
            "regularization": 0.01,
            "iterations": 30,
            "weight": "lines",
            "prior": 0.0,
        },
        {
            "factors": [32, 64, 128],
            "learning_rate": [0.01, 0.03, 0.1],
            "regularization": [0.001, 0.01, 0.03],
            "iterations": [15, 30, 60],
            "weight": ["binary", "lines"],
            "prior": [0.0, 1.0],
        },
        IMPLICIT,
        stochastic=True,
    ),
    "implicit_cosine": Entry(
        "implicit item-kNN, cosine",
        "bench.libraries.implicit_models:CosineItems",
        {"K": 20, "weight": "log"},
        {"K": [20, 50, 100, 200, 500], "weight": [*WEIGHTS, "binary"]},
        IMPLICIT,
    ),
    "implicit_bm25": Entry(
        "implicit item-kNN, BM25",
        "bench.libraries.implicit_models:Bm25Items",
        {"K": 20, "K1": 1.2, "B": 0.75, "weight": "log"},
        {"K": [20, 50, 100, 200], "K1": [0.3, 1.2, 3.0], "B": [0.0, 0.3, 0.75], "weight": WEIGHTS},
        IMPLICIT,
    ),
    "lightfm": Entry(
        "LightFM, WARP, hybrid",
        "bench.libraries.lightfm_models:HybridWarp",
        {"no_components": 32, "learning_rate": 0.05, "item_alpha": 0.0, "epochs": 3, "features": "id+kind+maker"},
        {
            "no_components": [32, 64],
            "learning_rate": [0.03, 0.05, 0.1],
            "item_alpha": [0.0, 1e-6, 1e-5],
            "epochs": [3, 5],
            "features": ["id", "id+kind+maker", "id+kind+maker+line"],
        },
        ("rectools-lightfm",),
        stochastic=True,
        tasks=("all", "new", "launch"),
    ),
    "rectools_sasrec": Entry(
        "RecTools SASRec",
        "bench.libraries.rectools_models:SasRec",
        {"n_factors": 64, "n_blocks": 1, "dropout_rate": 0.1, "lr": 0.003, "epochs": 2, "batch_size": 32}
        | {"least": 50, "reach": 500, "length": 50, "target": "basket", "use_pos_emb": False},
        {
            "n_factors": [64],
            "n_blocks": [1],
            "dropout_rate": [0.1, 0.3],
            "lr": [0.002, 0.003, 0.005],
            "epochs": [2, 4],
            "batch_size": [32, 64],
            "least": [50],
            "reach": [500],
            "length": [50],
            "target": ["basket"],
            "use_pos_emb": [False, True],
        },
        ("RecTools", "torch"),
        stochastic=True,
        note="products with at least 50 lines",
    ),
    "recbole_multivae": Entry(
        "RecBole MultiVAE",
        "bench.libraries.recbole_models:MultiVae",
        {"hidden": 100, "latent_dimension": 64, "learning_rate": 0.003, "epochs": 20, "batch": 64, "weight": "log"},
        {
            "hidden": [100, 200],
            "latent_dimension": [64, 128],
            "learning_rate": [0.001, 0.003],
            "epochs": [20, 40],
            "batch": [64, 128],
            "weight": ["binary", *WEIGHTS],
        },
        ("recbole", "torch"),
        stochastic=True,
        note="products with at least 20 lines",
    ),
    "recbole_sasrec": Entry(
        "RecBole SASRec",
        "bench.libraries.recbole_models:SasRec",
        {"hidden_size": 64, "layers": 1, "dropout": 0.2, "learning_rate": 0.003, "samples": 60_000, "batch": 64}
        | {"epochs": 1},
        {
            "hidden_size": [64],
            "layers": [1, 2],
            "dropout": [0.2, 0.5],
            "learning_rate": [0.001, 0.003],
            "samples": [60_000, 90_000],
            "batch": [64, 128],
            "epochs": [1, 2],
        },
        ("recbole", "torch"),
        stochastic=True,
        note="products with at least 20 lines; targets in the last 400 lines of each customer, sequences of 50",
    ),
}

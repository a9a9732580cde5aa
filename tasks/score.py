"""Recommend for every customer, from the champion and everything known tonight.

reads   data/champion, artifacts/prepare
writes  artifacts/score   recommendations.parquet, summary.json
"""

import logging

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field

from nightmarket.contracts import InputError
from nightmarket.ranking import Scene, reasons
from nightmarket.ranking.lists import fill
from tasks import manifest, model, storage
from tasks.settings import StageSettings

OUT = storage.ARTIFACTS / "score"
log = logging.getLogger("nightmarket")


class Settings(StageSettings):
    """What each customer gets."""

    num_recommendations: int = Field(20, ge=1, le=200, description="products per customer")


def run(settings: Settings) -> None:
    """Write artifacts/score."""
    if not (storage.CHAMPION / "receipt.json").exists():
        raise InputError("there is no champion yet; run `make nightly`, whose gate makes the first")
    manifest.verify(storage.CHAMPION)
    data = model.prepared()
    champion = model.load(storage.CHAMPION / "rank")
    scene = champion.scene(data, storage.CHAMPION / "finetune", data.windows["deliver"])
    found = _recommend(champion, scene, settings.num_recommendations)
    customers = storage.read_table(model.PREPARED / "customers.parquet", columns=["customer_id"])["customer_id"]
    table = pa.table(
        {
            "customer_id": customers.take(found["customer"].to_numpy()),
            "rank": found["rank"].to_numpy(np.int32),
            "product_id": data.products["product_id"].to_numpy()[found["item"]],
            "title": data.products["title"].to_numpy()[found["item"]],
            "score": found["score"].to_numpy(np.float32),
            "reason": found["reason"].to_numpy(),
        }
    )
    storage.write_table(table, OUT / "recommendations.parquet")
    receipt = storage.read_json(storage.CHAMPION / "receipt.json")
    summary = {
        "num_customers": int(found["customer"].nunique()),
        "num_products": int(found["item"].nunique()),
        "num_recommendations": len(found),
        "champion": receipt["version"],
        "as_of": data.windows["as_of"],
    }
    storage.write_json(summary, OUT / "summary.json")
    log.info("score: %s recommendations from version %s", f"{len(found):,}", receipt["version"])


def _recommend(champion: model.Model, scene: Scene, num: int) -> pd.DataFrame:
    """customer, item, rank, score, reason; best first."""
    parts = []
    num_customers = scene.evidence.histories.num_customers
    for done, batch in enumerate(scene.batches()):
        score = champion.ranker.score(batch.features, scene.features)
        first, last = int(batch.customer[0]), int(batch.customer[-1])
        lists = np.full((last - first + 1, num), -1, np.int32)
        fill(lists, batch.customer - first, np.arange(score.size, dtype=np.int32), score)
        row = lists[lists >= 0]
        rank = np.broadcast_to(np.arange(1, num + 1), lists.shape)[lists >= 0]
        parts.append(
            pd.DataFrame(
                {
                    "customer": batch.customer[row],
                    "item": batch.item[row],
                    "rank": rank,
                    "score": score[row],
                    "reason": reasons(batch.features[row], scene.features),
                }
            )
        )
        if done % 4 == 3:
            log.info("score: %s of %s customers", f"{last + 1:,}", f"{num_customers:,}")
    return pd.concat(parts, ignore_index=True)

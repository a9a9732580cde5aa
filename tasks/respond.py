"""Learn who responds to which campaign and offer, and evaluate the model on the last finished campaigns.

A shop without campaigns, offers, exposures or responses gets an empty result.
"""

import logging
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from nightmarket.response.backtest import backtest
from nightmarket.response.drivers import contributions, shares, summary
from nightmarket.response.responder import CampaignRows, Responder, enough, rolling, rows
from tasks.campaigns import responder
from tasks.files import catalogue
from tasks.files.prepared import Prepared
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings

log = logging.getLogger("nightmarket")
STAGE = Stage(
    "learn who responds to which campaign and offer",
    reads=(catalogue.CLEAN, catalogue.PREPARE),
    writes=(catalogue.RESPONDER, catalogue.DRIVERS, catalogue.RESPONSE_PREDICTIONS),
    metrics=(catalogue.RESPONSE_METRICS,),
    side=True,
)


class Settings(StageSettings):
    """Response to campaigns."""

    seed: int = Field(17, ge=0, lt=2**31, description="seed of LightGBM and of the bootstrap")
    candidate: Literal["logistic", "trees", "forest", "blend"] = Field(
        "blend", description="the model; chosen on earlier campaigns of the demo: docs/explanation/campaign-response.md"
    )
    test_campaigns: int = Field(5, ge=1, le=100, description="last finished campaigns that the model is evaluated on")
    num_resamples: int = Field(1000, ge=100, le=100_000, description="bootstrap resamples of an interval")


def run(settings: Settings) -> None:
    """Write artifacts/respond."""
    lacking = [name for name in responder.NEEDED if not (responder.CLEAN / f"{name}.parquet").exists()]
    if lacking:
        _empty(f"no table `{lacking[0]}`: nothing to learn responses from")
        return
    record = responder.record(Prepared())
    today = int(record.histories.day.max(initial=0)) + 1
    parts = [rows(record, k) for k in record.finished(today)]
    log.info("respond: %d finished campaigns, %s pairs", len(parts), f"{sum(part.label.size for part in parts):,}")
    if not enough(parts):
        num = sum(bool(part.label.any()) for part in parts)
        _empty(f"{num} finished campaigns with responses; at least 3 are needed")
        return
    log_odds = rolling(settings.candidate, parts, settings.seed)
    log.info("respond: %d campaigns predicted by models of earlier ones", len(log_odds))
    fitted = Responder.fit(settings.candidate, parts, log_odds, settings.seed)
    catalogue.RESPONDER.write({"fitted": True, **fitted.to_json()})
    tests = [part for part in parts if part.campaign.campaign_id in log_odds][-settings.test_campaigns :]
    _evaluate(settings, parts, tests, log_odds)
    catalogue.DRIVERS.write(_drivers(fitted, tests or parts))


def _empty(reason: str) -> None:
    """What the stage writes when there is nothing to learn from; the reason is in every file."""
    log.info("respond: %s", reason)
    catalogue.RESPONDER.write({"fitted": False, "reason": reason})
    catalogue.RESPONSE_METRICS.write({"reason": reason})
    catalogue.DRIVERS.write({"reason": reason})
    catalogue.RESPONSE_PREDICTIONS.write_empty()


def _evaluate(
    settings: Settings, parts: Sequence[CampaignRows], tests: Sequence[CampaignRows], log_odds: dict[str, Any]
) -> None:
    """metrics.json and predictions.parquet: every test campaign by a model of the campaigns before it."""
    if not tests:
        reason = "no finished campaign began after three others with responses had ended: nothing to evaluate on"
        catalogue.RESPONSE_METRICS.write({"reason": reason})
        catalogue.RESPONSE_PREDICTIONS.write_empty()
        return
    tested = backtest(parts, tests, log_odds, settings.seed)
    schema = catalogue.RESPONSE_PREDICTIONS.schema
    columns = (tested.customer, tested.campaigns, tested.probability, tested.responded)
    catalogue.RESPONSE_PREDICTIONS.write(pa.table(dict(zip(schema.names, columns, strict=True))).cast(schema))
    metrics = tested.metrics(settings.seed, settings.num_resamples)
    catalogue.RESPONSE_METRICS.write({"candidate": settings.candidate, **metrics})
    if "auc" in metrics["test"]:
        stated = [f"{name} {metrics['test'][name]['value']:.3f}" for name in ("auc", "average_precision", "ece")]
        log.info("respond: on campaigns %s: %s", ", ".join(metrics["campaigns"]), ", ".join(stated))


def _drivers(fitted: Responder, parts: Sequence[CampaignRows]) -> dict[str, Any]:
    """What sets likely responders apart, over the test campaigns and in each of them."""
    values = contributions(fitted.model, fitted.names, np.concatenate([part.values for part in parts]))
    owner = np.repeat(np.arange(len(parts)), [part.label.size for part in parts])

    def in_words(part: dict[str, float]) -> dict[str, Any]:
        return {"shares": part, "en": summary(part, "en"), "zh": summary(part, "zh")}

    each = {part.campaign.campaign_id: in_words(shares(values, owner == at)) for at, part in enumerate(parts)}
    return {"overall": in_words(shares(values)), "campaigns": each}

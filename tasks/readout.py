"""Read out the campaigns: experiments, campaigns without one, logs with propensities, and the ledger of estimates.

versions.json of the snapshot says what was promised of each registered version.
"""

import logging
from datetime import date
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from nightmarket.contracts import InputError
from nightmarket.contracts.clock import midnight
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.contracts.tables import BY_NAME, arrow_schema
from nightmarket.evaluation.experiments import cases as experiment_cases
from nightmarket.evaluation.experiments.effect_index import effect_index
from nightmarket.evaluation.experiments.ledger import Lift, ledger, trust
from nightmarket.evaluation.experiments.readout import blocked, read_out
from tasks.campaigns import untouched
from tasks.campaigns.control import ControlGroup
from tasks.files import catalogue, storage
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings, load

if TYPE_CHECKING:
    import pandas as pd

    from nightmarket.evaluation.offpolicy.evaluation import PolicyEvaluation

MAX_LEVELS = 12
NEVER_INCREMENTAL = "exposure was not randomized; adjusted figures describe, they are no effect of the campaign"
log = logging.getLogger("nightmarket")


class ExperimentSettings(StageSettings):
    """What was decided about one experiment before it started."""

    control: str | None = Field(None, description="the arm that the others are compared with")
    shares: dict[str, float] | None = Field(None, description="planned share per arm")
    customers: int | None = Field(
        default=None,
        ge=200,
        description="planned customers, all arms together; the test ends there, with narrower bounds",
    )

    @model_validator(mode="after")
    def _shares_are_those_of_arms(self) -> Self:
        if self.shares is None:
            return self
        if len(self.shares) < 2 or min(self.shares.values()) <= 0 or abs(sum(self.shares.values()) - 1) > 1e-6:
            raise ValueError("shares: name two arms or more, each with a share above 0; together they make 1")
        if self.control is not None and self.control not in self.shares:
            raise ValueError(f"control: '{self.control}' has no share; the arms are {', '.join(self.shares)}")
        return self


STAGE = Stage(
    "what came of the campaigns, experiments first, and what earlier estimates were worth",
    reads=(catalogue.VERSIONS, catalogue.CLEAN, catalogue.PREPARE),
    writes=(catalogue.READOUT_FOLDER,),
    sections=("plan",),
    phase="deliver",
    side=True,
)


class Settings(StageSettings):
    """How campaigns are read."""

    seed: int = Field(17, ge=0, lt=2**31, description="seed of the cross-fitting")
    alpha: float = Field(
        0.05, gt=0, lt=0.5, description="chance of a false alarm per experiment, at any number of looks"
    )
    outcome_days: int = Field(28, ge=1, le=366, description="days after the first exposure in which outcomes count")
    planned_customers: int = Field(
        10_000, ge=200, description="customers for which the sequence is narrowest, where an experiment names no number"
    )
    experiments: dict[str, ExperimentSettings] = Field(
        default_factory=dict, description="{campaign_id: {control, shares, customers}} as decided before the start"
    )


def run(settings: Settings) -> None:
    """Write artifacts/readout/readout.json."""
    tables = {name: _table(name) for name in ("campaigns", "exposures", "responses", "offers")}
    promised = catalogue.VERSIONS.read() if catalogue.VERSIONS.exists() else []
    group: ControlGroup = cast(Any, load("plan")).control
    periods = untouched.read_out(group, tables["exposures"])
    for period in periods:
        log.info("readout: control group: %s", period["words"])
    if not len(tables["campaigns"]) or not len(tables["exposures"]):
        missing = " and ".join(name for name in ("campaigns", "exposures") if not len(tables[name]))
        sentence = f"There is nothing to read: the tables {missing} are empty or were not brought."
        _write([], [], [], {}, promised, periods, sentence)
        return
    snapshot = catalogue.CLEAN_SNAPSHOT.read()
    arms = experiment_cases.arms_of(tables["exposures"])
    tested = _experiments(settings, tables, arms, snapshot)
    observed = _observed(settings, tables, arms, snapshot)
    off_policy = _off_policy(settings, tables)
    index = _index(tables)
    sentence = (
        f"{len(tested)} experiments, {len(observed)} finished campaigns without one, {len(off_policy)} logs with "
        "propensities."
    )
    _write(tested, observed, off_policy, index, promised, periods, sentence)


def _table(name: str) -> "pd.DataFrame":
    """A clean table, with its contract's columns and no rows where the retailer brought none."""
    path = catalogue.CLEAN / f"{name}.parquet"
    table = storage.read_table(path) if path.exists() else arrow_schema(BY_NAME[name]).empty_table()
    frame = table.to_pandas()
    return frame[frame["campaign_id"].notna()] if name == "exposures" else frame  # others are lists of the live site


def _events(kind: str, customers: "pd.Series", columns: list[str]) -> "pd.DataFrame":
    """The events of one kind of these customers."""
    events = catalogue.CLEAN_EVENTS.read(["kind", *columns])
    wanted = pc.equal(pc.fill_null(events["kind"], "purchase"), kind)
    wanted = pc.and_(wanted, pc.is_in(events["customer_id"], pa.array(customers.unique(), pa.string())))
    return events.filter(wanted).select(columns).to_pandas()


def _experiments(
    settings: Settings, tables: dict[str, "pd.DataFrame"], arms: dict[str, list[str]], snapshot: dict[str, Any]
) -> list[dict[str, Any]]:
    """Every campaign whose exposures name at least two arms."""
    unknown = sorted(set(settings.experiments) - set(tables["campaigns"]["campaign_id"]))
    if unknown:
        raise InputError(f"params.yaml: readout.experiments names '{unknown[0]}', which is no campaign of the snapshot")
    if not arms:
        return []
    import pandas as pd

    exposures = tables["exposures"][tables["exposures"]["campaign_id"].isin(arms)]
    purchases = _events("purchase", exposures["customer_id"], ["customer_id", "timestamp", "value"])
    attributes = _attributes()
    known_until = pd.Timestamp(midnight(date.fromisoformat(snapshot["as_of"]), snapshot["time_zone"]))
    campaigns = tables["campaigns"].set_index("campaign_id", drop=False)
    read_outs = []
    for name in arms:
        rows = exposures[exposures["campaign_id"] == name]
        plan = settings.experiments.get(name, ExperimentSettings())
        try:
            case = experiment_cases.case(
                campaigns.loc[name],
                rows,
                tables["responses"][tables["responses"]["campaign_id"] == name],
                purchases,
                known_until=known_until,
                outcome_days=settings.outcome_days,
                planned=settings.planned_customers,
                plan=experiment_cases.ExperimentPlan(plan.control, plan.shares, plan.customers),
            )
            levels = attributes.reindex(case.customers)
            segments = {by: levels[by].to_numpy(object) for by in levels}
            read = read_out(case.experiment, alpha=settings.alpha, final=case.final, segments=segments)
        except InputError as error:
            # One experiment whose plan does not fit its data must not keep a night from being delivered.
            log.warning("readout: %s: blocked: %s", name, error)
            read_outs.append(blocked(name, str(error)))
            continue
        log.info("readout: %s: %s: %s", name, read.verdict.word, read.verdict.reason)
        assert case.experiment.counted is not None  # a case says of everybody whether the outcomes are complete
        counts = {"mixed": case.experiment.mixed, "complete": int(case.experiment.counted.sum()), "final": case.final}
        read_outs.append(read.content() | counts | {"planned": case.experiment.planned})
    return read_outs


def _attributes() -> "pd.DataFrame":
    """The customers' attributes with few levels, missing ones as None."""
    customers = catalogue.CUSTOMERS.read().to_pandas().set_index("customer_id")
    names = [name for name in customers if name.startswith("attr_") and 2 <= customers[name].nunique() <= MAX_LEVELS]
    return customers[names].astype(object).where(customers[names].notna(), None)


def _observed(
    settings: Settings, tables: dict[str, "pd.DataFrame"], arms: dict[str, list[str]], snapshot: dict[str, Any]
) -> list[dict[str, Any]]:
    """Finished campaigns whose exposure was not randomized."""
    import pandas as pd

    from nightmarket.evaluation.uplift.campaigns import campaigns_of, case
    from nightmarket.evaluation.uplift.effects import observational
    from tasks.files.prepared import Prepared

    prepared = Prepared()
    histories, products, customers = prepared.histories, prepared.products, prepared.customers
    shown = experiment_cases.without_holdouts(tables["exposures"])
    known = campaigns_of(
        tables["campaigns"], shown, tables["responses"], tables["offers"],
        customers["customer_id"], products["product_id"], snapshot["time_zone"],
    )  # fmt: skip
    category = pd.factorize(products["category"].fillna(""))[0].astype(np.int32)
    attributes = customers[[name for name in customers if name.startswith("attr_")]]
    today = (date.fromisoformat(snapshot["as_of"]) - date(1970, 1, 1)).days
    ended = [campaign for campaign in known if campaign.last < today and campaign.name not in arms]
    finished = [campaign for campaign in ended if campaign.exposed.size >= MIN_GROUP]
    effects = []
    for number, campaign in enumerate(finished, start=1):
        data = case(histories, category, campaign, known, attributes)
        if data.exposed.sum() < MIN_GROUP:
            continue
        effect = observational(
            data.covariates, data.exposed, data.outcome, data.placebo, data.negative_control, data.names,
            settings.seed, len(finished),
        )  # fmt: skip
        about = {
            "campaign_id": campaign.name,
            "kind": campaign.kind,
            "left_out": data.left_out if data.left_out >= MIN_GROUP else None,
        }
        effects.append(about | effect.to_json())
        if number % 10 == 0:
            log.info("readout: %d of %d campaigns without an experiment", number, len(finished))
    return effects


def _off_policy(settings: Settings, tables: dict[str, "pd.DataFrame"]) -> list[dict[str, Any]]:
    """What fixed policies would have earned, for campaigns whose exposures carry propensities."""
    logged = tables["exposures"][tables["exposures"]["propensity"].notna()]
    if logged.empty:
        return []
    from nightmarket.evaluation.experiments.contacts import decisions, fixed_policies
    from nightmarket.evaluation.offpolicy import estimators, evaluation

    ends = tables["campaigns"].set_index("campaign_id")["end"]
    estimates: list[dict[str, Any]] = []
    for name, rows in sorted(logged.groupby("campaign_id"), key=lambda group: ends[group[0]]):
        if experiment_cases.logged_shares(rows):
            continue  # an experiment's propensities, not those of its offers
        about = {"campaign_id": name, "decisions": len(rows), "policies": {}, "reason": ""}
        try:
            logs = decisions(rows, tables["responses"][tables["responses"]["campaign_id"] == name], ends[name])
            q = estimators.cross_fitted(logs.log, settings.seed)
            for policy, target in fixed_policies(logs.actions, len(logs.log)).items():
                about["policies"][policy] = _policy_content(evaluation.evaluate(logs.log, target, settings.seed, q=q))
        except InputError as error:
            about["reason"] = str(error)
        estimates.append(about)
    return estimates


def _policy_content(verdict: "PolicyEvaluation") -> dict[str, Any]:
    """A verdict without the weights of single rows; figures only where they were not refused."""
    content = {"verdict": verdict.verdict, "words": verdict.words, "logging": verdict.logging.value}
    if verdict.refusals:
        return content | {"reasons": [refusal.words for refusal in verdict.refusals]}
    best, gain = verdict.of("DR"), verdict.difference
    return content | {
        "value": best.value, "low": best.low, "high": best.high,
        "difference": {"value": gain.value, "low": gain.low, "high": gain.high},
    }  # fmt: skip


def _index(tables: dict[str, "pd.DataFrame"]) -> dict[str, Any]:
    """The campaign effect index by kind of campaign, by campaign, and by arm where there are arms."""
    from nightmarket.evaluation.experiments.contacts import tallies

    clicks = _events("click", tables["exposures"]["customer_id"], ["customer_id", "product_id", "timestamp"])
    rows = tallies(tables["campaigns"], tables["exposures"], tables["responses"], clicks, tables["offers"])
    arms = rows[rows["arm"].notna()]
    groups = {
        "by_kind": (rows, rows["kind"]),
        "by_campaign": (rows, rows["campaign_id"]),
        "by_arm": (arms, arms["campaign_id"].astype(str) + ": " + arms["arm"].astype(str)),
    }
    index: dict[str, Any] = {"of": "clicks" if len(clicks) else "responses"}
    for by, (part, name) in groups.items():
        counts = part.groupby([name.rename("strategy"), "customer_id"])[["impressions", "clicks", "responses"]].sum()
        strategy = counts.index.get_level_values("strategy").to_numpy(object)
        columns = (counts[column].to_numpy(np.float64) for column in counts)
        index[by] = [row.content() for row in effect_index(strategy, *columns)] if len(counts) else []
    return index


def _policies(off_policy: list[dict[str, Any]]) -> dict[str, Lift]:
    """Relative lifts over the logged policy, of the policies that no check refused; the latest campaign's stands."""
    lifts = {}
    for row in off_policy:
        for name, policy in row["policies"].items():
            if "difference" in policy and policy["logging"] > 0:
                difference, level = policy["difference"], policy["logging"]
                lifts[name] = Lift(*(difference[part] / level for part in ("value", "low", "high")))
    return lifts


def _write(
    tested: list[dict[str, Any]],
    observed: list[dict[str, Any]],
    off_policy: list[dict[str, Any]],
    index: dict[str, Any],
    promised: list[dict[str, Any]],
    periods: list[dict[str, Any]],
    sentence: str,
) -> None:
    policies = _policies(off_policy)
    rows = ledger(promised, policies, tested)
    content = {
        "sentence": sentence,
        "experiments": tested,
        "observed": observed,
        "observed_means": NEVER_INCREMENTAL,
        "off_policy": off_policy,
        "effect_index": index,
        "control": periods,
        "ledger": {
            "rows": [row.content() for row in rows],
            "policies": {name: lift._asdict() for name, lift in policies.items()},
            **{kind: trust(rows, kind).content() for kind in ("offline", "ope")},
        },
    }
    catalogue.READOUT.write(content)
    log.info("readout: %s", sentence)

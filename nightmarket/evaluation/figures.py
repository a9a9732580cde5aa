"""metrics.json: what a night's evaluation says, from the stage that measures it to the gate and the page.

{task: {model: {metric: figure}}} with what was measured beside it; every figure is a mean with a 95% interval.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float64s, Int32s
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.evaluation.intervals import Interval, bootstrap, paired
from nightmarket.evaluation.metrics import coverage, hits, novelty, rank_metrics
from nightmarket.evaluation.protocol import TASKS, Targets

METRIC = "ndcg@10"
OURS, PLANNED = "nightmarket", "nightmarket_plan"
NUM_DEPARTMENTS = 8
Content = dict[str, dict[str, Any]]


def _number(value: Any) -> float | None:
    """What is no number is nothing, so that the gate closes on it and names it."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


Number = Annotated[float | None, BeforeValidator(_number)]


class Figure(BaseModel):
    """A mean and the bounds of its interval; None where there is nothing to average.

    num_customers, num_launches  how many were averaged over, where that differs from the task's number
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: Number = None
    low: Number = None
    high: Number = None
    num_customers: int | None = None
    num_launches: int | None = None

    @property
    def interval(self) -> Interval:
        """As numbers; NaN for what is missing."""
        return Interval(*(float("nan") if part is None else part for part in (self.value, self.low, self.high)))

    @property
    def finite(self) -> bool:
        """Whether all three numbers are there and finite."""
        return bool(np.isfinite(self.interval).all())


OfModels = dict[str, dict[str, Figure]]
"""{model: {metric: figure}}"""


class Metrics(BaseModel):
    """The content of metrics.json.

    all, new, rare, launch, debut  figures of each model by task
    paired         {task: {other model: {metric: ours minus it, by customer}}}
    checks         figures that must be near zero for the others to mean anything
    slices         {what is cut and measured: {part: figure}}
    groups         {task: what `groups` gives}
    calibration    how far the probabilities are off
    window         the window that was measured on, and what the model knew
    num_customers  {task: customers with targets}
    recipe         {task: what its lists are ordered by, and what was compared to choose that}
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    all: OfModels = Field(default_factory=dict)
    new: OfModels = Field(default_factory=dict)
    rare: OfModels = Field(default_factory=dict)
    launch: OfModels = Field(default_factory=dict)
    debut: OfModels = Field(default_factory=dict)
    paired: dict[str, OfModels] = Field(default_factory=dict)
    checks: dict[str, Figure] = Field(default_factory=dict)
    slices: dict[str, dict[str, Figure]] = Field(default_factory=dict)
    groups: dict[str, Any] = Field(default_factory=dict)
    calibration: dict[str, Any] = Field(default_factory=dict)
    window: dict[str, Any] = Field(default_factory=dict)
    num_customers: dict[str, int] = Field(default_factory=dict)
    recipe: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Self:
        """Check what a file holds. Raises InputError with the first thing that does not belong there."""
        try:
            return cls.model_validate(content)
        except ValueError as error:
            first = error.errors()[0]  # type: ignore[attr-defined]
            where = ".".join(map(str, first["loc"]))
            raise InputError(f"metrics.json: {where}: {first['msg']}; run the stage `evaluate` again") from None

    def content(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return self.model_dump(exclude_unset=True)

    def task(self, task: str) -> OfModels:
        """Figures of one task."""
        figures: OfModels = getattr(self, task)
        return figures

    def ours(self, task: str) -> dict[str, Figure]:
        """Our own figures of one task, by metric."""
        return self.task(task).get(OURS, {})


def by_model(figures: OfModels) -> dict[str, Figure]:
    """{model: its NDCG@10}"""
    return {model: of_model[METRIC] for model, of_model in figures.items() if METRIC in of_model}


def finite(figures: Mapping[str, Figure]) -> dict[str, dict[str, Any]]:
    """Those that are numbers, as {value, low, high} and what they were averaged over."""
    return {name: figure.model_dump(exclude_none=True) for name, figure in figures.items() if figure.finite}


def customer_scores(lists: Mapping[str, Int32s], targets: Mapping[str, Targets]) -> pd.DataFrame:
    """NDCG@10 per customer and task as a long table; customers without targets in a task are left out."""
    parts = []
    for task in TASKS:
        score = rank_metrics(lists[task], targets[task].indptr, targets[task].items, cutoffs=(10,))[METRIC]
        part = pd.DataFrame({"customer": np.arange(score.size, dtype=np.int32), "task": str(task), METRIC: score})
        parts.append(part[part[METRIC].notna()])
    return pd.concat(parts, ignore_index=True)


class Figures:
    """Makes figures: means over customers with a bootstrap interval of one seed and number of resamples."""

    def __init__(self, seed: int, num_resamples: int) -> None:
        self.seed, self.num_resamples = seed, num_resamples

    def mean(self, values: Float64s) -> dict[str, Any]:
        """The mean of (C,) values, those that are not NaN; None where none is known."""
        return bootstrap(values, self.seed, self.num_resamples).content()

    def difference(self, ours: Float64s, theirs: Float64s) -> dict[str, Any]:
        """The mean of ours minus theirs, (C,) each, paired by customer."""
        return paired(ours, theirs, self.seed, self.num_resamples).content()

    def differences(self, of_models: Mapping[str, Mapping[str, Float64s]]) -> dict[str, Content]:
        """Ours minus every other model, from (C,) values by model and metric."""
        ours = of_models[OURS]
        return {
            name: {metric: self.difference(ours[metric], theirs[metric]) for metric in (METRIC, "recall@20")}
            for name, theirs in of_models.items()
            if name != OURS
        }

    def of_some(self, of_models: Mapping[str, Mapping[str, Float64s]], chosen: Bools) -> Content:
        """NDCG of each model for the customers `chosen` (C,); nothing where fewer than MIN_GROUP have a target."""
        own = {name: np.where(chosen, of_metrics[METRIC], np.nan) for name, of_metrics in of_models.items()}
        num = {name: int((~np.isnan(values)).sum()) for name, values in own.items()}
        return {
            name: self.mean(values) | {"num_customers": num[name]}
            for name, values in own.items()
            if num[name] >= MIN_GROUP
        }

    def permuted(self, lists: Int32s, targets: Targets) -> dict[str, Any]:
        """Lists handed to other customers: what is left is what they say of products, not of customers."""
        other = np.random.default_rng(self.seed).permutation(lists.shape[0])
        return self.mean(rank_metrics(lists[other], targets.indptr, targets.items, cutoffs=(10,))[METRIC])

    def by_department(self, lists: Int32s, targets: Targets, department: Int32s, names: Mapping[int, str]) -> Content:
        """Recall in the departments that most targets are of.

        department  (I,) code of each item's
        names       name of each code
        """
        num = targets.indptr.size - 1
        owner = np.repeat(np.arange(num), np.diff(targets.indptr))
        hit = hits(lists, targets.indptr, targets.items)
        largest = np.argsort(-np.bincount(department[targets.items], minlength=1), kind="stable")[:NUM_DEPARTMENTS]
        content: Content = {}
        for code in largest:
            wanted = np.bincount(owner[department[targets.items] == code], minlength=num).astype(np.float64)
            held = (hit & (department[np.maximum(lists, 0)] == code)).sum(axis=1)
            if (customers := int((wanted > 0).sum())) >= MIN_GROUP:
                share = np.where(wanted > 0, held / np.maximum(wanted, 1), np.nan)
                content[names[code]] = self.mean(share) | {"num_customers": customers}
        return content


def spread(lists: Int32s, num_items: int, buyers: Any, num_customers: int) -> Content:
    """Coverage and novelty: properties of the lists, without an interval.

    num_items  products that the lists could hold
    buyers     (I,) customers who ever bought each product
    """
    values = {"coverage@10": coverage(lists, num_items), "novelty@10": novelty(lists, buyers, num_customers)}
    return {name: Interval(value, value, value)._asdict() for name, value in values.items()}

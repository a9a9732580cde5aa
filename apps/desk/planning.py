"""A campaign from a form: segments and channels of last night by name, dates, budget, an offer."""

import math
from collections.abc import Mapping
from typing import Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, Form
from fastapi.responses import Response
from pydantic import BaseModel, Field, ValidationError

from apps.desk import night
from apps.desk.campaigns import PLANNED
from apps.desk.visit import DeskVisit, OfVisit
from flows.engine.approval import figures
from nightmarket.contracts import InputError
from nightmarket.intake import numbers
from tasks.campaigns import export
from tasks.campaigns.offers import OfferSettings
from tasks.files import catalogue
from tasks.pipeline import settings

router = APIRouter()
Words = Annotated[str, Field(max_length=200)]
Chosen = Annotated[list[Words], Field(max_length=300)]
MOST_CATEGORIES = 400
NUMBERS = ("discount", "threshold", "amount", "gift_cost")
"""Of an offer."""


class PlanForm(BaseModel):
    """What was filled in, as it was typed."""

    name: Words = ""
    budget: Words = ""
    goal: Words = "profit"
    start: Words = ""
    end: Words = ""
    segments: Chosen = []
    care: Words = ""
    channels: Chosen = []
    max_per_customer: Words = ""
    holdout: Words = ""
    excel: Words = ""
    offer_kind: Words = ""
    offer_name: Words = ""
    category: Words = ""
    discount: Words = ""
    threshold: Words = ""
    amount: Words = ""
    gift: Words = ""
    gift_cost: Words = ""
    code: Words = ""
    token: Words = ""


@router.get("/plan")
def ask_plan(visit: OfVisit) -> Response:
    """The form, with what params.yaml says where it says something."""
    plan = settings.load("plan", visit.home / settings.PARAMS).model_dump()
    given = PlanForm(budget=f"{plan['budget']:g}", holdout=f"{100 * plan['holdout']:g}")
    return _form(visit, given.model_copy(update={"max_per_customer": str(plan["max_per_customer"])}))


@router.post("/plan")
def plan(visit: OfVisit, given: Annotated[PlanForm, Form()]) -> Response:
    """Start the flow `campaign`; where something is wrong, the form with what was typed and the reason."""
    try:
        asked = parameters(given)
        _check(visit, asked)
        flow_run = visit.desk.prefect.start("campaign", asked)
    except InputError as error:
        return _form(visit, given, str(error))
    visit.note(PLANNED, name=asked["name"], flow_run=flow_run, budget=asked["budget"])
    return visit.to("/campaigns")


def parameters(given: PlanForm) -> dict[str, Any]:
    """Of the flow `campaign`; InputError, naming the field, for what is no number."""
    asked: dict[str, Any] = {"name": given.name.strip(), "budget": number("budget", given.budget)}
    asked |= {name: value for name in ("goal", "start", "end", "care") if (value := getattr(given, name))}
    asked |= {"segments": given.segments, "channels": given.channels, "excel": bool(given.excel)}
    if given.max_per_customer:
        asked["max_per_customer"] = round(number("max_per_customer", given.max_per_customer))
    if given.holdout:
        asked["holdout"] = number("holdout", given.holdout) / 100
    if given.offer_kind:
        asked["offers"] = [offer(given)]
    return asked


def offer(given: PlanForm) -> dict[str, Any]:
    """The offer of the form, as params.yaml has offers."""
    about: dict[str, Any] = {
        "kind": given.offer_kind,
        "category": given.category,
        "name": given.offer_name or given.name,
    }
    about |= {name: number(name, getattr(given, name)) for name in NUMBERS if getattr(given, name)}
    about |= {name: getattr(given, name) for name in ("gift", "code") if getattr(given, name)}
    if "discount" in about:
        about["discount"] /= 100
    try:
        OfferSettings.model_validate(about)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "offer"
        raise InputError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None
    return about


def number(name: str, text: str) -> float:
    """A number in anybody's notation; InputError for what is none, or may be two."""
    survey, typed = numbers.NumberSurvey(), pa.array([text])
    survey(typed)
    notation = survey.notation()
    if notation is None:
        raise InputError(f"{name}: {text.strip()} can be read in two ways; write 1500 or 1.50")
    try:
        value = float(numbers.plain(typed, notation)[0].as_py())
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{name}: give a number")
    return value


def _check(visit: DeskVisit, asked: Mapping[str, Any]) -> None:
    """What the flow would refuse as soon as it begins."""
    from flows import campaign

    export.folder(visit.home, asked["name"])
    campaign.check_segments(visit.home, asked["segments"])
    campaign.num_days(asked.get("start", ""), asked.get("end", ""))
    campaign.chosen_channels(visit.home, asked["channels"])


def _form(visit: DeskVisit, given: PlanForm, wrong: str = "") -> Response:
    plan = settings.load("plan", visit.home / settings.PARAMS).model_dump()
    last = night.last(visit.home)
    sizes = {}
    if last and last.night.segments:
        sizes = {str(row["segment"]): row.get("size") for row in last.night.segments.get("segments") or ()}
    return visit.page(
        "plan.html",
        422 if wrong else 200,
        given=given,
        wrong=wrong,
        segments=figures.segment_names(visit.home),
        sizes=sizes,
        channels=plan["channels"],
        currency=plan["currency"],
        days=plan["days"],
        first_day=last.night.as_of if last else "",
        categories=_categories(visit),
        second=settings.desk(visit.home / settings.PARAMS).second_person_above,
    )


def _categories(visit: DeskVisit) -> list[str]:
    """Paths of categories, those with most products first."""
    products = catalogue.PRODUCTS.at(visit.home)
    if not products.path.exists():
        return []
    frame = products.read(["department", "category"]).to_pandas().dropna()
    paths = (frame["department"] + " > " + frame["category"]).where(frame["department"] != frame["category"])
    return [str(path) for path in paths.fillna(frame["department"]).value_counts().index[:MOST_CATEGORIES]]

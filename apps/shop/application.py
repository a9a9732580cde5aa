"""The API and the page. Its visitors are customers of the night, under the only names that the night has for them."""

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field
from starlette.types import ASGIApp

from apps.api import application as api
from apps.api import routes
from apps.api.engine import Engine
from apps.api.schemas import Id
from tasks.files import catalogue
from tasks.live.visitors import CustomerNames, Visitors
from tasks.pipeline import settings

PAGE = Path(__file__).with_name("page.html")
OPEN = frozenset({"/shop"})
"""Addresses that need no key, besides the API's."""
MOST_VISITORS = 40
MARK = "pseudonym:"
ABOUT = ("brand", "category", "price")


class WindowVisitors(Visitors):
    """Takes a customer's pseudonym, marked as one, in place of the shop's own id: on this machine's page alone."""

    def names(self, customer: str) -> CustomerNames:
        """As the API's, but for those that are marked."""
        return (
            CustomerNames((customer.removeprefix(MARK),), False)
            if customer.startswith(MARK)
            else super().names(customer)
        )


class TitlesAsked(BaseModel):
    """Products of a list."""

    products: Annotated[list[Id], Field(max_length=200)]


def create() -> ASGIApp:
    """For uvicorn."""
    api.logging_of_worker()
    return shop(Engine(api.BUNDLE, api.open_bundle, api.bundle_of), *tables())


def tables() -> tuple[list[str], dict[str, dict[str, str]]]:
    """Customers with a list, as `MARK` and pseudonym, and what is said of each product. Empty where no night ran."""
    if not catalogue.PRODUCTS.path.exists():
        return [], {}
    products = catalogue.PRODUCTS.read().to_pandas()
    shown = [name for name in ABOUT if name in products]
    about = {
        row["product_id"]: {
            "title": _text(row.get("title")),
            "about": " · ".join(text for name in shown if (text := _text(row[name]))),
        }
        for row in products.to_dict("records")
    }
    visitors: list[str] = []
    if catalogue.RECOMMENDATIONS.path.exists():
        listed = catalogue.RECOMMENDATIONS.read(["customer_id"])["customer_id"].unique().to_pylist()
        visitors = [MARK + name for name in listed[:: max(len(listed) // MOST_VISITORS, 1)][:MOST_VISITORS]]
    return visitors, about


def shop(engine: Engine, visitors: list[str], products: dict[str, dict[str, str]]) -> ASGIApp:
    """The API around an engine, with the page."""
    page = PAGE.read_text(encoding="utf-8")
    router = APIRouter(prefix="/shop", dependencies=[routes.having("read")], include_in_schema=False)

    @router.get("/visitors")
    async def visitors_of_the_night() -> dict[str, list[str]]:
        return {"visitors": visitors}

    @router.post("/titles")
    async def titles(asked: TitlesAsked) -> dict[str, Any]:
        return {"products": {product: products[product] for product in asked.products if product in products}}

    async def window() -> HTMLResponse:
        return HTMLResponse(page, headers={"content-security-policy": POLICY, "referrer-policy": "no-referrer"})

    def add(app: FastAPI) -> None:
        app.include_router(router)
        app.add_api_route("/shop", window, methods=["GET"], include_in_schema=False)

    return api.application(settings.serve(), engine, WindowVisitors(), add, OPEN)


POLICY = (
    "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'"
)


def _text(value: Any) -> str:
    """What is there of a cell, as a person reads it."""
    return "" if value is None or value != value else str(value)

"""Customers and products: one of each, found by the shop's own id or a title; segments. Who looked is on record."""

import re
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from apps.desk import night
from apps.desk.visit import OfVisit
from flows.engine.approval import figures
from nightmarket.contracts import InputError
from tasks.desk import lookup
from tasks.live.visitors import Visitors
from tasks.privacy.pseudonyms import HEX_DIGITS, digest

router = APIRouter()
PSEUDONYM = re.compile(rf"[0-9a-f]{{{HEX_DIGITS}}}")


@router.get("/customers")
def search(visit: OfVisit, text: str = "") -> Response:
    """Search, and the segments."""
    last = night.last(visit.home)
    portraits = (last.night.segments or {}).get("segments") or [] if last else []
    return visit.page("customers.html", text=text, products=lookup.products(visit.home, text), segments=portraits)


@router.post("/customers")
def find_customer(visit: OfVisit, customer: Annotated[str, Form(max_length=200)]) -> Response:
    """By the shop's own id, which stands in no address and in no record, or by the name that the night has for them."""
    given = customer.strip()
    pseudonym = given if PSEUDONYM.fullmatch(given) else Visitors().names(given).present
    if lookup.customer(visit.home, pseudonym) is None:
        raise InputError("the last night knows no such customer")
    return visit.to(f"/customers/{pseudonym}")


@router.get("/customers/{customer}")
def show_customer(visit: OfVisit, customer: str) -> Response:
    """One customer. The record has a hash of their name, which stays when they are forgotten and names nobody."""
    view = lookup.customer(visit.home, customer) if PSEUDONYM.fullmatch(customer) else None
    if view is None:
        raise HTTPException(404)
    visit.note("looked at a customer", customer=digest(customer))
    return visit.page("customer.html", view=view, segments=figures.segment_names(visit.home))


@router.get("/products/{product:path}")
def show_product(visit: OfVisit, product: str) -> Response:
    """One product."""
    view = lookup.product(visit.home, product)
    if view is None:
        raise HTTPException(404)
    return visit.page("product.html", view=view, product=product)

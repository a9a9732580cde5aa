"""Customers and products: one of each, found by the shop's own id or a title; segments. Who looked is on record.

For a customer who asks: everything held about them as a file; and they are forgotten, as by `make forget`.
"""

import json
import re
import subprocess
import sys
import threading
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from apps.desk import night
from apps.desk.visit import OfVisit
from flows.engine.approval import figures
from nightmarket.contracts import InputError
from tasks.desk import access, lookup
from tasks.live.visitors import Visitors
from tasks.privacy.pseudonyms import HEX_DIGITS, digest

router = APIRouter()
FORGET = (sys.executable, "-m", "flows", "forget", "--customer", "-")
"""A process of its own, which outlives the desk; the id goes in through its standard input."""
FORGET_LOG = "forget.log"
PSEUDONYM = re.compile(rf"[0-9a-f]{{{HEX_DIGITS}}}")


@router.get("/customers")
def search(visit: OfVisit, text: str = "", done: str = "") -> Response:
    """Search, and the segments."""
    last = night.last(visit.home)
    portraits = (last.night.segments or {}).get("segments") or [] if last else []
    return visit.page("customers.html", text=text, products=lookup.products(visit.home, text), segments=portraits,
                      done=done)  # fmt: skip


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


@router.get("/customers/{customer}/held")
def everything_held(visit: OfVisit, customer: str) -> Response:
    """A file with every row that names the customer."""
    if not PSEUDONYM.fullmatch(customer) or lookup.customer(visit.home, customer) is None:
        raise HTTPException(404)
    visit.note("downloaded everything held about a customer", customer=digest(customer))
    content = json.dumps(access.held(visit.home, customer), ensure_ascii=False, indent=1, default=str)
    names = {"content-disposition": f'attachment; filename="customer-{customer[:8]}.json"'}
    return Response(content, media_type="application/json", headers=names)


@router.post("/customers/{customer}/forget")
def forget(visit: OfVisit, customer: str, own_id: Annotated[str, Form(max_length=200)]) -> Response:
    """Begin what `make forget` does. The shop's own id is typed in once more, so that nobody is forgotten by a slip."""
    typed = own_id.strip()
    if not PSEUDONYM.fullmatch(customer) or customer not in (names := Visitors().names(typed)).every:
        raise InputError("that is not the id of this customer; nothing was done")
    about = {"customer": digest(names.present)}
    visit.note("forgetting a customer", **about)

    def wait() -> None:
        with (visit.home / ".nightmarket" / FORGET_LOG).open("ab") as log:
            given = f"{typed}\n".encode()
            done = subprocess.run(FORGET, cwd=visit.home, input=given, stdout=log, stderr=log, start_new_session=True)
        ended = "could not be forgotten" if done.returncode else "is forgotten"
        visit.note(f"a customer {ended}", code=done.returncode, **about)

    threading.Thread(target=wait, name="forget", daemon=True).start()
    return visit.to("/customers?done=forget")


@router.get("/products/{product:path}")
def show_product(visit: OfVisit, product: str) -> Response:
    """One product."""
    view = lookup.product(visit.home, product)
    if view is None:
        raise HTTPException(404)
    return visit.page("product.html", view=view, product=product)

"""An engine of a few lines over lists in a file, for tests of the servers around it: what was just met comes first."""

import copy
import sys
import time
from pathlib import Path

from apps.api.__main__ import main
from apps.api.application import application, logging_of_worker
from apps.api.engine import Engine, Turnstile
from apps.api.questions import Site
from apps.api.writer import GroupCommit
from nightmarket.contracts import InputError
from nightmarket.serving.live import Answer, Explanation, Recommended
from nightmarket.serving.live.answering import ShownFacts
from nightmarket.serving.live.messages import ShopNames, understood
from tasks.files import storage
from tasks.live.visitors import Visitors
from tasks.pipeline import settings

BUNDLE = Path("bundle.json")
PRODUCTS = [f"p{number}" for number in range(40)]


def write_bundle(folder, version="1", delay_s=0.0, last_day="2020-01-01", lists=None):
    content = {"version": version, "bundle": f"{version:0>16}", "last_day": last_day, "delay_s": delay_s}
    storage.write_json({**content, "lists": lists or {}}, Path(folder) / BUNDLE)


def small_site(folder, experiment=None):
    """A site over such a bundle, in the working directory; whoever asks for it stops its writer."""
    write_bundle(folder)
    engine = Engine(folder, Small.open, lambda folder: str(read(folder)["bundle"]))
    engine.look()
    return Site(engine, Turnstile(9, 60), GroupCommit(1000, lambda _: True), Visitors(), 1e3, 0.0, experiment)


class Small:
    def __init__(self, content):
        self.made_from, self.version, self.bundle = (
            {"last_day": content["last_day"]},
            content["version"],
            content["bundle"],
        )
        self.lists, self.delay_s = content["lists"], content["delay_s"]
        self.products = list(PRODUCTS)

    @classmethod
    def open(cls, folder):
        return cls(read(folder))

    def knows(self, product):
        return product in self.products

    def with_products(self, products):
        made = copy.copy(self)
        made.products = list(dict.fromkeys([*self.products, *products["product_id"]]))
        return made

    def recommend(self, ask):
        if ask.category == "no > such":
            raise InputError("category: no product has this path")
        if ask.best != "reranked" or (ask.budget_ms is not None and ask.budget_ms < 1):
            return self._answer(ask, PRODUCTS, "popular")
        time.sleep(self.delay_s)
        met = [event.product for event in reversed(ask.events) if event.kind != "impression"]
        shown = [event.product for event in ask.events if event.kind == "impression"]
        listed = [*met, *self.lists.get(ask.customer, []), *PRODUCTS]
        tired = {product for product in shown if shown.count(product) >= 5 and product not in met}
        return self._answer(ask, [product for product in listed if product not in tired], "reranked")

    def _answer(self, ask, products, step):
        gone = ask.leave_out | ask.out_of_stock
        kept = [product for product in dict.fromkeys(products) if product not in gone][: ask.count]
        return Answer(tuple(Recommended(product, -float(place), f"of version {self.version}", 1.0)
                            for place, product in enumerate(kept)), self.version, step)  # fmt: skip

    def rank(self, ask, products):
        met = [event.product for event in ask.events]
        return self._answer(ask, sorted(products, key=lambda product: product not in met), "reranked")

    def search(self, ask, query):
        if not any(sign.isalnum() for sign in query):
            raise InputError("query: say what to look for")
        return self._answer(ask, [product for product in self.products if product in query.split()], "reranked")

    def assist(self, ask, message):
        said = understood(message, ShopNames(["Acme"], {"boots": "shoes > boots"}))
        answered = self.search(ask, message) if said.intent == "find" else Answer((), self.version, "popular")
        facts = tuple(
            ShownFacts(place.product, f"Boots {place.product}", "Acme", "boots", 9.5) for place in answered.products
        )
        return said, answered, facts

    def similar(self, product, count):
        if product not in self.products:
            raise InputError("there is no such product")
        others = [other for other in PRODUCTS if other != product][:count]
        return Answer(tuple(Recommended(other, 1.0, "", 1.0) for other in others), self.version, "nightly")

    goes_with = similar

    def why(self, customer):
        listed = tuple(Recommended(product, 1.0, "", 1.0) for product in self.lists.get(customer, []))
        return Explanation(customer, self.version, bool(listed), False, (), (("boots", 1.0),), listed)


def read(folder):
    return storage.read_json(Path(folder) / BUNDLE)


def create():
    logging_of_worker()
    return application(settings.serve(), Engine(Path(), Small.open, lambda folder: str(read(folder)["bundle"])))


if __name__ == "__main__":
    sys.exit(main(factory="tests.apps.small:create"))

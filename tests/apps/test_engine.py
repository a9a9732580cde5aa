"""The engine of a worker and the line before it, without servers around them."""

import asyncio
from pathlib import Path

import pytest

from apps.api.engine import Engine, Turnstile, known_until
from apps.api.problems import ProblemError
from nightmarket.contracts import InputError
from tasks.live.products import ProductRow


class Made:
    def __init__(self, bundle="a", **facts):
        self.bundle, self.version, self.made_from = bundle, "1", facts


def test_what_happened_after_the_shops_own_midnight_is_news_to_the_night():
    assert known_until(Made(last_day="1970-01-01")) == 86_400
    assert known_until(Made(last_day="1970-01-01", time_zone="Asia/Shanghai")) == 16 * 3600


def row(product, at=2 * 10**15, content="{}"):
    return ProductRow(product, content, at)


class Putting(Made):
    """Takes products in, but for one that it cannot."""

    def __init__(self, bundle, put=()):
        super().__init__(bundle)
        self.put, self.made_from = put, {"last_day": "2020-01-01"}

    def knows(self, product):
        return product == "known"

    def with_products(self, products):
        if "odd" in set(products["product_id"]):
            raise ValueError
        return Putting(self.bundle, (*self.put, *products["product_id"]))


def test_products_that_were_put_are_taken_in_once_and_with_every_new_bundle_and_an_odd_one_alone_is_left_out():
    bundle, log = ["a"], [(1, row("known", at=5)), (2, row("x")), (4, row("odd")), (5, row("y")), (7, row("known"))]
    engine = Engine(Path(), lambda _: Putting(bundle[0]), lambda _: bundle[0])
    engine.put = lambda since: [entry for entry in log if entry[0] > since]
    engine.look()
    first = engine.current
    assert first.put == ("x", "y", "known")  # the night knows more of a product than what was put before it
    engine.look()
    assert engine.current is first
    log += [(8, row("x")), (9, row("y", content='{"price": 1}'))]
    engine.look()
    assert engine.current.put == ("x", "y", "known", "y")
    bundle[0] = "b"
    engine.look()
    assert (engine.current.bundle, engine.current.put) == ("b", ("x", "y", "known", "x", "y"))


def test_a_bundle_that_cannot_be_read_leaves_the_one_that_answers():
    lying_there = ["a", "a", InputError("model/a is damaged"), "b"]

    def open_it(_):
        if isinstance(lying_there[0], Exception):
            raise lying_there[0]
        return Made(lying_there[0])

    engine = Engine(Path(), open_it, lambda _: str(lying_there[0]))
    seen = []
    while lying_there:
        engine.look()
        seen.append((engine.ready().bundle, engine.refused, engine.taken_over))
        lying_there.pop(0)
    assert seen == [("a", "", 0), ("a", "", 0), ("a", "model/a is damaged", 0), ("b", "", 1)]


def test_without_a_bundle_it_says_when_to_come_again():
    def nothing(_):
        raise InputError("there is no bundle")

    engine = Engine(Path(), nothing, nothing)
    engine.look()
    with pytest.raises(ProblemError) as caught:
        engine.ready()
    assert (caught.value.status, caught.value.retry_after) == (503, 30)


def test_questions_are_answered_in_their_order_and_no_more_wait_than_may():
    async def crowd():
        turnstile = Turnstile(limit=3, most_s=60)
        asked = [asyncio.create_task(turnstile.ask(lambda _, number=number: number)) for number in range(5)]
        return await asyncio.gather(*asked, return_exceptions=True)

    *answers, fourth, fifth = asyncio.run(crowd())
    assert answers == [0, 1, 2]
    assert [error.kind for error in (fourth, fifth)] == ["overloaded", "overloaded"]


def test_an_error_of_one_question_is_its_own():
    async def both():
        turnstile = Turnstile(limit=9, most_s=60)
        return await asyncio.gather(turnstile.ask(lambda _: 1 // 0), turnstile.ask(lambda _: 7), return_exceptions=True)

    error, answer = asyncio.run(both())
    assert isinstance(error, ZeroDivisionError)
    assert answer == 7

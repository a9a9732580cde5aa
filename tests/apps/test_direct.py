"""What is answered without the framework is what the framework would answer, its document included."""

import asyncio

import httpx
import pytest

from apps.api import direct
from apps.api.access import Door, Keyring, RequestRates
from apps.api.application import bare
from apps.api.direct import Direct
from tasks.live import keys
from tests.apps.small import small_site

BODIES = {
    "/v1/recommendations": [
        b'{"count": 3, "log": false, "events": [{"kind": "view", "product_id": "p7"}]}',
        b'{"count": "3", "log": false}', b'{"count": NaN}', b'{"count": 1e999}', b'{"counts": 3}', b"{",
        b'{"events": [{"kind": "glance"}]}', b"[]", b"7",
        b"\xff\xfe", b'{"price_from": 2, "price_to": 1}', b'{"category": "no > such"}', b'{"customer_id": "a\\u0000"}',
        b'{"best": "popular", "log": false}', b'{"events": [{"kind": "view", "product_id": "p7", "at": "yesterday"}]}',
    ],
    "/v1/rank": [b'{"products": ["p2", "p1"], "log": false}', b'{"products": []}', b"{}"],
    "/v1/search": [b'{"query": "p3 p4"}', b'{"query": "!"}', b'{"query": ""}', b"{}", b'{"query": "p3", "count": 0}'],
    "/v1/events": [
        b'{"id": "a", "kind": "view", "product_id": "p1", "session_id": "s"}', b'{"events": []}',
        b'{"events": [{"id": "b", "kind": "view", "session_id": "s"}, {"id": "c", "kind": "cart", "session_id": "s"}]}',
        b'{"id": "d", "kind": "view", "at": "1999-01-01T00:00:00Z", "session_id": "s"}', b'{"id": "e"}', b"null",
    ],
}  # fmt: skip


@pytest.fixture
def doors(tmp_path, monkeypatch):
    """Both ways into one site, and the headers with a key for it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTMARKET_HOME", raising=False)
    app = bare()
    app.state.site = small_site(tmp_path)
    headers = {
        "authorization": f"Bearer {keys.add('all', tuple(keys.SCOPES), 1e5)}",
        "content-type": "application/json",
    }
    rates = RequestRates(tmp_path / "rates")
    yield [Door(inner, Keyring(), rates, 10**6) for inner in (app, Direct(app))], headers
    app.state.site.writer.stop()


def test_each_body_has_the_same_answer_both_ways(doors):
    both, headers = doors

    async def said(door, path, body):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://x") as client:
            answer = await client.post(path, content=body, headers=headers)
        content = answer.json()
        errors = [error["at"] for error in content.pop("errors", [])]
        for changing in ("request_id", "detail", "written", "duplicates"):  # the second is sent again
            content.pop(changing, None)
        return answer.status_code, answer.headers["content-type"], content, errors

    seen = set()
    for path, bodies in BODIES.items():
        for body in bodies:
            slow, fast = (asyncio.run(said(door, path, body)) for door in both)
            assert fast == slow, (path, body)
            seen.add(slow[0])
    assert seen == {200, 400, 422}


def test_what_is_answered_directly_stands_in_the_document_under_the_same_scope(doors):
    both, headers = doors
    paths = bare().openapi()["paths"]
    assert {(path, "post" in paths[path]) for path in direct.ROUTES} == {(path, True) for path in BODIES}
    for scope in keys.SCOPES:
        secret = keys.add(f"only-{scope}", [scope], 1e5)
        for door in both:
            door._keyring.refresh()

        async def status(door, path, secret=secret):
            async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://x") as client:
                return (await client.post(path, headers=headers | {"authorization": f"Bearer {secret}"})).status_code

        for path, route in direct.ROUTES.items():
            refused = [asyncio.run(status(door, path)) == 403 for door in both]
            assert refused == [route.scope != scope] * 2, (path, scope)

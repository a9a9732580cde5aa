"""Kills, floods, a store that is away, bundles that cannot be read: what was acknowledged stays, and answers go on."""

import os
import random
import signal
import socket
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest

from apps.api import access
from bench.live.fuzz import fuzzed
from tasks.live import forgetting, kept, log
from tasks.live.visitors import Visitors
from tests.apps.small import write_bundle

pytestmark = pytest.mark.slow


def rows(query="select count(*) from events"):
    with sqlite3.connect(log.path()) as reading:
        return reading.execute(query).fetchall()


def wait_until(is_so, within_s=120):
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline


def view(name, **more):
    return {"id": name, "kind": "view", "product_id": "p1", "session_id": "s", **more}


class Senders:
    """Threads that send events until they are stopped; each event again until it is acknowledged."""

    def __init__(self, site, threads=6):
        self.site, self.stopping, self.acknowledged = site, threading.Event(), set()
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        sent = 0
        client = httpx.Client(base_url=self.site.url, headers=self.site.headers, timeout=60)
        while not self.stopping.is_set():
            name = f"{number}-{sent}"
            try:
                answer = client.post("/v1/events", json=view(name))
            except httpx.TransportError:
                continue
            if answer.status_code == 200:
                self.acknowledged.add(name)
                sent += 1

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        return self.acknowledged


def test_no_acknowledged_event_is_lost_or_doubled_when_workers_are_killed(serve):
    site, rng = serve(), random.Random(5)
    senders, killed = Senders(site), 0
    while killed < 3:
        time.sleep(rng.uniform(0.05, 0.4))  # the moment is the point
        if workers := site.workers():
            os.kill(rng.choice(workers), signal.SIGKILL)
            killed += 1
            wait_until(lambda: len(site.workers()) == 2)
    acknowledged = senders.stop()
    assert len(acknowledged) > 20
    site.end()
    names = [row[0] for row in rows("select id from events")]
    assert len(names) == len(set(names))
    visitors = Visitors()
    assert {visitors.event(name) for name in acknowledged} <= set(names)


def test_no_acknowledged_event_is_lost_when_the_whole_server_is_killed(serve):
    site = serve()
    senders = Senders(site, 3)
    wait_until(lambda: len(senders.acknowledged) > 30)
    family = [site.process.pid, *site.workers()]
    for pid in family:
        os.kill(pid, signal.SIGKILL)
    acknowledged = senders.stop()
    site.process.wait()
    visitors = Visitors()
    assert {visitors.event(name) for name in acknowledged} <= {row[0] for row in rows("select id from events")}


def at_work(process: int) -> bool:
    """Whether it lives; one that nobody has asked how it ended does not."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_workers_end_when_their_parent_was_killed(serve):
    site = serve()
    workers = site.workers()
    site.process.kill()
    site.process.wait()
    wait_until(lambda: not any(map(at_work, workers)))


def test_a_worker_that_dies_while_its_parent_waits_for_its_word_is_replaced_at_once(serve):
    site = serve()
    dying = site.workers()[0]
    os.kill(dying, signal.SIGSTOP)
    time.sleep(2)  # its parent asks every half second, and waits for it now
    os.kill(dying, signal.SIGKILL)
    wait_until(lambda: dying not in site.workers() and len(site.workers()) == 2, within_s=30)
    asked = time.monotonic()
    site.end()
    assert time.monotonic() - asked < 30


def test_while_the_log_is_locked_answers_go_on_and_events_are_kept_and_written_once_later(serve):
    site = serve()
    site.post("/v1/events", view("before"))
    other = sqlite3.connect(log.path(), isolation_level=None)
    other.execute("begin immediate")
    sent = [site.post("/v1/events", view(f"locked-{number}")).json() for number in range(5)]
    assert {answer["kept"] for answer in sent} == {1}
    again = site.post("/v1/events", view("locked-0")).json()
    assert again["kept"] == 1
    assert site.products(session_id="s", count=1) == ["p1"]
    refused = site.client.put("/v1/stock", json={"products": {"p1": 0}})
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert site.client.get("/readyz").status_code == 200
    other.execute("rollback")
    other.close()
    wait_until(lambda: rows() == [(6,)])
    wait_until(lambda: not kept.waiting())
    assert site.post("/v1/events", view("locked-1")).json()["duplicates"] == 1


def test_a_log_that_was_taken_away_takes_no_acknowledged_event_with_it(serve, tmp_path):
    site = serve(workers=1)
    site.post("/v1/events", view("before"))
    (tmp_path / ".nightmarket/live/log.db").rename(tmp_path / "elsewhere.db")
    (tmp_path / ".nightmarket/live/log.db").mkdir()
    assert site.post("/v1/events", view("meanwhile")).json()["kept"] == 1
    assert site.post("/v1/recommendations", {"session_id": "s"}).status_code == 200
    (tmp_path / ".nightmarket/live/log.db").rmdir()
    for left in (tmp_path / ".nightmarket/live").glob("log.db-*"):
        left.unlink()
    (tmp_path / "elsewhere.db").rename(tmp_path / ".nightmarket/live/log.db")
    wait_until(lambda: not kept.waiting())
    assert {Visitors().event("meanwhile")} <= {row[0] for row in rows("select id from events")}


def test_events_that_a_killed_server_kept_are_written_by_the_next(serve):
    site = serve()
    site.post("/v1/events", view("before"))
    other = sqlite3.connect(log.path(), isolation_level=None)
    other.execute("begin immediate")
    assert site.post("/v1/events", view("kept")).json()["kept"] == 1
    for pid in [site.process.pid, *site.workers()]:
        os.kill(pid, signal.SIGKILL)
    site.process.wait()
    other.close()
    assert rows() == [(1,)]
    site.start()
    wait_until(lambda: rows() == [(2,)])


def at_once(site, num):
    """Answers to so many questions that come together, over connections that are there already."""
    clients = [httpx.Client(base_url=site.url, headers=site.headers, timeout=120) for _ in range(num)]
    for client in clients:
        client.get("/livez")
    with ThreadPoolExecutor(num) as pool:
        return list(pool.map(lambda client: client.post("/v1/recommendations", json={}), clients))


def test_more_questions_than_can_be_answered_are_turned_away_with_the_time_to_come_again(serve, tmp_path):
    write_bundle(tmp_path, delay_s=1.0)
    site = serve(workers=1, waiting=2, budget_ms=5000)
    answers = at_once(site, 16)
    assert {answer.status_code for answer in answers} == {200, 503}
    refused = [answer for answer in answers if answer.status_code == 503]
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert site.post("/v1/recommendations", {}).status_code == 200


def test_who_waited_longer_than_the_answer_may_take_gets_a_simpler_one(serve, tmp_path):
    write_bundle(tmp_path, delay_s=0.5)
    site = serve(workers=1, budget_ms=300)
    answers = [answer.json()["step"] for answer in at_once(site, 8) if answer.status_code == 200]
    assert set(answers) == {"reranked", "popular"}
    assert site.post("/v1/recommendations", {"budget_ms": 0}).json()["step"] == "popular"


def test_a_new_champion_is_taken_over_without_a_failed_or_mixed_answer(serve, tmp_path):
    site = serve()
    versions, stopping, failed = set(), threading.Event(), []

    def ask():
        with httpx.Client(base_url=site.url, headers=site.headers) as client:
            while not stopping.is_set():
                answer = client.post("/v1/recommendations", json={"count": 5})
                said = answer.json()
                reasons = {place["reason"] for place in said.get("products", [])}
                if answer.status_code != 200 or reasons != {f"of version {said['version']}"}:
                    failed.append(said)
                versions.add(said.get("version"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, 6):
        write_bundle(tmp_path, version=str(number))
        wait_until(lambda number=number: str(number) in versions)
    stopping.set()
    for thread in threads:
        thread.join()
    assert not failed
    assert versions >= {"1", "2", "3", "4", "5"}


def test_a_bundle_that_cannot_be_read_leaves_the_old_one_at_work_and_is_told(serve, tmp_path):
    site = serve(workers=1)
    (tmp_path / "bundle.json").write_text('{"bundle": ')
    wait_until(lambda: site.client.get("/readyz").json()["notes"])
    said = site.client.get("/readyz").json()
    assert said["version"] == "1"
    assert "the newest bundle cannot be read" in said["notes"][0]
    wait_until(lambda: "nightmarket_bundle_read 0.0" in site.client.get("/metrics").text)
    assert site.products(count=1) == ["p0"]
    assert site.said().count("the bundle cannot be read") == 1
    write_bundle(tmp_path, version="2")
    wait_until(lambda: site.client.get("/readyz").json() | {"notes": []} == site.client.get("/readyz").json())
    wait_until(lambda: site.post("/v1/recommendations", {}).json()["version"] == "2")


def test_a_slow_client_holds_up_nobody_and_is_sent_away(serve):
    site = serve(workers=1)
    address = site.url.removeprefix("http://").split(":")
    head = f"POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {site.secret}\r\ncontent-length: 99\r\n\r\n{{"
    slow = [socket.create_connection((address[0], int(address[1]))) for _ in range(40)]
    for number, connection in enumerate(slow):
        connection.settimeout(20)
        connection.sendall(head.encode() if number % 2 else b"GET /livez HT")
    began = time.monotonic()
    assert site.post("/v1/recommendations", {}).status_code == 200
    assert time.monotonic() - began < 4 * access.BODY_S  # one after the other they would take forty times as long
    answers = [connection.recv(4096) for connection in slow]
    assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in answers[1::2])
    assert not any(answers[::2])  # closed without a word
    for connection in slow:
        connection.close()


def test_many_visits_leave_the_memory_of_a_worker_as_it_was(serve):
    site = serve(workers=1)
    [worker] = site.workers()

    def visits(begin, num):
        for start in range(begin, begin + num, 1000):
            batch = [view(f"m{at}", session_id=f"v{at}", customer_id=f"c{at}") for at in range(start, start + 1000)]
            assert site.post("/v1/events", {"events": batch}).json()["written"] == 1000

    visits(0, 70_000)
    before = psutil.Process(worker).memory_info().rss
    visits(70_000, 70_000)
    assert psutil.Process(worker).memory_info().rss - before < 40e6


def test_who_asked_to_be_forgotten_is_in_no_file_of_the_site_and_is_not_taken_in_again(serve, tmp_path):
    from tasks.privacy import pseudonyms

    site = serve()
    names = Visitors().customer("Ada").every
    site.post("/v1/events", {"events": [view("f1", customer_id="Ada"), view("f2", customer_id="Bob", session_id="t")]})
    site.post("/v1/recommendations", {"customer_id": "Ada"})
    wait_until(lambda: rows("select count(*) from lists") == [(1,)])
    pseudonyms.forget(names, "2026-11-30")
    for _ in range(4):  # a worker looks at the list every second
        wait_until(lambda: site.post("/v1/events", view("f3", customer_id="Ada")).json()["left_out"] == 1)
    assert forgetting.forget(names) >= 3
    assert site.products(customer_id="Ada", count=1) == ["p0"]
    files = [path for path in (tmp_path / ".nightmarket/live").rglob("*") if path.is_file()]
    assert not [path for path in files if names[-1].encode() in path.read_bytes()]
    assert rows("select count(*) from events where customer is not null") == [(1,)]


def test_thousands_of_fuzzed_requests_bring_no_error_of_ours_and_no_word_of_anybody(serve):
    site = serve()

    def ask(seed):
        rng, seen = random.Random(seed), []
        with httpx.Client(base_url=site.url, headers=site.headers, timeout=120) as client:
            for _ in range(1000):
                method, path, body, kind = fuzzed(rng, "p1")
                answer = client.request(method, path, content=body, headers={"content-type": kind})
                seen.append(answer.status_code)
                assert answer.status_code < 500, (method, path, body, answer.text)
                assert "Traceback" not in answer.text
                if answer.status_code >= 400 and method != "HEAD":
                    assert answer.headers["content-type"] == "application/problem+json", (method, path, answer.text)
        return seen

    with ThreadPoolExecutor(4) as pool:
        seen = [status for part in pool.map(ask, range(4)) for status in part]
    assert len(seen) == 4000
    assert {200, 400, 404, 405, 415, 422} <= set(seen)
    assert seen.count(200) > 300
    assert '"level": "error"' not in site.said()

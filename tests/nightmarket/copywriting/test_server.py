"""The writer behind a server: whatever the server does, a text that follows from its facts comes out, or a clear line.

The server is a real one on loopback that speaks the chat completions protocol and misbehaves as it is told.
"""

import json
import logging
import socket
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nightmarket.contracts import InputError
from nightmarket.copywriting.composing import compose
from nightmarket.copywriting.writers.prompt import Brief
from nightmarket.copywriting.writers.server import ServerAddress, ServerWriter
from tests.made_up.copy import english, offer

KEY = "sk-larkspur-quietly-blooming"
TENTH = english(offer(percent=20.0))
GOOD = ("20% off coffee, until 14 Jan", "Coffee: 20% off. Ends 14 Jan", "Save 20% on coffee until 14 Jan")
FALSE = "30% off coffee, until 14 Jan"


class Handler(BaseHTTPRequestHandler):
    """Notes each request, and answers as the test says."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        with self.server.lock:
            number = len(self.server.seen)
            self.server.seen.append((self.path, dict(self.headers), body))
        try:
            self.server.behave(self, body, number)
        except OSError:
            self.close_connection = True  # the client has had enough

    def do_GET(self):
        self.do_POST()

    def log_message(self, *_):
        """Nothing on the terminal."""

    def reply(self, content, status=200, **headers):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(data))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)


class Local:
    """A server in a thread."""

    def __init__(self):
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads, self.http.block_on_close = True, False
        self.http.seen, self.http.lock = [], threading.Lock()
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"

    @property
    def seen(self):
        return self.http.seen

    def does(self, behave):
        self.http.behave = behave

    def close(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def local():
    server = Local()
    yield server
    server.close()


class Sleeper:
    """Notes how long the writer would have slept."""

    def __init__(self):
        self.slept = []

    async def __call__(self, seconds):
        self.slept.append(seconds)


@pytest.fixture
def sleeper():
    return Sleeper()


def writer_of(local, sleeper, **settings):
    server = {"url": local.url, "model": "small", "key": KEY, "per_minute": 10**9, "timeout": 60.0} | settings
    return ServerWriter(ServerAddress(**server), seed=3, sleep=sleeper)


def briefs_of(num, channel="push"):
    return [Brief(f"b{number}", channel, TENTH) for number in range(num)]


def choices(*texts):
    return {"choices": [{"message": {"role": "assistant", "content": text}} for text in texts]}


def says(*texts):
    return lambda handler, body, number: handler.reply(choices(*texts[: body["n"]]))


def test_one_request_brings_as_many_texts_as_are_wanted(local, sleeper):
    local.does(says(*GOOD))
    drafts = writer_of(local, sleeper).write(briefs_of(1), 3)
    assert drafts == [[{"push": text} for text in GOOD]]
    [(path, headers, body)] = local.seen
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert (body["model"], body["n"], body["seed"]) == ("small", 3, 3)
    assert json.loads(body["messages"][1]["content"])["offer"]["percent off"] == 20.0
    assert KEY not in json.dumps(body)


def test_a_server_without_a_key_gets_none(local, sleeper):
    local.does(says(*GOOD))
    writer_of(local, sleeper, key="").write(briefs_of(1), 1)
    assert "Authorization" not in local.seen[0][1]


def test_a_server_that_gives_one_choice_is_asked_again_with_other_seeds(local, sleeper):
    local.does(lambda handler, body, number: handler.reply(choices(GOOD[number % 3])))
    assert writer_of(local, sleeper).write(briefs_of(1), 3) == [[{"push": text} for text in GOOD]]
    assert [body["seed"] for *_, body in local.seen] == [3, 4, 5]


def test_texts_come_in_the_order_of_the_briefs_whichever_answer_is_first(local, sleeper):
    def behave(handler, body, number):
        shop = json.loads(body["messages"][1]["content"])["shop"]
        time.sleep(0.2 if shop == "Shop 0" else 0.0)
        handler.reply(choices(shop))

    local.does(behave)
    briefs = [Brief(f"b{number}", "push", replace(TENTH, shop=f"Shop {number}")) for number in range(12)]
    drafts = writer_of(local, sleeper, at_once=4).write(briefs, 1)
    assert drafts == [[{"push": f"Shop {number}"}] for number in range(12)]


def test_an_email_is_a_subject_and_a_body(local, sleeper):
    def behave(handler, body, number):
        subject = "subject line" in body["messages"][0]["content"]
        handler.reply(choices('Subject: "20% off coffee"' if subject else "Hello.\n\n20% off coffee until 14 January."))

    local.does(behave)
    drafts = writer_of(local, sleeper).write(briefs_of(1, "email"), 1)
    assert drafts == [[{"subject": "20% off coffee", "body": "Hello.\n\n20% off coffee until 14 January."}]]


def test_what_a_model_thinks_before_it_answers_is_no_text(local, sleeper):
    local.does(says(f"<think>They like coffee.\n</think>\n\n{GOOD[0]}"))
    assert writer_of(local, sleeper).write(briefs_of(1), 1) == [[{"push": GOOD[0]}]]


def test_a_full_server_is_asked_again_after_the_time_that_it_gives(local, sleeper):
    def behave(handler, body, number):
        if number == 0:
            handler.reply({}, 429, Retry_After="7")
        else:
            handler.reply(choices(GOOD[0]))

    local.does(behave)
    assert writer_of(local, sleeper).write(briefs_of(1), 1) == [[{"push": GOOD[0]}]]
    assert sleeper.slept == [7.0]


@pytest.mark.parametrize("after", ["1e9", "nan", "-5", "Wed, 21 Oct 2099 07:28:00 GMT", "inf"])
def test_no_server_sends_the_night_to_sleep(local, sleeper, after):
    local.does(lambda handler, body, number: handler.reply({}, 429, Retry_After=after))
    assert writer_of(local, sleeper, retries=2).write(briefs_of(1), 1) == [[]]
    assert len(sleeper.slept) == 2
    assert all(0 < seconds <= 30 for seconds in sleeper.slept)


def test_a_server_that_fails_twice_is_asked_a_third_time_ever_later(local, sleeper):
    local.does(lambda handler, body, number: handler.reply({}, 500) if number < 2 else handler.reply(choices(GOOD[0])))
    assert writer_of(local, sleeper).write(briefs_of(1), 1) == [[{"push": GOOD[0]}]]
    first, second = sleeper.slept
    assert 0.5 <= first <= 1.0 <= second <= 2.0


def test_tries_are_bounded_and_a_mistake_of_ours_is_not_repeated(local, sleeper):
    local.does(lambda handler, body, number: handler.reply({}, 503))
    assert writer_of(local, sleeper, retries=3).write(briefs_of(1), 1) == [[]]
    assert len(local.seen) == 4
    local.seen.clear()
    local.does(lambda handler, body, number: handler.reply({}, 400))
    assert writer_of(local, sleeper, retries=3).write(briefs_of(1), 1) == [[]]
    assert len(local.seen) == 1


def test_the_rate_is_kept(local, sleeper):
    local.does(says(GOOD[0]))
    writer_of(local, sleeper, per_minute=1).write(briefs_of(5), 1)
    assert [round(seconds / 60, 1) for seconds in sorted(sleeper.slept)] == [1, 2, 3, 4]


def test_after_failures_in_a_row_the_rest_is_not_asked_for(local, sleeper, caplog):
    local.does(lambda handler, body, number: handler.reply({}, 500))
    with caplog.at_level(logging.WARNING, "nightmarket"):
        drafts = writer_of(local, sleeper, retries=0, give_up=4, at_once=1).write(briefs_of(40), 1)
    assert drafts == [[]] * 40
    assert len(local.seen) == 4
    assert "40 of 40 texts (36 not asked for any more, 4 answered 500)" in caplog.messages[-1]


def drip_headers(handler, body, number):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"X-More: 1\r\n")
        time.sleep(0.05)


def drip_body(handler, body, number):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    while True:
        handler.wfile.write(b" ")
        time.sleep(0.05)


def never_ready(handler, body, number):
    while True:
        handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.05)


def cut(handler, body, number):
    handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"choices": [{"mess')
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def endless(handler, body, number):
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while True:
        handler.wfile.write(b"10000\r\n" + b" " * 65536 + b"\r\n")


def raw(data, **headers):
    return lambda handler, body, number: handler.reply(data, **headers)


HOSTILE = {
    "sleeps": lambda handler, body, number: time.sleep(1.5),
    "drips headers": drip_headers,
    "drips its body": drip_body,
    "is never ready": never_ready,
    "cuts the line": cut,
    "never stops": endless,
    "no HTTP": lambda handler, body, number: handler.wfile.write(b"\x00\x01hello\r\n\r\n"),
    "not JSON": raw(b"20% off"),
    "HTML": raw(b"<html><body>502 Bad Gateway</body></html>", Content_Type="text/html"),
    "another shape": raw({"text": GOOD[0]}),
    "a list": raw([1, 2]),
    "a number": raw(b"1e999"),
    "a long number": raw(b"1" * 10_000),
    "no choices": raw({"choices": []}),
    "choices that are none": raw({"choices": [None, 3, {"message": "hi"}, {"message": {"content": [1]}}]}),
    "null": raw(choices(None)),
    "half a character": raw(b'{"choices": [{"message": {"content": "20% off \\ud83d"}}]}'),
    "bytes that are no text": raw(b'{"choices": [{"message": {"content": "\xff\xfe\xfa"}}]}'),
    "five megabytes": raw(choices("a" * 5_000_000)),
    "nested": raw(b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "squeezed": raw(b"\x1f\x8b\x08\x00" + b"\x00" * 100, Content_Encoding="gzip"),
    "a redirect to nowhere": raw(b"", status=302, Location="http://[:::"),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_whatever_a_server_does_the_template_writes_instead_in_bounded_time(local, sleeper, lexicon, how):
    local.does(HOSTILE[how])
    writer = writer_of(local, sleeper, timeout=0.3, retries=1)
    started = time.monotonic()
    [composed], record = compose(briefs_of(1), writer, lexicon, 2, seed=3)
    assert time.monotonic() - started < 60
    assert composed.writer == "template"
    assert composed.messages
    assert {decision.writer for decision in record} == {"template"}
    assert len(local.seen) <= 2


def test_a_server_that_is_not_there_costs_no_exception(sleeper, lexicon, caplog):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    writer = ServerWriter(ServerAddress(url, "small", retries=1, per_minute=10**9), sleep=sleeper)
    with caplog.at_level(logging.WARNING, "nightmarket"):
        copies, _ = compose(briefs_of(30), writer, lexicon, 1, seed=3)
    assert all(copy.writer == "template" and copy.messages for copy in copies)
    assert "ConnectError" in caplog.messages[-1]


def test_a_redirect_is_not_followed_so_the_key_stays(local, sleeper):
    other = Local()
    other.does(says(*GOOD))
    elsewhere = other.url.replace("127.0.0.1", "localhost") + "/chat/completions"
    for status in (301, 302, 303, 307, 308):
        local.does(raw(b"", status=status, Location=elsewhere))
        assert writer_of(local, sleeper).write(briefs_of(1), 1) == [[]]
    assert other.seen == []
    other.close()


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_model_is_told_in_one_line_at_once(local, sleeper, status):
    local.does(lambda handler, body, number: handler.reply({"error": f"no such key {KEY}"}, status))
    with pytest.raises(InputError, match=f"answers {status}; check compose.server.url") as told:
        writer_of(local, sleeper, at_once=2).write(briefs_of(50), 1)
    assert KEY not in str(told.value)
    assert len(local.seen) <= 4


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "localhost:8000"}, "no address"),
        ({"url": "file:///etc/passwd"}, "no address"),
        ({"url": "http://user:secret@localhost/v1"}, "more than an address"),
        ({"url": "http://localhost/v1?api_key=secret"}, "more than an address"),
        ({"url": "http://localhost/v1", "key": "secret\n"}, "NIGHTMARKET_WRITER_KEY"),
        ({"url": "http://localhost/v1", "key": "сecret"}, "NIGHTMARKET_WRITER_KEY"),
    ],
)
def test_an_address_or_a_key_that_cannot_be_used_is_told_without_it(settings, said):
    with pytest.raises(InputError, match=said) as told:
        ServerWriter(ServerAddress(model="small", **settings))
    assert "secret" not in str(told.value)
    assert "\n" not in str(told.value)


def test_a_text_that_misstates_the_offer_is_replaced_and_on_record(local, sleeper, lexicon):
    local.does(says(FALSE, FALSE))
    [composed], record = compose(briefs_of(1), writer_of(local, sleeper), lexicon, 2, seed=3)
    assert composed.writer == "template"
    assert FALSE not in [message["push"] for message in composed.messages]
    first = record[0]
    assert (first.writer, first.fate) == ("openai", "stopped")
    assert [violation.rule for _, violation in first.rules] == ["wrong percentage"]


def test_the_key_is_in_no_text_no_record_and_no_log(local, sleeper, lexicon, caplog):
    spaced = " ".join(KEY.upper())
    local.does(says(f"{GOOD[0]} {KEY}", f"{GOOD[1]} {spaced}", GOOD[2]))
    with caplog.at_level(logging.DEBUG):
        writer = writer_of(local, sleeper)
        [composed], record = compose(briefs_of(1), writer, lexicon, 3, seed=3)
    assert local.seen[0][1]["Authorization"] == f"Bearer {KEY}"
    assert composed.writer == "template"
    everything = f"{composed} {record} {caplog.text} {writer.server}".lower()
    assert KEY not in everything
    assert KEY.replace("-", " - ") not in everything
    assert "key in the answer" in caplog.messages[-1]

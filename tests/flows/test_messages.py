"""What people hear of without looking: by webhook, and by what Apprise knows."""

import logging
from pathlib import Path

import pytest

from flows.engine.approval import contacts
from flows.engine.approval.approval import PendingPlan
from flows.engine.reporting import messages


@pytest.fixture
def said():
    return []


@pytest.fixture
def warn(said):
    return lambda text, *values: said.append(text % values)


def test_one_message_goes_to_the_webhook_and_to_every_address(webhook, warn, said, monkeypatch):
    place = f"127.0.0.1:{webhook.server_port}"
    monkeypatch.setenv(messages.WEBHOOK, f"http://{place}/hook")
    monkeypatch.setenv(messages.NOTIFY, f"json://{place}/one json://{place}/two")
    assert messages.post({"text": "今晚已交付", "flow": "nightly"}, warn)
    assert webhook.got[0] == {"text": "今晚已交付", "flow": "nightly"}
    assert [(got["title"], got["message"]) for got in webhook.got[1:]] == [("nightmarket", "今晚已交付")] * 2
    assert said == []


def test_an_address_that_takes_nothing_or_is_none_costs_a_warning_without_its_token(webhook, warn, said, monkeypatch):
    monkeypatch.setenv(
        messages.NOTIFY, f"json://127.0.0.1:9/s3cret nowhere://s3cret json://127.0.0.1:{webhook.server_port}/"
    )
    monkeypatch.delenv(messages.WEBHOOK, raising=False)
    with_log = logging.getLogger("apprise")
    assert messages.post({"text": "x"}, warn)
    assert said == [
        "address 1 of NIGHTMARKET_NOTIFY did not take the message",
        "address 2 of NIGHTMARKET_NOTIFY is none that Apprise knows",
    ]
    assert not with_log.isEnabledFor(logging.CRITICAL)
    assert len(webhook.got) == 1


def test_without_an_address_nobody_hears_anything(warn, said, monkeypatch):
    for name in (messages.WEBHOOK, messages.NOTIFY):
        monkeypatch.delenv(name, raising=False)
    assert not messages.post({"text": "x"}, warn)
    assert said == []


def test_a_plan_that_waits_says_until_when_and_where_to_answer(monkeypatch):
    summary = {"num_sent": 3, "num_customers": 9, "num_eligible": 8, "spend": 0.3, "budget": 1.0, "num_holdout": 1,
               "expected_responses": 1.0, "expected_profit": 2.0, "num_contacts": 3, "campaign": {}}  # fmt: skip
    held = PendingPlan("campaign", "spring", "campaign-spring-1", "0" * 40, Path(), Path(), "d" * 64, summary)
    monkeypatch.setenv(contacts.DESK_URL, "http://127.0.0.1:4300")
    text = contacts._waits(held, 60)["text"]
    assert text.startswith("nightmarket: spring waits for approval until 20")
    assert text.endswith("Answer: http://127.0.0.1:4300/campaigns/campaign-spring-1")

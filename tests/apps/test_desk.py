"""The desk, asked in this process: who may do what, and what is refused."""

import fcntl
import json
import re
import shutil
import time
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from apps.desk import campaigns, entrance, night, people, permissions, planning, visit
from apps.desk.__main__ import main
from apps.desk.application import PAGES, application
from apps.desk.sessions import COOKIE
from nightmarket.contracts import InputError
from nightmarket.copywriting.facts import CopyFacts, Product
from nightmarket.copywriting.writers.prompt import as_data
from nightmarket.evaluation.protocol import Window, Windows
from tasks.campaigns import edited, export
from tasks.desk import accounts, journal
from tasks.files import catalogue, records, storage
from tasks.live.visitors import Visitors
from tasks.privacy.pseudonyms import digest

PASSWORD = "four words of one's own"
RUN, DONE = "campaign-spring-20261130-110000", "campaign-autumn-20261101-090000"
HOSTILE = "<script>alert(1)</script>"
TEMPLATES = Path(visit.__file__).parent / "templates"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A checkout with an account for each role, a plan that waits, an exported campaign and a hostile name."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("desk")
        patch.chdir(folder)
        patch.delenv("NIGHTMARKET_HOME", raising=False)
        patch.delenv("PREFECT_API_URL", raising=False)
        (folder / "params.yaml").write_text("plan: {budget: 10}\n")
        a_night(folder)
        for role in accounts.ROLES:
            secret = accounts.invite(folder, role, [role])
            accounts.accept(folder, secret, "", PASSWORD)
        held = folder / ".nightmarket/undecided" / RUN
        a_plan(held)
        known = {"flow": "campaign", "name": "spring", "run": RUN, "commit": "0" * 40, "flow_run_id": "5" * 32}
        (held / "held.json").write_text(json.dumps(known))
        exported = folder / "exports/autumn"
        a_plan(exported)
        (exported / "send.csv").write_text("customer_id\nc1\n")
        (exported / "receipt.json").write_text(json.dumps({"run": DONE, "files": {"send.csv": {"rows": 1}}}))
        line = {"at": "2026-11-01T09:00:00+00:00", "flow": "campaign", "commit": "0" * 40, "why": "approved by Li"}
        record = folder / ".nightmarket/decisions.jsonl"
        records.append(record, {**line, "decision": "exported", "name": "autumn", "run": DONE, "who": "Li"})
        records.append(record, {**line, "decision": "refused", "name": HOSTILE, "run": "campaign-x", "why": HOSTILE})
        with (held / "held.json").open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # as the run that waits does
            yield folder


def a_night(folder):
    """Two customers, who bought bananas; one of them has a list."""
    kinds = {name: ["Bananas"] for name in ("product_id", "title", "brand", "type", "category", "department")}
    catalogue.PRODUCTS.at(folder).write(pd.DataFrame(kinds | {"item": [0]}))
    names = [Visitors().names(customer).present for customer in ("Li-1", "Wang-2")]
    catalogue.CUSTOMERS.at(folder).write(pd.DataFrame({"customer": [0, 1], "customer_id": names}))
    table = pd.DataFrame({"customer_id": names, "consent": [HOSTILE, None]})
    catalogue.CLEAN_PRODUCTS.at(folder).path.parent.mkdir(parents=True)
    table.to_parquet(folder / catalogue.CLEAN.path / "customers.parquet")
    lines = {"customer": [0, 0, 1], "item": [0, 0, 0], "day": [17531, 17530, 17531], "basket": [1, 2, 3]}
    catalogue.PURCHASES.at(folder).write(pd.DataFrame(lines | {"value": [2.0, 3.0, 4.0]}))
    listed = {"customer_id": names[0], "rank": 1, "product_id": "Bananas", "title": "Bananas", "reason": "again"}
    catalogue.RECOMMENDATIONS.at(folder).write([listed])


def a_plan(folder):
    group = [{"name": "1", "num": 3, "spend": 0.3, "expected_responses": 1.0, "expected_profit": 2.0}]
    summary = {
        "campaign": {"name": "spring", "days": 1, "slots": ["9-12"], "channels": {"email": {"capacity": 3}}},
        "num_customers": 9, "num_eligible": 8, "num_contacts": 3, "num_sent": 3, "num_holdout": 1, "spend": 0.3,
        "budget": 0.3, "expected_responses": 1.0, "expected_profit": 2.0, "words": "A sentence.",
        "by_channel": [{**group[0], "name": "email"}],
        "consent": {"closed": [{"channel": "sms", "customers": 4, "reason": "unsubscribed"}]},
    }  # fmt: skip
    storage.write_json(summary, folder / export.SUMMARY)
    for name in (export.PLAN, export.ELIGIBLE):
        storage.write_table(pa.table({"customer_id": ["c1"]}), folder / name)
    text = {"brief": "1|o", "segment": "1", "offer": "o", "channel": "sms", "locale": "en", "form": "sms", "place": 1}
    storage.write_table(pa.Table.from_pylist([text | {"text": HOSTILE, "writer": "template"}]), folder / export.TEXTS)
    facts = CopyFacts("en", "Corner Market", "USD", Product("Bananas", category="bananas"))
    storage.write_json({"1|o": as_data(facts)}, folder / edited.FACTS)


@pytest.fixture(scope="module")
def app(home):
    return application(home)


def client_of(app, name=""):
    """A browser in which that account is logged in, without the time that a password takes."""
    client = TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)
    desk = app.state.desk
    session = desk.sessions.new(name)
    content = {"number": session.number, "name": name, "generation": session.generation}
    client.cookies.set(COOKIE, desk.sessions._serializer.dumps(content))
    client.token = desk.sessions.token(session)
    return client


def token_of(page):
    return re.search(r'name="token" value="(\w+)"', page.text)[1]


def log_in(app, name, password=PASSWORD, to="/"):
    client = TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)
    token = token_of(client.get("/login"))
    return client, client.post("/login", data={"name": name, "password": password, "token": token, "to": to})


def test_every_route_stands_in_the_table_and_every_line_of_the_table_is_a_route(app):
    routes = [route for module in PAGES for route in module.router.routes]
    assert {(method, route.path) for route in routes for method in route.methods} == set(permissions.ROUTES)
    assert client_of(app, "admin").get("/openapi.json").status_code == 404
    assert client_of(app, "admin").get("/docs").status_code == 404


@pytest.mark.parametrize("role", ["", *accounts.ROLES])
def test_every_route_lets_in_the_roles_of_the_table_and_nobody_else(app, role):
    for (method, path), roles in permissions.ROUTES.items():
        client = client_of(app, role)
        address = path.replace(":path", "").format(run="no-run", name="nobody", version=1, customer="x", product="x")
        data = {"token": client.token} if method == "POST" else None
        answer = client.request(method, address, data=data)
        if roles is permissions.TO_ALL or role in roles:
            assert answer.status_code not in (401, 403), (method, path)
        elif role:
            assert answer.status_code == 403, (method, path)
        else:
            assert answer.status_code in (303, 401), (method, path)
            assert method == "POST" or answer.headers["location"].startswith("/login?to=/")


def test_every_answer_forbids_what_a_page_of_ours_never_does(app):
    for address in ("/login", "/nowhere", "/desk.css"):
        headers = client_of(app).get(address).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"


def test_a_session_that_was_planted_before_the_log_in_is_worth_nothing_after_it(app):
    client = TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)
    token = token_of(client.get("/login"))
    planted = client.cookies[COOKIE]
    answer = client.post("/login", data={"name": "viewer", "password": PASSWORD, "token": token})
    assert answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    assert client.cookies[COOKIE] != planted
    assert client.get("/").status_code == 200
    other = TestClient(app, base_url="http://127.0.0.1", follow_redirects=False, cookies={COOKIE: planted})
    assert other.get("/").status_code == 303


def test_a_form_without_the_token_of_its_session_or_of_another_site_is_refused(app):
    client, other = client_of(app, "admin"), client_of(app, "admin")
    data = {"name": "New", "roles": ["viewer"]}
    assert client.post("/accounts", data=data).status_code == 403
    assert client.post("/accounts", data={**data, "token": other.token}).status_code == 403
    ours = {**data, "token": client.token}
    assert client.post("/accounts", data=ours, headers={"origin": "http://evil.example"}).status_code == 400
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    assert "New" not in accounts.read(app.state.desk.home)


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_a_log_in_leads_to_no_other_site(to):
    assert entrance.local(to) == "/"
    assert entrance.local("/campaigns/campaign-双十一-1") == "/campaigns/campaign-双十一-1"


def test_five_wrong_passwords_lock_the_account_for_a_quarter_of_an_hour(app, home, monkeypatch):
    accounts.accept(home, accounts.invite(home, "Locke", ["viewer"]), "", PASSWORD)
    for _ in range(accounts.WRONG_PASSWORDS):
        assert log_in(app, "Locke", "wrong")[1].status_code == 403
    _, refused = log_in(app, "Locke")
    assert refused.status_code == 403
    assert "locked" in refused.text
    later = time.time() + accounts.LOCKED_S + 1
    monkeypatch.setattr(accounts.time, "time", lambda: later)
    assert accounts.check(home, "Locke", PASSWORD) == ""
    assert accounts.check(home, "Nobody", PASSWORD) == "wrong"


def test_after_a_log_out_a_copied_cookie_is_worth_nothing(app, home):
    accounts.accept(home, accounts.invite(home, "Lea", ["viewer"]), "", PASSWORD)
    client, _ = log_in(app, "Lea")
    copied = client.cookies[COOKIE]
    client.post("/logout", data={"token": token_of(client.get("/"))})
    again = TestClient(app, base_url="http://127.0.0.1", follow_redirects=False, cookies={COOKIE: copied})
    assert again.get("/").status_code == 303


def test_the_first_account_has_every_role_and_its_link_works_once(tmp_path):
    assert not accounts.on(tmp_path)
    old, secret = accounts.invite_first(tmp_path), accounts.invite_first(tmp_path)
    assert accounts.invited(tmp_path, old) is None
    with pytest.raises(InputError, match="password: 10 characters"):
        accounts.accept(tmp_path, secret, "Ada", "short")
    assert accounts.accept(tmp_path, secret, "Ada", PASSWORD) == "Ada"
    assert accounts.on(tmp_path)
    assert accounts.read(tmp_path)["Ada"]["roles"] == list(accounts.ROLES)
    assert PASSWORD not in accounts.path(tmp_path).read_text()
    assert accounts.path(tmp_path).stat().st_mode & 0o077 == 0
    with pytest.raises(InputError, match="used already"):
        accounts.accept(tmp_path, secret, "Eve", PASSWORD)
    with pytest.raises(InputError, match="somebody has to be admin"):
        accounts.set_roles(tmp_path, "Ada", ["viewer"])


def test_what_others_wrote_is_shown_and_never_run(app):
    marketer, auditor = client_of(app, "marketer"), client_of(app, "auditor")
    for client, address in ((marketer, "/campaigns"), (marketer, f"/campaigns/{RUN}"), (auditor, "/record")):
        page = client.get(address, params={"text": HOSTILE} if address == "/record" else None)
        assert page.status_code == 200
        assert HOSTILE not in page.text
        assert "&lt;script&gt;" in page.text


def test_a_plan_shows_its_figures_and_what_limits_it_and_only_who_may_decides(app):
    page = client_of(app, "marketer").get(f"/campaigns/{RUN}").text
    for words in ("3, with 3 customers", "email is full: 3 of 3 contacts", "The budget is used up", "unsubscribed"):
        assert words in page
    assert "Approve and export" in page
    assert "Approve and export" not in client_of(app, "viewer").get(f"/campaigns/{RUN}").text
    assert "Look and decide" in client_of(app, "marketer").get("/").text


def test_a_decision_needs_the_plan_as_it_was_shown_a_reason_to_refuse_and_prefect(app, home):
    client = client_of(app, "marketer")
    digest = export.digest(home / ".nightmarket/undecided" / RUN)

    def decide(**given):
        answer = client.post(f"/campaigns/{RUN}/decide", data={"token": client.token, "digest": digest, **given})
        assert answer.status_code == 422
        return answer.text

    assert "changed since you opened this page" in decide(approve="yes", digest="0" * 64)
    assert "say why it is refused" in decide(approve="no")
    assert "Prefect does not answer" in decide(approve="yes")
    assert not [row for row in journal.rows(home) if row["what"] == "approved"]


def test_above_a_set_budget_somebody_else_than_who_planned_it_approves(app, home):
    client, plan = client_of(app, "marketer"), f"/campaigns/{RUN}"
    given = {"token": client.token, "approve": "yes", "digest": export.digest(home / ".nightmarket/undecided" / RUN)}
    params = home / "params.yaml"
    params.write_text("plan: {budget: 10}\ndesk: {second_person_above: 0.2}\n")
    assert "nobody knows who planned this" in client.post(f"{plan}/decide", data=given).text
    journal.append(home, campaigns.PLANNED, "marketer", name="spring", flow_run="5" * 32)
    assert "you planned it" in client.post(f"{plan}/decide", data=given).text
    assert "Approve and export" not in client.get(plan).text
    accounts.set_roles(home, "viewer", ["marketer"])
    try:
        assert "Approve and export" in client_of(app, "viewer").get(plan).text
    finally:
        accounts.set_roles(home, "viewer", ["viewer"])
    params.write_text("plan: {budget: 10}\ndesk: {second_person_above: 0.3}\n")
    assert "Prefect does not answer" in client.post(f"{plan}/decide", data=given).text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "../up"}, "name: letters, digits"),
        ({"name": "autumn"}, "exports/autumn is there already"),
        ({"budget": "much"}, "budget: give a number"),
        ({"start": "2026-12-09", "end": "2026-12-01"}, "lies before the start"),
        ({"channels": ["pigeon"]}, "no channel &#39;pigeon&#39;"),
        ({"offer_kind": "discount", "category": "FRUIT"}, "needs a discount"),
        ({"offer_kind": "discount", "discount": "20"}, "name either a category or products"),
        ({}, "Prefect does not answer"),
    ],
)
def test_a_plan_that_cannot_be_made_is_said_at_once_and_the_form_keeps_what_was_typed(app, given, said):
    client = client_of(app, "marketer")
    page = client.post("/plan", data={"token": client.token, "name": "winter", "budget": "25", **given})
    assert page.status_code == 422
    assert said in page.text
    assert f'value="{given.get("name", "winter")}"' in page.text


def test_a_text_is_edited_under_the_guard_and_what_it_refuses_stays_in_the_form(app, home):
    client, held = client_of(app, "marketer"), home / ".nightmarket/undecided" / RUN
    brief = edited.messages(held)[0]["brief"]
    address = f"/campaigns/{RUN}/texts"
    assert "at most 140 characters" in client.get(address, params={"brief": brief}).text
    given = {"token": client.token, "brief": brief}
    page = client.post(address, data={**given, "text-sms": "Bananas are free today"})
    assert page.status_code == 422
    assert "Bananas are free today" in page.text
    assert "Not kept" in page.text
    answer = client.post(address, data={**given, "text-sms": "Bananas for you. Corner Market"})
    assert answer.status_code == 303, re.sub("<[^>]+>", " ", answer.text)
    assert edited.messages(held)[0]["texts"] == {"sms": "Bananas for you. Corner Market"}
    assert journal.rows(home)[-1]["texts"] == {"sms": "Bananas for you. Corner Market"}


def test_a_customer_is_found_by_the_shops_id_and_who_looked_is_on_record_without_it(app, home):
    client = client_of(app, "marketer")
    answer = client.post("/customers", data={"token": client.token, "customer": " Li-1 "})
    page = client.get(answer.headers["location"])
    for words in ("2 visits, 1 products", "again", "&lt;script&gt;", "2017-12-31"):
        assert words in page.text
    row = journal.rows(home)[-1]
    assert (row["what"], row["who"], row["customer"]) == (
        "looked at a customer", "marketer", digest(Visitors().names("Li-1").present)
    )  # fmt: skip
    assert "Li-1" not in journal.path(home).read_text()
    assert client.post("/customers", data={"token": client.token, "customer": "Nobody"}).status_code == 422
    assert "3" in client.get("/products/Bananas").text
    assert "Bananas" in client.get("/customers", params={"text": "banan"}).text


def test_only_files_that_the_receipt_names_can_be_downloaded_and_who_did_is_on_record(app, home):
    client = client_of(app, "marketer")
    for name in ("..%2F..%2Fparams.yaml", "....%2Fparams.yaml", "plan.parquet", "%2Fetc%2Fpasswd"):
        assert client.get(f"/campaigns/{DONE}/files/{name}").status_code == 404
    answer = client.get(f"/campaigns/{DONE}/files/send.csv")
    assert answer.text == "customer_id\nc1\n"
    assert journal.rows(home)[-1]["what"] == "downloaded"
    assert journal.rows(home)[-1]["who"] == "marketer"


def test_who_asks_gets_everything_that_is_held_about_them_and_who_took_it_is_on_record(app, home):
    client, name = client_of(app, "auditor"), Visitors().names("Li-1").present
    file = client.get(f"/customers/{name}/held").json()
    tables = file["tables"]
    assert len(tables[catalogue.PURCHASES.path.as_posix()]) == 2  # under the number of the night
    assert tables[catalogue.RECOMMENDATIONS.path.as_posix()][0]["reason"] == "again"
    assert tables["artifacts/validate/clean/customers.parquet"][0]["consent"] == HOSTILE
    assert journal.rows(home)[-1]["customer"] == digest(name)
    assert client.get(f"/customers/{'0' * 32}/held").status_code == 404


def test_a_customer_is_forgotten_only_where_their_id_is_typed_once_more(app, home, monkeypatch):
    took = home / "took.txt"
    monkeypatch.setattr(people, "FORGET", ("sh", "-c", f"cat > {took}; exit 1"))
    client, name = client_of(app, "auditor"), Visitors().names("Li-1").present
    address = f"/customers/{name}/forget"
    refused = client.post(address, data={"token": client.token, "own_id": "Wang-2"})
    assert refused.status_code == 422
    assert "nothing was done" in refused.text
    answer = client.post(address, data={"token": client.token, "own_id": " Li-1"})
    assert "being forgotten" in client.get(answer.headers["location"]).text
    while "could not be forgotten" not in journal.rows(home)[-1]["what"]:
        time.sleep(0.01)
    assert took.read_text() == "Li-1\n"
    assert "Li-1" not in journal.path(home).read_text()


@pytest.fixture
def mailed(home):
    """An exported campaign of one contact, whose customer the shop's table knows by address."""
    folder, run = home / "exports/winter", "campaign-winter-20261102-090000"
    (home / "exports/autumn").rename(home / "autumn")  # nobody knows any more whom that contacts
    a_plan(folder)
    name = Visitors().names("Li-1").present
    row = {"customer_id": name, "channel": "email", "day": date(2026, 12, 1), "slot": "9-12", "offer": "o",
           "segment": "1", "language": "en", "expected_profit": 1.0}  # fmt: skip
    storage.write_table(pa.Table.from_pylist([row]), folder / "send.parquet")
    nobody = pa.table({"customer_id": pa.array([], pa.string()), "day": pa.array([], pa.date32())})
    storage.write_table(nobody, folder / "holdout.parquet")
    storage.write_table(pa.table({"customer_id": [name], "arm": ["send"]}), folder / "eligible.parquet")
    said = {"known": False, "listed": False, "ground": "x", "min_age": 18, "channels": ["email"]}
    storage.write_json({**storage.read_json(folder / export.SUMMARY), "consent": said}, folder / export.SUMMARY)
    text = {"brief": "1|o", "segment": "1", "offer": "o", "channel": "email", "locale": "en", "place": 1}
    texts = [{**text, "form": form, "text": HOSTILE, "writer": "template"} for form in ("subject", "body")]
    storage.write_table(pa.Table.from_pylist(texts), folder / export.TEXTS)
    receipt = {"run": run, "exported_at": "2026-11-02T09:00:00+00:00", "files": {"send.parquet": {}}}
    storage.write_json(receipt, folder / "receipt.json")
    line = {"at": "2026-11-02T09:00:00+00:00", "flow": "campaign", "decision": "exported", "name": "winter", "run": run}
    records.append(home / ".nightmarket/decisions.jsonl", line)
    (home / "book.csv").write_text("id,mail\nLi-1,li@example.com\n")
    kept = (home / "params.yaml").read_text()
    book = {"file": "book.csv", "customer": "id", "columns": {"email": "mail"}}
    storage.write_json({"plan": {"budget": 10}, "desk": {"addresses": book}}, home / "params.yaml")
    yield run
    (home / "params.yaml").write_text(kept)
    shutil.rmtree(folder)
    (home / "autumn").rename(home / "exports/autumn")


def test_a_marketer_downloads_what_the_mail_tool_takes_and_takes_the_campaign_back(app, home, mailed):
    client = client_of(app, "marketer")
    assert f"/campaigns/{mailed}/mail?channel=email" in client.get(f"/campaigns/{mailed}").text
    assert "1 contacts go out" in client.get(f"/campaigns/{mailed}/mail?channel=email").text
    file = client.get(f"/campaigns/{mailed}/mail/file", params={"channel": "email", "tool": "mautic"})
    assert '"li@example.com"' in file.text
    assert f'"{HOSTILE}"' in file.text  # as it was approved
    row = journal.rows(home)[-1]
    assert (row["what"], row["file"], row["contacts"], row["addresses"]) == (
        "downloaded",
        "email-mautic-1.csv",
        1,
        True,
    )
    assert "li@example.com" not in journal.path(home).read_text()
    for params in ({"channel": "sms", "tool": "mautic"}, {"channel": "../x", "tool": "generic"}):
        assert client.get(f"/campaigns/{mailed}/mail/file", params=params).status_code == 404
    assert client.get(f"/campaigns/{mailed}/mail/file?channel=email&tool=../etc").status_code == 422
    given = {"token": client.token, "channel": "email"}
    assert "desk.handover names no" in client.post(f"/campaigns/{mailed}/handover", data=given).text
    assert client.post(f"/campaigns/{mailed}/stop", data={"token": client.token, "why": " "}).status_code == 422
    answer = client.post(f"/campaigns/{mailed}/stop", data={"token": client.token, "why": "wrong price"})
    page = client.get(answer.headers["location"]).text
    assert "Taken back by marketer" in page
    assert "taken back" in client.get("/campaigns").text
    refused = client.get(f"/campaigns/{mailed}/mail/file", params={"channel": "email", "tool": "generic"})
    assert refused.status_code == 422
    assert "winter was stopped by marketer" in refused.text


def test_a_line_of_the_record_that_was_changed_or_taken_out_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTMARKET_HOME", raising=False)
    for number in range(4):
        journal.append(tmp_path, "looked", "Li", number=number)
    assert main(["check"]) == 0
    assert f"4 lines, each as it was written; the last bears {journal.rows(tmp_path)[-1]['sha256']}" in (
        capsys.readouterr().out
    )
    file = journal.path(tmp_path)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines).replace('"number": 2', '"number": 7'))
    assert main(["check"]) == 1
    assert "line 3 was changed" in capsys.readouterr().err
    file.write_text("".join(lines[:1] + lines[2:]))
    assert journal.broken(tmp_path) == 2


def test_every_text_of_the_templates_is_there_in_chinese(app):
    code = "".join(path.read_text() for path in TEMPLATES.glob("*.html"))
    texts = {first or second for first, second in re.findall(r"""\bt\((?:"([^"]+)"|'([^']+)')""", code)}
    assert not {text for text in texts if text not in visit.CHINESE and text != "By "}
    page = client_of(app, "marketer").get("/", headers={"accept-language": "zh-CN,zh;q=0.9,en;q=0.5"}).text
    assert '<html lang="zh-CN">' in page
    assert "等待处理" in page
    client = client_of(app, "marketer")
    client.post("/language", data={"language": "zh", "token": client.token})
    assert "营销活动" in client.get("/campaigns").text


def test_the_record_is_searched_in_every_column(app):
    client = client_of(app, "auditor")
    page = client.get("/record", params={"text": "approved by li"}).text
    assert "campaign autumn: exported" in page
    assert "1 entries" in page


@pytest.mark.parametrize(("target", "orders"), [("purchase", 3), ("view", None), ("any", None)])
def test_looks_are_no_orders_in_a_shop_that_records_no_purchases(home, target, orders):
    window = Window.after(17_500)
    windows = Windows(window, (), (), window, window, 17_000, 17_531, "2018-01-01", "UTC", target)
    trade = night._trade(home, windows)
    assert (trade and trade.week.orders) == orders


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("25", 25.0), (" 150,50 ", 150.5), ("1,500.25", 1500.25), ("1.500,25", 1500.25), ("0,5", 0.5), ("1 500", 1500.0)],
)
def test_a_number_of_a_form_is_read_in_anybodys_notation(typed, meant):
    assert planning.number("budget", typed) == meant


@pytest.mark.parametrize("typed", ["1,500", "1.500", "much", "", "nan", "inf"])
def test_a_number_that_may_be_two_or_is_none_is_refused(typed):
    with pytest.raises(InputError, match="budget: "):
        planning.number("budget", typed)

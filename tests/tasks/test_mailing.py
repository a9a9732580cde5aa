"""What a mail tool gets of an exported campaign: addresses, moments, texts; nobody twice, nobody against their word."""

import csv
import datetime
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow as pa
import pytest

from nightmarket.contracts import InputError
from tasks.campaigns import addresses, exported, handover, mailing, stopping
from tasks.files import catalogue, records, storage
from tasks.privacy.pseudonyms import Pseudonyms, customer_keys

DAY = datetime.date(2026, 12, 1)
CONSENT = {"known": False, "listed": False, "ground": "told at purchase", "min_age": 18, "channels": ["email", "sms"]}
BOOK = """会员号,E-Mail,Mobile
1,ann@example.com,+49 30 123456
2, Family@Example.com ,0049 (30) 123456
3,family@example.com,13800138000
4,nonsense,12
5,held@example.com,030/999999
6,held@example.com,
"""
PARAMS = {
    "snapshot": {"source": "demo"},
    "desk": {
        "addresses": {"file": "book.csv", "customer": "会员号", "columns": {"email": "E-Mail", "sms": "Mobile"}},
        "handover": "MAIL_TOOL",
    },
}


def contact(customer, day=DAY, channel="email", slot="9-12", language="en", segment="1", offer="o"):
    row = {"customer_id": customer, "channel": channel, "day": day, "slot": slot, "offer": offer}
    return row | {"segment": segment, "language": language, "expected_profit": 1.0}


def write(folder, sent, held=(), most=2):
    """exports/NAME of customers by the shop's own ids."""
    rows = [row | {"customer_id": named(row["customer_id"])} for row in sent]
    storage.write_table(pa.Table.from_pylist(rows), folder / "send.parquet")
    nobody = pa.table({"customer_id": pa.array([], pa.string()), "day": pa.array([], pa.date32())})
    storage.write_table(nobody, folder / "holdout.parquet")
    arms = [(row["customer_id"], "send") for row in rows] + [(named(customer), "holdout") for customer in held]
    eligible = pa.table({"customer_id": [name for name, _ in arms], "arm": [arm for _, arm in arms]})
    storage.write_table(eligible, folder / "eligible.parquet")
    campaign = {"start": DAY.isoformat(), "days": 7, "max_per_customer": most, "max_per_week": most}
    offers = [{"name": "o", "customer_terms": {"code": "TEA20"}}]
    storage.write_json({"consent": CONSENT, "campaign": campaign, "offers": offers}, folder / "summary.json")
    storage.write_json({"exported_at": "2026-11-30T10:00:00+00:00", "run": folder.name}, folder / "receipt.json")
    texts = [
        {"brief": f"{segment}|o|{channel}|{locale}", "segment": segment, "offer": "o", "channel": channel,
         "locale": locale, "form": form, "place": 1, "text": f"{form} of {segment} in {locale}", "writer": "template"}
        for segment, locale in (("1", "en"), ("1", "zh"), ("2", "en"))
        for channel, forms in (("email", ("subject", "body")), ("sms", ("sms",)))
        for form in forms
    ]  # fmt: skip
    storage.write_table(pa.Table.from_pylist(texts), folder / "copy.parquet")


def named(customer):
    return Pseudonyms(customer_keys()).under_each_key(customer)[-1]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """One campaign of a contact each of customers 1 to 5, an address table, the snapshot's time zone."""
    monkeypatch.setenv("NIGHTMARKET_HOME", str(tmp_path))
    (tmp_path / ".nightmarket").mkdir()
    storage.write_json(PARAMS, tmp_path / "params.yaml")
    (tmp_path / "book.csv").write_text(BOOK, encoding="gb18030")
    catalogue.SNAPSHOT.at(tmp_path).write({"time_zone": "Asia/Shanghai"})
    write(tmp_path / "exports/spring", [contact(customer) for customer in "12345"], held="6")
    return tmp_path


def test_a_line_has_address_moment_text_and_code_of_its_customer(home):
    made = mailing.mailing(home, "spring", "email")
    first = made.contacts[0]
    assert (first.customer_id, first.address, first.code, first.language) == ("1", "ann@example.com", "TEA20", "en")
    assert (first.send_from, first.send_until) == ("2026-12-01T09:00+08:00", "2026-12-01T12:00+08:00")
    assert (first.subject, first.body) == ("subject of 1 in en", "body of 1 in en")
    assert made.addressed
    assert made.named


def test_an_address_of_several_counts_as_one_and_who_is_kept_back_behind_it_speaks_for_all(home):
    made = mailing.mailing(home, "spring", "email")
    assert [contact.address for contact in made.contacts] == ["ann@example.com", "family@example.com"]
    assert made.left_out == {mailing.SHARED_FULL: 1, mailing.SHARED_HELD: 1, mailing.UNUSABLE: 1}
    by_sms = [contact(customer, DAY + datetime.timedelta(14), "sms") for customer in "123"]
    write(home / "exports/text", by_sms)
    said = mailing.mailing(home, "text", "sms")
    assert [row.address for row in said.contacts] == ["+4930123456", "13800138000"]


def test_a_campaign_whose_customers_have_no_address_has_no_line_and_says_why(home):
    write(home / "exports/spring", [contact("4"), contact("1", channel="sms")])
    made = mailing.mailing(home, "spring", "email")
    assert (made.contacts, made.left_out) == ([], {mailing.UNUSABLE: 1})
    assert mailing.lines(made, "mautic").count(b"\r\n") == 1


def test_who_withdrew_since_is_left_out_with_everybody_of_the_address(home):
    (home / ".nightmarket/suppressions.csv").write_text("customer_id\n3\n")
    made = mailing.mailing(home, "spring", "email")
    assert [contact.address for contact in made.contacts] == ["ann@example.com"]
    assert made.left_out[mailing.SHARED_CLOSED] == 1
    assert made.left_out["suppressed"] == 1


def test_contacts_of_another_campaign_with_the_same_address_count_towards_the_limit(home):
    write(home / "exports/spring", [contact("2")], most=1)
    write(home / "exports/earlier", [contact("3", DAY - datetime.timedelta(3))])
    made = mailing.mailing(home, "spring", "email")
    assert made.contacts == []
    assert made.left_out == {mailing.SHARED_FULL: 1}


def test_the_second_contact_of_an_address_is_in_a_file_of_its_own_where_a_tool_has_a_line_an_address(home):
    write(home / "exports/spring", [contact("1"), contact("1", DAY + datetime.timedelta(1)), contact("5")])
    made = mailing.mailing(home, "spring", "email")
    assert made.num_waves == 2

    def rows(tool, wave=1):
        return list(csv.DictReader(io.StringIO(mailing.lines(made, tool, wave).decode())))

    assert [row["email"] for row in rows("mautic")] == ["ann@example.com", "held@example.com"]
    assert [row["Email Address"] for row in rows("mailchimp", 2)] == ["ann@example.com"]
    assert rows("mailchimp", 2)[0]["NMFROM"] == "2026-12-02T09:00+08:00"
    assert len(rows("generic")) == 3


def test_keys_are_the_same_whenever_they_are_asked_for_and_differ_by_contact(home):
    before, again = (mailing.mailing(home, "spring", "email").contacts for _ in range(2))
    assert [contact.key for contact in before] == [contact.key for contact in again]
    assert len({contact.key for contact in before}) == 2


def test_a_customers_language_and_segment_choose_the_text_and_the_offers_other_text_stands_in(home):
    sent = [contact("1", language="zh"), contact("2", segment="2", language="zh"), contact("5", segment="9")]
    write(home / "exports/spring", sent)
    bodies = {row.customer_id: row.body for row in mailing.mailing(home, "spring", "email").contacts}
    assert bodies == {"1": "body of 1 in zh", "2": "body of 1 in zh", "5": "body of 1 in en"}
    write(home / "exports/other", [contact("1", offer="unwritten")])
    assert mailing.mailing(home, "other", "email").left_out == {mailing.NO_TEXT: 1}


def test_without_a_table_of_addresses_lines_bear_the_shops_ids_where_its_customers_are_at_hand(home):
    (home / "tables").mkdir()
    (home / "tables/customers.csv").write_text("customer_id\n1\n2\n3\n=4\n5\n")
    storage.write_json({"snapshot": {"source": "folder", "folder": "tables"}}, home / "params.yaml")
    write(home / "exports/spring", [contact("1"), contact("=4")])
    made = mailing.mailing(home, "spring", "email")
    assert (made.addressed, made.named) == (False, True)
    lines = mailing.lines(made, "generic").decode()
    assert "address" not in lines.split("\r\n")[0]
    assert '"\'=4"' in lines
    assert mailing.lines(made, "generic", excel=True).startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"file": "none.csv"}, "none.csv"),
        ({"customer": "id"}, "has no column 'id'"),
        ({"columns": {"email": "Mail"}}, "has no column 'Mail'"),
        ({"customer": "Mobile"}, "none of the customers of this campaign"),
    ],
)
def test_a_table_that_cannot_be_used_is_said_in_one_line(home, change, said):
    params = {"snapshot": PARAMS["snapshot"], "desk": {"addresses": PARAMS["desk"]["addresses"] | change}}
    storage.write_json(params, home / "params.yaml")
    with pytest.raises(InputError, match=said) as raised:
        mailing.mailing(home, "spring", "email")
    assert "ann@example.com" not in str(raised.value)


def test_numbers_beside_an_empty_cell_stay_whole():
    for cells in ([13800138000.0, None], [13800138000.0, float("nan")]):
        assert addresses._texts(pa.array(cells, pa.float64())) == ["13800138000", None]


@pytest.mark.parametrize(
    ("text", "channel", "right"),
    [
        ("mailto: Ann@Example.COM ", "email", "ann@example.com"),
        ("=cmd@example.com", "email", ""),
        ("ann@example", "email", ""),
        ("ann@a.com, bob@b.com", "email", ""),
        ("１３８ ００１３ ８０００", "sms", "13800138000"),
        ("+49-30/12 34 56", "sms", "+4930123456"),
        ("n/a", "sms", ""),
        ("device:AbC", "push", "device:AbC"),
        ("Ann@Example.com", "E-Mail", "ann@example.com"),
        ("nonsense", "Mail", ""),
        ("Ann@Example.com", "crm", "ann@example.com"),
        ("+49 30 123456", "短信", "+4930123456"),
        ("+49 30 123456", "SMS", "+4930123456"),
    ],
)
def test_an_address_is_read_as_people_write_it(text, channel, right):
    assert addresses.usable(text, channel) == right


def test_a_campaign_that_was_taken_back_hands_out_nothing_and_counts_no_more(home, capsys):
    assert stopping.main(["spring", "--why", "wrong price", "--who", "Li"]) == 0
    for ask in (mailing.mailing,):
        with pytest.raises(InputError, match="spring was stopped by Li"):
            ask(home, "spring", "email")
    [line] = records.rows(home / ".nightmarket/decisions.jsonl")
    assert (line["decision"], line["name"], line["who"], line["why"]) == ("taken_back", "spring", "Li", "wrong price")
    assert stopping.main(["spring", "--why", "wrong price"]) == 2
    assert stopping.main(["autumn", "--why", "wrong price"]) == 2
    assert stopping.main(["spring", "--why", " "]) == 2


@pytest.mark.parametrize(("stopped", "sent", "held"), [(-1, 0, 0), (0, 1, 1), (9, 2, 1)])
def test_of_a_campaign_that_was_stopped_what_may_have_gone_out_by_then_counts(home, stopped, sent, held):
    write(home / "exports/spring", [contact("1"), contact("2", DAY + datetime.timedelta(2))], held="6")
    at = f"{DAY + datetime.timedelta(stopped)}T08:00:00+00:00"
    storage.write_json({"at": at, "who": "", "why": "x"}, home / "exports/spring/stopped.json")
    [campaign] = exported.exported(home)
    assert (len(campaign.sent), len(campaign.held)) == (sent, held)


class Tool(ThreadingHTTPServer):
    """A mail tool that answers with what a test wants, then takes everything."""

    def __init__(self, *answers):
        self.answers, self.got = list(answers), []
        super().__init__(("127.0.0.1", 0), Taking)
        self.url = f"http://127.0.0.1:{self.server_port}/import?token=secret"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Taking(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        status = self.server.answers.pop(0) if self.server.answers else 200
        self.server.got.append((status, self.headers["idempotency-key"], body))
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def tool():
    started = []

    def start(*answers):
        started.append(Tool(*answers))
        return started[-1]

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def test_contacts_are_posted_once_whatever_fails_in_between(home, tool, monkeypatch):
    monkeypatch.setattr(handover, "PIECE", 1)
    made = mailing.mailing(home, "spring", "email")
    server, pauses = tool(503, 200, 400), []
    came = handover.hand_over(home, "spring", made, server.url, "Li", pauses.append)
    assert (came.now, came.why) == (1, "the mail tool answered 400")
    assert pauses == [1.0]
    assert server.got[0][1] == server.got[1][1]  # the same piece bears the same key
    again = handover.hand_over(home, "spring", made, server.url, "Li", pauses.append)
    assert (again.before, again.now, again.why) == (1, 1, "")
    assert handover.hand_over(home, "spring", made, server.url, "Li").now == 0
    taken = [row["key"] for status, _, body in server.got if status == 200 for row in body["contacts"]]
    assert taken == [contact.key for contact in made.contacts]
    assert server.got[-1][2]["contacts"][0]["address"] == "family@example.com"
    kept = (home / ".nightmarket/handed-over/spring-email.jsonl").read_text()
    assert "example.com" not in kept


def test_a_tool_that_is_not_there_is_said_without_its_address(home, monkeypatch):
    made = mailing.mailing(home, "spring", "email")
    came = handover.hand_over(home, "spring", made, "http://127.0.0.1:9/import?token=secret", "Li", lambda _: None)
    assert came.why == "the mail tool does not answer (ConnectError)"
    monkeypatch.delenv("MAIL_TOOL", raising=False)
    for variable in (None, "MAIL_TOOL"):
        with pytest.raises(InputError, match=r"desk\.handover"):
            handover.address(variable)

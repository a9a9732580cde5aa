"""An exported campaign as mail tools import it: one line per contact with its address, moment, text and code.

reads   exports/NAME/send.parquet, copy.parquet, summary.json, eligible.parquet, and those of other campaigns
        the shop's lists of who may not be contacted, and its table of addresses, at this very moment

Nothing is written: whoever asks gets the lines. An address that several customers share counts as one: who withdrew
consent on it, is kept back behind it or has had enough contacts on it speaks for all. The same contact bears the same
key whenever it is asked for, so that a tool which knows the key sends nothing twice.
"""

import csv
import hashlib
import hmac
import io
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from nightmarket.contracts import InputError
from nightmarket.delivery import consent
from nightmarket.delivery.timing import WEEK, slots
from tasks.campaigns import addresses, control, edited, export, exported, withdrawals
from tasks.campaigns.exported import ExportedCampaign
from tasks.files import catalogue, storage
from tasks.pipeline import settings
from tasks.privacy.pseudonyms import customer_keys

MailTool = Literal["generic", "mautic", "mailchimp"]
TOOLS: dict[MailTool, dict[str, str]] = {
    "generic": {},
    "mautic": {
        "address": "email", "key": "nightmarket_key", "customer_id": "nightmarket_customer",
        "campaign": "nightmarket_campaign", "send_from": "nightmarket_send_from",
        "send_until": "nightmarket_send_until", "subject": "nightmarket_subject", "body": "nightmarket_body",
        "code": "nightmarket_code", "language": "preferred_locale",
    },
    "mailchimp": {
        "address": "Email Address", "key": "NMKEY", "customer_id": "NMID", "campaign": "Tags", "send_from": "NMFROM",
        "send_until": "NMUNTIL", "subject": "NMSUBJECT", "body": "NMBODY", "code": "NMCODE", "language": "Language",
    },
}  # fmt: skip
"""Tool → {our column: its column}; an import of contacts has one line an address, so a later contact of the same
address is in the file of a later wave."""
TELEPHONE = {"mautic": "mobile", "mailchimp": "SMS Phone Number"}
"""What the address's column is called on a channel of telephone numbers."""
SUBJECTS = ("subject",)
NO_ADDRESS, UNUSABLE, NO_TEXT = "no address", "what stands there is no address", "no text was written for their group"
SHARED_CLOSED = "the address is also somebody's who may not be contacted"
SHARED_HELD = "the address is also somebody's who is kept back"
SHARED_FULL = "the address has as many contacts as one may get"
Reasons = Counter[str]
Behind = dict[str, frozenset[str]]
"""Place → pseudonyms."""


@dataclass(frozen=True)
class Contact:
    """One line.

    key         the same for the same contact of an address, whenever it is asked for: 32 hex digits
    send_from, send_until   ISO with the shop's offset
    wave        1 for the first contact of an address in this campaign, 2 for the next one
    """

    key: str
    customer_id: str
    address: str
    send_from: str
    send_until: str
    subject: str
    body: str
    code: str
    offer: str
    language: str
    campaign: str
    wave: int = 1


@dataclass(frozen=True)
class Mailing:
    """The contacts of one channel in the order in which they go out, and how many fell by reason.

    named       whether every customer stands under the shop's own id
    addressed   whether the shop names a table of addresses for the channel
    """

    channel: str
    contacts: list[Contact]
    left_out: Reasons = field(default_factory=Counter)
    named: bool = True
    addressed: bool = False

    @property
    def num_waves(self) -> int:
        """As many as the address with most contacts has."""
        return max((contact.wave for contact in self.contacts), default=1)


def channels(folder: Path) -> dict[str, int]:
    """{channel: contacts} of an export."""
    counts = pc.value_counts(storage.read_table(folder / "send.parquet", ["channel"])["channel"]).to_pylist()
    return {str(row["values"]): row["counts"] for row in counts}


def mailing(home: Path, name: str, channel: str) -> Mailing:
    """What goes out on a channel, asked of every list anew.

    Raises InputError for an unknown export or channel, one that was stopped, and lists or addresses that cannot be
    read.
    """
    export.check_name(name)
    folder = home / exported.EXPORTS / name
    exported.check_not_stopped(folder)
    sent = catalogue.CONTACTS.at(folder).path.with_name("send.parquet")
    frame = storage.read_table(sent).to_pandas()
    frame = frame[frame["channel"] == channel].sort_values(
        ["day", "slot", "expected_profit"], ascending=[True, True, False]
    )
    if frame.empty:
        raise InputError(f"the campaign {name} contacts nobody by {channel}")
    summary = storage.read_json(folder / export.SUMMARY)
    consent.check(summary.get("consent"))
    table = settings.desk(home / settings.PARAMS).addresses
    book = addresses.read(home, table, channel, frame["customer_id"].unique().tolist())
    left_out: Reasons = Counter()
    frame = _reachable(frame, book, left_out)
    behind = _behind(frame, book)
    campaigns = exported.exported(home)
    frame = _permitted(home, frame, behind, summary, channel, left_out)
    frame = _not_kept_back(home, name, frame, behind, campaigns, left_out)
    others = [campaign for campaign in campaigns if campaign.name != name]
    frame = _within_caps(frame, behind, others, summary["campaign"], left_out)
    contacts = [*_written(home, folder, frame, book, summary, left_out)]
    return Mailing(channel, contacts, +left_out, set(frame["customer_id"]) <= book.own.keys(), book.known)


def lines(made: Mailing, tool: MailTool, wave: int = 1, excel: bool = False) -> bytes:
    """A file that the tool imports, CSV in UTF-8; a generic one has every wave."""
    names = TOOLS[tool]
    if tool != "generic" and addresses.is_spoken(made.channel):
        names = {**names, "address": TELEPHONE[tool]}
    columns = [column for column in Contact.__dataclass_fields__ if not names or column in names]
    if not made.addressed:
        columns.remove("address")
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    writer.writerow([names.get(column, column) for column in columns])
    for contact in made.contacts:
        if tool == "generic" or contact.wave == wave:
            row = asdict(contact)
            writer.writerow([_cell(column, row[column], excel) for column in columns])
    return text.getvalue().encode("utf-8-sig" if excel else "utf-8")


def _cell(column: str, value: Any, excel: bool) -> Any:
    """An id of somebody's, and any text for Excel, as no spreadsheet takes it for a formula. A mail tool gets the texts
    as they were approved, and addresses are checked."""
    risky = isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r")
    return f"'{value}" if risky and column != "address" and (excel or column == "customer_id") else value


def _reachable(frame: pd.DataFrame, book: addresses.AddressBook, left_out: Reasons) -> pd.DataFrame:
    """With a column `place`, what stands for one addressee: the address, or the customer where no table is named."""
    if not book.known:
        return frame.assign(place=frame["customer_id"])
    places = frame["customer_id"].map(book.address)
    lost = int(places.isna().sum())
    unusable = min(book.unusable, lost)
    left_out[UNUSABLE] += unusable
    left_out[NO_ADDRESS] += lost - unusable
    return frame.assign(place=places)[places.notna()]


def _permitted(
    home: Path,
    frame: pd.DataFrame,
    behind: Behind,
    summary: Mapping[str, Any],
    channel: str,
    left_out: Reasons,
) -> pd.DataFrame:
    """Without those who may not be contacted by now, and without whoever shares an address with one of them."""
    said = summary["consent"]
    lists = withdrawals.read_again(home, set(frame["customer_id"]).union(*behind.values()), said)
    codes = lists.codes[:, [*lists.channels].index(channel)]
    code_of = dict(zip(lists.customers, codes.tolist(), strict=True))
    keep = []
    for customer, place in zip(frame["customer_id"], frame["place"], strict=True):
        allowed = all(code_of[other] == consent.ALLOWED for other in behind[place])
        if not allowed:
            own = code_of[customer]
            left_out[SHARED_CLOSED if own == consent.ALLOWED else consent.REASONS[own]] += 1
        keep.append(allowed)
    return frame[np.array(keep, bool)]


def _not_kept_back(
    home: Path,
    name: str,
    frame: pd.DataFrame,
    behind: Behind,
    campaigns: Sequence[ExportedCampaign],
    left_out: Reasons,
) -> pd.DataFrame:
    """Without addresses behind which somebody is kept back: by this campaign, another that runs, or for good."""
    days, protect = [*frame["day"]], _protect_days(home)
    held = control.inside(home, set().union(*behind.values()))
    for campaign in campaigns if days else ():
        if campaign.name == name or campaign.holds(min(days), max(days), protect):
            held |= campaign.held
    shut = {place for place, names in behind.items() if names & held}
    lost = frame["place"].isin(shut)
    left_out[SHARED_HELD] += int(lost.sum())
    return frame[~lost]


def _within_caps(
    frame: pd.DataFrame,
    behind: Behind,
    others: Sequence[ExportedCampaign],
    asked: Mapping[str, Any],
    left_out: Reasons,
) -> pd.DataFrame:
    """The earliest contacts of each address, no more than one customer may get; with a column `wave`."""
    most, weekly = asked.get("max_per_customer"), asked.get("max_per_week")
    standing = _standing(others, behind)
    taken: defaultdict[str, list[date]] = defaultdict(list)
    waves: list[int] = []
    for place, day in zip(frame["place"], frame["day"], strict=True):
        own = taken[place]
        all_days = [*own, *standing[place]]
        shared = len(behind[place]) > 1
        full = shared and (
            day in own
            or (most is not None and len(own) >= most)
            or (weekly is not None and not _fits(all_days, day, weekly))
        )
        if full:
            left_out[SHARED_FULL] += 1
        else:
            own.append(day)
        waves.append(0 if full else len(own))
    numbers = np.array(waves, np.int64)
    return frame.assign(wave=numbers)[numbers > 0]


def _fits(days: list[date], day: date, weekly: int) -> bool:
    """Whether any seven days around `day` hold at most `weekly` contacts with it."""
    starts = [day - timedelta(back) for back in range(WEEK)]
    return all(sum(start <= other < start + timedelta(WEEK) for other in days) < weekly for start in starts)


def _standing(others: Sequence[ExportedCampaign], behind: Behind) -> dict[str, list[date]]:
    """Days on which other campaigns contact somebody behind a place."""
    return {
        place: [day for campaign in others for customer in names for day in campaign.sent.get(customer, ())]
        for place, names in behind.items()
    }


def _behind(frame: pd.DataFrame, book: addresses.AddressBook) -> Behind:
    """Everybody behind each place."""
    places = dict(zip(frame["place"], frame["customer_id"], strict=True))
    return {place: book.sharing.get(place, frozenset()) | {customer} for place, customer in places.items()}


def _written(
    home: Path,
    folder: Path,
    frame: pd.DataFrame,
    book: addresses.AddressBook,
    summary: Mapping[str, Any],
    left_out: Reasons,
) -> Iterator[Contact]:
    """The lines, with the best text of each contact's group; of the same offer's other groups where it has none."""
    texts = _texts(folder)
    codes = {
        str(offer["name"]): (offer.get("customer_terms") or {}).get("code") or "" for offer in summary.get("offers", ())
    }
    hours = {slot.name: slot for slot in slots(tuple(frame["slot"].unique()))}
    zone = ZoneInfo(catalogue.SNAPSHOT.at(home).read()["time_zone"]) if catalogue.SNAPSHOT.at(home).exists() else None
    for row in frame.itertuples(index=False):
        text, language = _text_of(texts, row)
        if texts and not text:
            left_out[NO_TEXT] += 1
            continue
        day, slot = cast(date, row.day), hours[str(row.slot)]
        begins = datetime(day.year, day.month, day.day, tzinfo=zone)
        subject = next((text[form] for form in SUBJECTS if form in text), "")
        body = "\n".join(words for form, words in text.items() if form not in SUBJECTS)
        place = str(row.place)
        yield Contact(
            key=_key(folder.name, place, row),
            customer_id=book.own.get(str(row.customer_id), str(row.customer_id)),
            address=place if book.known else "",
            send_from=(begins + timedelta(hours=slot.first)).isoformat(timespec="minutes"),
            send_until=(begins + timedelta(hours=slot.last)).isoformat(timespec="minutes"),
            subject=subject,
            body=body,
            code=codes.get(str(row.offer), ""),
            offer=str(row.offer),
            language=language,
            campaign=folder.name,
            wave=int(cast(Any, row.wave)),
        )


def _texts(folder: Path) -> dict[tuple[str, str], dict[tuple[str, str], dict[str, str]]]:
    """(offer, channel) → (segment, locale) → {form: best text}."""
    table: defaultdict[tuple[str, str], dict[tuple[str, str], dict[str, str]]] = defaultdict(dict)
    for message in edited.messages(folder):
        group = table[str(message["offer"]), str(message["channel"])]
        group[str(message["segment"]), str(message["locale"])] = message["texts"]
    return dict(table)


def _text_of(
    texts: Mapping[tuple[str, str], Mapping[tuple[str, str], dict[str, str]]], row: Any
) -> tuple[dict[str, str], str]:
    """({form: text}, locale): of the customer's segment and language, else language, else segment, else any."""
    groups = texts.get((str(row.offer), str(row.channel)), {})
    language = getattr(row, "language", None)
    language = language if isinstance(language, str) else ""
    if not groups:
        return {}, language
    best = min(groups, key=lambda group: (bool(language) and group[1] != language, group[0] != row.segment, group))
    return groups[best], best[1]


def _key(name: str, place: str, row: Any) -> str:
    """By the first of the shop's own keys, so that nobody else can find out whose contact it is."""
    about = "|".join((name, place, str(row.channel), str(row.day), str(row.slot)))
    return hmac.new(customer_keys()[0], about.encode(), hashlib.sha256).hexdigest()[:32]


def _protect_days(home: Path) -> int | None:
    plan: Any = settings.load("plan", home / settings.PARAMS)
    return cast("int | None", plan.protect_holdouts)

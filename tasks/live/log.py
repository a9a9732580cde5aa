"""The live site's log: events, lists that were shown, stock, and products, in one SQLite file of many processes.

.nightmarket/live/log.db   in WAL mode; a transaction is on disk before its events are acknowledged

Customers and visits stand in it under keyed hashes, see `tasks.live.visitors`. Rows are numbered in the order in which
they were written, for whoever reads on from where they stopped.
"""

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tasks.files import storage
from tasks.live.products import ProductRow

PATIENCE_S = 2.0
"""How long a writer waits for another one."""
MOST_EVENTS, MOST_LISTS = 200, 30
"""Of a visitor, that count for an answer: the last ones."""
SCHEMA = """
create table if not exists events(
    seq integer primary key autoincrement, id blob not null unique, customer text, session text, product text,
    at integer not null, kind text not null, quantity real, value real, discount real, coupon real, basket text,
    channel text, generation integer not null);
create index if not exists events_customer on events(customer, seq) where customer is not null;
create index if not exists events_session on events(session, seq) where session is not null;
create table if not exists visits(
    session text not null, customer text not null, seq integer not null, generation integer not null,
    primary key (session, customer)) without rowid;
create index if not exists visits_customer on visits(customer);
create table if not exists lists(
    seq integer primary key autoincrement, request text not null unique, customer text, session text,
    at integer not null, version text not null, step text not null, arm text, products text not null,
    generation integer not null);
create index if not exists lists_customer on lists(customer, seq) where customer is not null;
create index if not exists lists_session on lists(session, seq) where session is not null;
create table if not exists stock(product text primary key, units real not null, at integer not null) without rowid;
create index if not exists stock_at on stock(at);
create table if not exists products(
    seq integer primary key autoincrement, product text not null unique, content text not null, at integer not null);
create table if not exists offers(
    seq integer primary key autoincrement, id blob not null unique, customer text not null, campaign text, offer text,
    channel text not null, planned integer, at integer not null, day integer not null, hour real not null,
    value real not null, cost real not null, propensity real not null, served integer not null,
    generation integer not null);
create index if not exists offers_customer on offers(customer, seq);
create index if not exists offers_paced on offers(campaign, channel, day, seq) where campaign is not null;
"""
LAYOUT = 3
"""Of the tables; a log of an older one is given those that it lacks."""
NAMED = ("events", "visits", "lists", "offers")
"""Tables that name customers."""


class EventRow(NamedTuple):
    """An event as it is written.

    id          `Visitors.event` of the site's own, by which it is written once
    at          microseconds since 1970-01-01, UTC
    generation  how many keys there were when its customer was hashed
    """

    id: bytes
    customer: str | None
    session: str | None
    product: str | None
    at: int
    kind: str
    quantity: float | None
    value: float | None
    discount: float | None
    coupon: float | None
    basket: str | None
    channel: str | None
    generation: int


class ListRow(NamedTuple):
    """A list that was shown; products: JSON, [[product, propensity or null], …] from the first place on."""

    request: str
    customer: str | None
    session: str | None
    at: int
    version: str
    step: str
    arm: str | None
    products: str
    generation: int


class OfferRow(NamedTuple):
    """What a customer who asked was made, or that they were made nothing.

    campaign, offer, planned  None where no campaign has anything for them; planned: the day it was planned for
    day, hour    of the shop, days since 1970-01-01
    value, cost  expected, currency
    propensity   chance that the customer is in the arm that is contacted
    served       0 where the pacer kept the money for later
    """

    id: bytes
    customer: str
    campaign: str | None
    offer: str | None
    channel: str
    planned: int | None
    at: int
    day: int
    hour: float
    value: float
    cost: float
    propensity: float
    served: int
    generation: int


EVENT, LIST, OFFER = EventRow._fields, ListRow._fields, OfferRow._fields
"""Columns, in the order of the rows."""


class Met(NamedTuple):
    """What a visitor did or was shown: `impression` is a product of a list that they were shown."""

    kind: str
    product: str
    at: int


def path() -> Path:
    """Where the log lies."""
    return storage.private("live", "log.db")


class LiveLog:
    """One connection; of one thread."""

    def __init__(self, place: Path | None = None, patience_s: float = PATIENCE_S) -> None:
        """Raises sqlite3.Error where it cannot be opened."""
        self.path = place or path()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(
            self.path, timeout=patience_s, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        self._connection.execute("pragma secure_delete = on")
        self._connection.execute("pragma synchronous = full")
        if self._connection.execute("pragma user_version").fetchone()[0] < LAYOUT:
            self._connection.execute("pragma journal_mode = wal")
            self._connection.executescript(f"{SCHEMA}pragma user_version = {LAYOUT};")
        self.path.chmod(0o600)
        about = self.path.stat()
        self._file = about.st_dev, about.st_ino

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _there(self) -> bool:
        """Whether the file is the one that was opened: SQLite would go on writing to one that nobody finds."""
        try:
            now = self.path.stat()
        except OSError:
            return False
        return (now.st_dev, now.st_ino) == self._file

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("begin immediate")
        try:
            yield self._connection
            storage.hook("live.written")
            self._connection.execute("commit")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("rollback")
            raise

    def append(
        self,
        events: Sequence[EventRow],
        lists: Sequence[ListRow] = (),
        stock: Sequence[tuple[str, float, int]] = (),
        products: Sequence[ProductRow] = (),
    ) -> list[bool]:
        """Write them in one transaction, on disk when this returns; per event whether it is new.

        stock  (product, units, when)

        Raises sqlite3.Error where nothing was written.
        """
        if not self._there():
            raise sqlite3.OperationalError("the file was taken away")
        with self._writing() as connection:
            new = [connection.execute(_INSERT_EVENT, row).rowcount == 1 for row in events]
            visits = {
                (row.session, row.customer): row.generation
                for row, fresh in zip(events, new, strict=True)
                if fresh and row.session and row.customer
            }
            for (session, customer), generation in visits.items():
                connection.execute(_INSERT_VISIT, (session, customer, generation))
            connection.executemany(_INSERT_LIST, lists)
            connection.executemany(_INSERT_STOCK, stock)
            connection.executemany(_INSERT_PRODUCT, products)
        storage.hook("live.committed")
        return new

    @contextmanager
    def deciding(self) -> Iterator["OfferDecisions"]:
        """Read what was decided, and write one decision more, without another process between. On disk afterwards."""
        if not self._there():
            raise sqlite3.OperationalError("the file was taken away")
        with self._writing() as connection:
            yield OfferDecisions(connection)
        storage.hook("live.committed")

    def met(self, customers: Sequence[str], session: str | None, since: int) -> list[Met]:
        """What a visitor did and was shown from a moment on, oldest first; a visit joins who logged in during it.

        customers  names of one customer; none for a guest
        since      microseconds since 1970-01-01, UTC
        """
        names, sessions = {*customers}, {session} if session else set()
        ask = self._connection.execute
        if session and not customers:
            row = ask("select customer from visits where session = ? order by seq desc limit 1", (session,)).fetchone()
            names |= {row[0]} if row else set()
        for name in names:
            sessions |= {row[0] for row in ask("select session from visits where customer = ? limit 50", (name,))}
        events: set[tuple[int, str, str, int]] = set()
        shown: set[tuple[int, str, int]] = set()
        for column, values in (("customer", names), ("session", sessions)):
            # whoever else was in a visit is another visitor
            own = "" if column == "customer" else f" and (customer is null or customer in ({_marks(names)}))"
            more = () if column == "customer" else tuple(names)
            for value in values:
                events.update(ask(_EVENTS_OF.format(column, own), (value, since, *more, MOST_EVENTS)))
                shown.update(ask(_LISTS_OF.format(column, own), (value, since, *more, MOST_LISTS)))
        met = [Met(kind, product, at) for _, kind, product, at in sorted(events)[-MOST_EVENTS:]]
        for _, products, at in sorted(shown)[-MOST_LISTS:]:
            met += [Met("impression", place[0], at) for place in json.loads(products)]
        return sorted(met, key=lambda event: event.at)

    def customer_of(self, session: str) -> str | None:
        """Who logged in during a visit, last."""
        query = "select customer from visits where session = ? order by seq desc limit 1"
        row = self._connection.execute(query, (session,)).fetchone()
        return None if row is None else str(row[0])

    def stock_version(self) -> int:
        """When the stock changed last."""
        return int(self._connection.execute("select coalesce(max(at), 0) from stock").fetchone()[0])

    def stock(self) -> dict[str, tuple[float, int]]:
        """{product: (units, when)}"""
        return {row[0]: (row[1], row[2]) for row in self._connection.execute("select product, units, at from stock")}

    def products(self, since: int = 0) -> list[tuple[int, ProductRow]]:
        """Products that were put after a number, with theirs, in the order in which they were put last."""
        query = "select seq, product, content, at from products where seq > ? order by seq"
        return [(seq, ProductRow(*row)) for seq, *row in self._connection.execute(query, (since,))]

    def last(self, table: str = "events") -> int:
        """The number of the last row; 0 without any."""
        return int(self._connection.execute(f"select coalesce(max(seq), 0) from {table}").fetchone()[0])

    def rows(self, table: str, upto: int) -> Iterator[tuple[Any, ...]]:
        """Rows up to a number in the order of writing: EVENT, LIST or OFFER; of a guest's who logged in in that visit,
        and nobody else did, that customer."""
        columns = {"events": EVENT, "lists": LIST, "offers": OFFER}[table]
        known = "t.customer" if table == "offers" else _KNOWN
        wanted = ", ".join(known if name == "customer" else f"t.{name}" for name in columns)
        yield from self._connection.execute(f"select {wanted} from {table} t where t.seq <= ? order by t.seq", (upto,))

    def held(self, name: str) -> dict[str, list[dict[str, Any]]]:
        """{table: every row that names a customer}, as text and numbers."""
        rows = {}
        for table in NAMED:
            asked = self._connection.execute(f"select * from {table} where customer = ?", (name,))
            columns = [column[0] for column in asked.description]
            rows[table] = [
                {
                    key: value.hex() if isinstance(value, bytes) else value
                    for key, value in zip(columns, row, strict=True)
                }
                for row in asked
            ]
        return rows

    def forget(self, names: Collection[str]) -> int:
        """Remove customers under any of their names, with their visits; how many rows. Nothing of them stays in the
        file or beside it."""
        with self._writing() as connection:
            sessions = {
                row[0] for name in names
                for row in connection.execute("select session from visits where customer = ?", (name,))
            }  # fmt: skip
            num = 0
            for table in NAMED:
                for name in names:
                    num += connection.execute(f"delete from {table} where customer = ?", (name,)).rowcount
                if table in ("events", "lists"):
                    for session in sessions:
                        query = f"delete from {table} where session = ? and customer is null"
                        num += connection.execute(query, (session,)).rowcount
        self._connection.execute("pragma wal_checkpoint(truncate)")
        return num

    def rename(self, generation: int, later: Callable[[str | None, int], str | None]) -> int:
        """Carry names of older keys over to the present one; how many rows. Old names stay nowhere in the file.

        later  (name, generation that it has) → the present name
        """
        with self._writing() as connection:
            connection.create_function("present_name", 2, later, deterministic=True)
            num = 0
            for table in NAMED:
                query = f"update {table} set customer = present_name(customer, generation), generation = ?1 "
                num += connection.execute(query + "where generation < ?1", (generation,)).rowcount
        self._connection.execute("pragma wal_checkpoint(truncate)")
        return num


class OfferDecisions:
    """Offers that were decided upon, inside of a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def _rows(self, where: str, *values: Any) -> list[tuple[int, OfferRow]]:
        query = f"select seq, {', '.join(OFFER)} from offers where {where} order by seq"
        return [(seq, OfferRow(*row)) for seq, *row in self._connection.execute(query, values)]

    def of(self, id: bytes) -> OfferRow | None:
        """What was decided under an id."""
        rows = self._rows("id = ?", id)
        return rows[0][1] if rows else None

    def made_to(self, names: Sequence[str]) -> list[OfferRow]:
        """Everything that a customer was made or not, under any of their names."""
        return [row for _, row in self._rows(f"customer in ({_marks(names)}) and campaign is not null", *names)]

    def since(self, seq: int, campaign: str, channel: str, day: int) -> list[tuple[int, OfferRow]]:
        """Arrivals of a day after a number."""
        return self._rows("campaign = ? and channel = ? and day = ? and seq > ?", campaign, channel, day, seq)

    def arrivals(self, campaign: str, channel: str, first: int, before: int) -> list[OfferRow]:
        """Arrivals of the days from one to before another, by day."""
        rows = self._rows("campaign = ? and channel = ? and day >= ? and day < ?", campaign, channel, first, before)
        return sorted((row for _, row in rows), key=lambda row: row.day)

    def spent(self, campaign: str, channel: str, before: int = 1 << 30) -> float:
        """What was spent, on days before one."""
        query = "select coalesce(sum(cost), 0) from offers where campaign = ? and channel = ? and served and day < ?"
        return float(self._connection.execute(query, (campaign, channel, before)).fetchone()[0])

    def write(self, row: OfferRow) -> None:
        """One more."""
        query = f"insert into offers({', '.join(OFFER)}) values ({', '.join('?' * len(OFFER))})"
        self._connection.execute(query, row)


_KNOWN = (
    "coalesce(t.customer, (select case when count(*) = 1 then min(v.customer) end from visits v "
    "where v.session = t.session)) customer"
)
_INSERT_EVENT = f"insert or ignore into events({', '.join(EVENT)}) values ({', '.join('?' * len(EVENT))})"
_INSERT_VISIT = (
    "insert or replace into visits(session, customer, seq, generation) "
    "values (?, ?, (select coalesce(max(seq), 0) from events), ?)"
)
_INSERT_LIST = f"insert or ignore into lists({', '.join(LIST)}) values ({', '.join('?' * len(LIST))})"
_INSERT_STOCK = "insert or replace into stock(product, units, at) values (?, ?, ?)"
_INSERT_PRODUCT = "insert or replace into products(product, content, at) values (?, ?, ?)"
_EVENTS_OF = (
    "select seq, kind, product, at from events where {} = ? and at >= ? and product is not null{} "
    "order by seq desc limit ?"
)
_LISTS_OF = "select seq, products, at from lists where {} = ? and at >= ?{} order by seq desc limit ?"


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values)) or "null"

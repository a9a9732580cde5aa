"""Every class of broken tables: what a retailer's export does to them."""

import shutil

import pyarrow as pa

from bench.faults.broken import (
    CELLS,
    TWO,
    Broken,
    Spoil,
    cell,
    column,
    content,
    cut,
    doubled,
    flip,
    gone,
    last,
    line,
    linked,
    parquet,
    renamed,
    repeated,
    shops,
    typed,
    without,
)


def classes() -> list[Broken]:
    """All of them, each once."""
    cells = [
        Broken(f"{table}.{name} = {value!r}", cell(table, name, value), f"{table}.csv", name, (table,))
        for table, columns in CELLS.items()
        for name, values in columns.items()
        for value in values
    ]
    return [*cells, *_columns(), *_texts(), *_rows(), *_formats(), *_folders(), *_of_shops()]


def _columns() -> list[Broken]:
    """A column that is missing, or wrong in many rows."""
    return [
        Broken("no column customer_id", without("customer_id"), column="customer_id"),
        Broken("no column product_id", without("product_id"), column="product_id"),
        Broken("no column timestamp", without("timestamp"), column="timestamp"),
        Broken("no column title", without("title", "products"), "products.csv", "title"),
        Broken("no column week", without("week", "promotions"), "promotions.csv", "week", ("promotions",)),
        Broken("two columns of one name", content(lambda file: file.replace(b"quantity", b"customer_id", 1)),
               column="customer_id"),
        Broken("leading zeros lost", column("events", "product_id", lambda value: value.lstrip("0")),
               column="product_id"),
        Broken("ids as a spreadsheet shortens them", column("events", "product_id", lambda _: "1.23457E+11"),
               column="product_id"),
        Broken("customers as a spreadsheet shortens them", column("events", "customer_id", lambda _: "4E+12"),
               column="customer_id"),
        Broken("one row in twenty of an unknown product", column("events", "product_id", lambda _: "gone", 20),
               column="product_id"),
        Broken("values all empty", column("events", "value", lambda _: ""), column="value"),
        Broken("quantities all empty", column("events", "quantity", lambda _: ""), column="quantity"),
        Broken("prices below 0", column("products", "price", lambda value: f"-{value}"), "products.csv", "price"),
        Broken("times all in the future", column("events", "timestamp", lambda value: f"2992{value[4:]}"),
               column="timestamp"),
    ]  # fmt: skip


def _texts() -> list[Broken]:
    """Encodings, and files that are no CSV."""
    chinese = "全脂牛奶 一升装 特价".encode()
    mixed = content(lambda file: _with_title(_with_title(file, 3, chinese), 4, chinese.decode().encode("gbk")),
                   "products.csv", 4)  # fmt: skip
    return [
        Broken("UTF-8 and GBK in one file", mixed, "products.csv"),
        Broken("bytes of no encoding", line(4, lambda row: b"\xff\xfe\xff" + row)),
        Broken("a NUL byte", line(7, lambda row: row[:-1] + b"\0" + row[-1:])),
        Broken("an empty file", content(lambda _: b"")),
        Broken("a header alone", content(lambda file: file.split(b"\n")[0] + b"\n")),
        Broken("a picture", content(lambda _: b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4)),
        Broken("zeros", content(lambda file: bytes(len(file)))),
        Broken("a workbook", content(lambda _: b"PK\x03\x04\x14\0\x06\0\x08\0" + bytes(range(256)) * 9)),
        Broken("a page of a website", content(lambda _: b"<!DOCTYPE html>\n<html><body>Log in</body></html>\n")),
        Broken("JSON", content(lambda _: b'[{"customer_id": "7", "product_id": "11"}]\n')),
        Broken("no header", content(lambda file: file.partition(b"\n")[2])),
        Broken("a title above the header", content(lambda file: b"Sales 2024\n\n" + file)),
        Broken("sep=, above the header", content(lambda file: b"sep=,\n" + file)),
    ]


def _with_title(file: bytes, row: int, title: bytes) -> bytes:
    lines = file.split(b"\n")
    fields = lines[row].split(b",")
    fields[lines[0].split(b",").index(b'"title"')] = title
    lines[row] = b",".join(fields)
    return b"\n".join(lines)


def _rows() -> list[Broken]:
    """Rows that are not whole, come twice or do not belong there."""
    return [
        Broken("a field too many", line(4, lambda row: row + b",x")),
        Broken("a field too few", line(4, lambda row: row.rpartition(b",")[0])),
        Broken("a comma at the end of each row", content(lambda file: file.replace(b"\n", b",\n")
                                                         .replace(b",\n", b"\n", 1), row=1)),
        Broken("an unquoted comma", line(9, lambda row: row.replace(b'"purchase"', b"purchase, cash"))),
        Broken("an unquoted line break", line(9, lambda row: row.replace(b'"purchase"', b"pur\nchase"))),
        Broken("a quote too many", line(4, lambda row: b'"' + row)),
        Broken("a quote never closed", line(4, lambda row: row.rstrip(b'"'))),
        Broken("a quote never closed in the last row", last(b'7,11,2024-01-31,"purchase,1,2.5,0,1,S1')),
        Broken("cut in the middle of a line", cut),
        Broken("a total at the end", last(b',,,,913,12345.67,,,'), column="product_id"),
        Broken("a note at the end", last(b"(2,436 rows affected)")),
        Broken("a product twice", repeated("products"), "products.csv"),
        Broken("a product twice at other prices", repeated("products", "price", "9.99"), "products.csv", "product_id"),
        Broken("a customer twice", repeated("customers"), "customers.csv", tables=("customers",)),
        Broken("a customer twice of other ages", repeated("customers", "age", "old"), "customers.csv", "customer_id",
               ("customers",)),
        Broken("a campaign twice", repeated("campaigns"), "campaigns.csv", tables=("campaigns",)),
        Broken("an offer twice at other costs", repeated("offers", "cost", "0.75"), "offers.csv", "offer_id",
               ("offers",)),
    ]  # fmt: skip


def _formats() -> list[Broken]:
    """Parquet, and other files than the contract's."""

    def typed_as(name: str, kind: pa.DataType) -> Broken:
        return Broken(f"{name} as {kind}", typed(name, lambda old: old.cast(kind)), "events.parquet", name)

    lists = typed("quantity", lambda old: pa.array([[1.0]] * len(old)))
    minutes = typed("timestamp", lambda old: old.cast(pa.timestamp("s")).cast(pa.time32("s")))
    record = typed("product_id", lambda old: pa.array([{"id": value} for value in old.to_pylist()]))
    return [
        Broken("parquet cut", parquet(_same, lambda file: file[: len(file) // 2]), "events.parquet"),
        Broken("parquet of no bytes", parquet(_same, lambda _: b""), "events.parquet"),
        Broken("parquet with a flipped bit", parquet(_same, flip), "events.parquet"),
        Broken("CSV named .parquet", renamed("events.parquet"), "events.parquet"),
        Broken("parquet named .csv", parquet(_same, name="events.csv")),
        Broken("a column of lists", lists, "events.parquet", "quantity"),
        Broken("ids in records", record, "events.parquet", "product_id"),
        Broken("times without a day", minutes, "events.parquet", "timestamp"),
        typed_as("customer_id", pa.float64()),
        typed_as("product_id", pa.float64()),
        typed_as("value", pa.bool_()),
        Broken("parquet without rows", parquet(lambda table: table.slice(0, 0)), "events.parquet"),
        Broken("a workbook alone", renamed("events.xlsx"), "events.xlsx"),
        Broken("a file of another name", renamed("sales.csv")),
        Broken("a link out of the folder", linked),
        Broken("both CSV and parquet", doubled),
    ]


def _same(table: pa.Table) -> pa.Table:
    return table


def _folders() -> list[Broken]:
    """Tables that are missing, or shrank since the last night."""
    return [
        Broken("no products", gone("products.csv"), "products.csv"),
        Broken("no events", gone("events.csv")),
        Broken("an empty folder", gone("events.csv", "products.csv"), "products.csv"),
        Broken("exposures without campaigns", gone("campaigns.csv"), "exposures.csv", tables=("exposures",)),
        Broken("a third of the rows", content(lambda file: b"\n".join(file.split(b"\n")[:800]) + b"\n"), nights=1),
        Broken("a table that came the night before", gone("reviews.csv"), "reviews", tables=("reviews",), nights=1),
        Broken("a column that the mapping names", lambda *_: None, column="paid_at",
               settings={"mapping": {"events": {"timestamp": "paid_at"}}}),
    ]  # fmt: skip


def _of_shops() -> list[Broken]:
    """Two shops, of which one is broken: its name stands before the file's."""

    def broken(name: str, spoil: Spoil, file: str = "south: events.csv", column: str = "") -> Broken:
        return Broken(f"one of two shops: {name}", shops(spoil), file, column, settings=TWO)

    return [
        broken("no folder", lambda folder, draw: shutil.rmtree(folder), "shops/south"),
        broken("no events", gone("events.csv"), "south"),
        broken("no rows", content(lambda file: file.split(b"\n")[0] + b"\n"), "events.csv of south"),
        broken("no column timestamp", without("timestamp"), column="timestamp"),
        broken("a free price", cell("products", "price", "free"), "south: products.csv", "price"),
        broken("an unknown product", cell("events", "product_id", "none"), "events.csv of south", "product_id"),
        broken("quantities below 0", column("events", "quantity", lambda _: "-1"), "south: events.csv", "quantity"),
        broken("both CSV and parquet", doubled, "south"),
    ]

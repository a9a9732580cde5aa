"""`python -m tasks.privacy.identify NAME IDS.csv --column COLUMN`: an export with the shop's own customer ids.

Consent is asked again: who withdrew it or unsubscribed since the export is left out, and counted.

A hash cannot be turned back; the shop's list of ids is hashed by its keys, old ones too, and compared. Only whoever
may read the keys can do this, and the file that it writes says who the customers are: keep it as you keep such lists.
"""

import argparse
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from nightmarket.contracts import InputError
from nightmarket.delivery import consent
from tasks.campaigns import export, exported, withdrawals
from tasks.files import storage
from tasks.files.spreadsheet import write_csv
from tasks.privacy.pseudonyms import Pseudonyms, customer_keys


def identify(
    home: Path, name: str, ids: Path, column: str, excel: bool = False, shop: str = ""
) -> tuple[Path, int, int]:
    """Write exports/NAME/send.identified.csv; returns it, how many customers of the send file are not in the list, and
    how many may no longer be contacted.

    shop  whose ids these are, where several shops keep their customers apart; the file is named after it

    Raises InputError for an unknown export, a list that cannot be read, and one that holds none of the customers.
    """
    export.check_name(name)
    if shop and not shop.isalnum():
        raise InputError("--shop takes a name of snapshot.folders: letters or digits")
    exported.check_not_stopped(home / "exports" / name)
    sent = storage.read_table(home / "exports" / name / "send.parquet")
    said = storage.read_json(home / "exports" / name / export.SUMMARY).get("consent")
    consent.check(said)
    sent, withdrew = withdrawals.without(home, sent, said)
    known = _ids(ids, column)
    hashed, prefix = Pseudonyms(customer_keys()), f"{shop}:" if shop else ""
    own = {name: customer for customer in known.to_pylist() for name in hashed.under_each_key(customer, prefix)}
    names = [own.get(customer) for customer in sent["customer_id"].to_pylist()]
    missing = len({customer for customer, name in zip(sent["customer_id"].to_pylist(), names, strict=True) if not name})
    if sent.num_rows and not any(names):
        raise InputError(
            f"{ids}: none of the {len(known):,} ids in column '{column}' is in the export; is it the column that the "
            "snapshot took as customer_id, and was the snapshot taken with this installation's key?"
        )
    table = sent.set_column(0, "customer_id", pa.array(names, pa.string()))
    target = home / "exports" / name / (f"send.identified.{shop}.csv" if shop else "send.identified.csv")
    with storage.replacing(target) as temporary:
        write_csv(table.filter(pc.is_valid(table["customer_id"])), temporary, excel)
    target.chmod(0o600)
    return target, missing, withdrew


def _ids(path: Path, column: str) -> pa.Array:
    """The distinct ids, as text: 007 stays 007."""
    try:
        options = pcsv.ConvertOptions(include_columns=[column], column_types={column: pa.string()})
        table = pcsv.read_csv(path, convert_options=options)
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise InputError(f"{path}: no column '{column}' can be read ({str(error).splitlines()[0][:120]})") from None
    return table[column].unique().drop_null()


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m tasks.privacy.identify", description=__doc__.splitlines()[0])
    parser.add_argument("name", help="of the campaign, as below exports/")
    parser.add_argument("ids", type=Path, help="CSV with the shop's own customer ids")
    parser.add_argument("--column", required=True, help="which holds them")
    parser.add_argument("--shop", default="", help="whose customers these are, where snapshot.folders keeps them apart")
    parser.add_argument("--excel", action="store_true", help="mark the file as UTF-8 for Excel")
    given = parser.parse_args(arguments)
    try:
        target, missing, withdrew = identify(
            storage.home(), given.name, given.ids, given.column, given.excel, given.shop
        )
    except InputError as error:
        print(f"nightmarket: identify: {error}", file=sys.stderr)
        return 2
    gone = f"; {withdrew:,} customers may no longer be contacted and were left out" if withdrew else ""
    print(f"{target}{f'; {missing:,} customers are not in the list and were left out' if missing else ''}{gone}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

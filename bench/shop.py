"""Write a made-up retailer's tables into a folder.

    python -m bench.shop FOLDER --num-customers 2000 --fmt csv

With --dialect english or chinese the shop has column names, a language and a currency of its own, and its lines for
params.yaml are printed.
"""

import argparse
from pathlib import Path

from nightmarket.testing.dialects import DIALECTS, entry
from nightmarket.testing.shop import write_shop

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write a made-up retailer's tables into a folder.")
    parser.add_argument("folder")
    parser.add_argument("--num-customers", type=int, default=300)
    parser.add_argument("--num-products", type=int, default=400)
    parser.add_argument("--num-weeks", type=int, default=60)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--fmt", choices=("parquet", "csv"), default="parquet")
    parser.add_argument("--dialect", choices=tuple(DIALECTS))
    asked = parser.parse_args()
    written = write_shop(**vars(asked))
    print(", ".join(f"{name} {table.num_rows:,}" for name, table in written.items()))
    if asked.dialect:
        print(f"# params.yaml: snapshot.folders\n{entry(Path(asked.folder), DIALECTS[asked.dialect])}", end="")

"""The shop window over the engine of `small`."""

import sys
from pathlib import Path

from apps.api.application import logging_of_worker
from apps.api.engine import Engine
from apps.shop.__main__ import main
from apps.shop.application import MARK, shop
from tests.apps.small import PRODUCTS, Small, read


def create():
    logging_of_worker()
    engine = Engine(Path(), Small.open, lambda folder: str(read(folder)["bundle"]))
    titles = {product: {"title": f"Title of {product}", "about": "boots"} for product in PRODUCTS}
    return shop(engine, [MARK + name for name in read(Path())["lists"]], titles)


if __name__ == "__main__":
    sys.exit(main(factory="tests.apps.small_shop:create"))

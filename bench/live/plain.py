"""What `make serve` is set beside: a plain FastAPI over a table of lists, which knows nothing of the last minutes.

`python -m bench.live.plain` serves the lists of artifacts/bundle in the current folder, by the same server.
"""

import logging
import sys
from pathlib import Path

from fastapi import FastAPI
from pydantic import BaseModel

from apps.api.__main__ import main
from nightmarket.serving.live import bundle as halves
from nightmarket.serving.live import parts

BUNDLE = Path("artifacts/bundle")


class TableQuestion(BaseModel):
    """Whose list."""

    customer_id: str | None = None
    count: int = 10


class TableList(BaseModel):
    """Products, best first."""

    products: list[str]


def create() -> FastAPI:
    """For uvicorn."""
    logging.basicConfig(level=logging.INFO)
    known = halves.read(BUNDLE / parts.MODEL, BUNDLE / parts.STATE, verify=False)
    names = known.products.texts
    popular = [names[item] for item in known.demand[:200].tolist()]
    rows = (known.listed.row(code).tolist() for code in range(len(known.customers)))
    lists = {f"c{code}": [names[item] for item in row] or popular for code, row in enumerate(rows)}
    app = FastAPI()

    @app.post("/v1/recommendations")
    async def listed(asked: TableQuestion) -> TableList:
        return TableList(products=lists.get(asked.customer_id or "", popular)[: asked.count])

    return app


if __name__ == "__main__":
    sys.exit(main(factory="bench.live.plain:create"))

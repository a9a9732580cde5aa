"""By hand: find the products that a line of text asks for; shown in the UI, and as files where a name is given."""

import asyncio
from typing import Annotated, Literal

from pydantic import Field

from flows.engine.forms import lookup, terminal
from flows.engine.reporting import prefect_run
from flows.engine.reporting.outcome import one_line_flow
from tasks.campaigns.export import NAME
from tasks.files import storage
from tasks.find import SearchAnswer

Words = Annotated[str, Field(max_length=500)]
"""Empty where there is nothing to say: in the form a plain box, where a value or null would be two."""

FolderName = Annotated[str, Field(pattern=f"^$|{NAME}")]
"""A folder's name, or nothing."""


@one_line_flow("find")
async def find(
    query: Words,
    brands: list[Words] = [],  # noqa: B006 - a parameter's default in the form
    category: Words = "",
    min_price: Annotated[float, Field(ge=0)] = 0.0,
    max_price: Annotated[float | None, Field(gt=0)] = None,
    sold_weeks: Annotated[int | None, Field(ge=1, le=520)] = None,
    num: Annotated[int, Field(ge=1, le=1000)] = 10,
    method: Literal["", "words", "meaning", "both"] = "",
    name: FolderName = "",
    excel: bool = False,
) -> SearchAnswer:
    """Products for a question in a customer's words, from what the last night left; nothing is trained or changed.

    Args:
        query: What to look for, in a customer's words: lactose free milk for toddlers.
        brands: Only products of these brands. Empty: of any.
        category: Only products of this department, category or type; several levels joined by ' > '. Empty: of all.
        min_price: Least price, in the shop's currency.
        max_price: Greatest price. Empty: no limit.
        sold_weeks: Only products sold in so many of the last weeks. Empty: also those that never sold.
        num: How many texts to find; products that share one text stand together.
        method: words, meaning, or both. Empty: as params.yaml says (find.method).
        name: Folder below exports/find/ for products.csv and products.parquet. Empty: no files.
        excel: Mark the CSV as UTF-8 for Excel, which garbles Chinese otherwise.
    """
    home, log = storage.home(), prefect_run.run_logger()
    given = {"query": query, "brands": brands, "category": category, "min_price": min_price, "max_price": max_price}
    given |= {"sold_weeks": sold_weeks, "num": num, "method": method, "name": name, "excel": excel}
    answer = await asyncio.to_thread(lookup.ask, home, given)
    for line in answer.lines():
        log.info("%s", line)
    prefect_run.table("find", answer.rows, query)
    return answer


if __name__ == "__main__":
    terminal.hand_over("find")

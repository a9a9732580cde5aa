"""A client for programs in Python: answers are the typed objects of `apps.api.schemas`, problems are `ApiError`.

from apps.api.client import Client
with Client("http://127.0.0.1:8080", key) as shop:
    shop.send([SiteEvent(id="e-1", kind="view", product_id="p001834", session_id="s-77")])
    shop.recommend(session_id="s-77", count=5).products
"""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from apps.api.schemas import (
    AssistAnswer,
    AssistRequest,
    EventBatch,
    EventsWritten,
    OfferAnswer,
    OfferRequest,
    ProblemDocument,
    ProductList,
    ProductsTaken,
    RankRequest,
    RecommendationRequest,
    SearchRequest,
    ShopProduct,
    ShopProducts,
    SiteEvent,
    StockLevels,
    StockTaken,
    Why,
)  # fmt: skip

TIMEOUT_S = 5.0
M = TypeVar("M", bound=BaseModel)


class ApiError(Exception):
    """An answer that is no success: what went wrong, and after how many seconds it may go well."""

    def __init__(self, problem: ProblemDocument, retry_after: float | None) -> None:
        super().__init__(f"{problem.status} {problem.title}{f': {problem.detail}' if problem.detail else ''}")
        self.problem, self.retry_after = problem, retry_after


class Client:
    """Keeps its connections; may be shared by threads."""

    def __init__(self, url: str, key: str, timeout_s: float = TIMEOUT_S) -> None:
        headers = {"authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, events: Sequence[SiteEvent]) -> EventsWritten:
        """Events, on disk when this returns. Sent again they are duplicates, so repeat it after an error."""
        return self._ask(EventsWritten, "POST", "/v1/events", EventBatch(events=list(events)))

    def recommend(self, **asked: Any) -> ProductList:
        """Products for a visitor; the fields of `RecommendationRequest`."""
        return self._ask(ProductList, "POST", "/v1/recommendations", RecommendationRequest(**asked))

    def rank(self, products: Sequence[str], **asked: Any) -> ProductList:
        """These products for a visitor; the fields of `RankRequest`."""
        return self._ask(ProductList, "POST", "/v1/rank", RankRequest(products=list(products), **asked))

    def search(self, query: str, **asked: Any) -> ProductList:
        """Products that words ask for; the fields of `SearchRequest`."""
        return self._ask(ProductList, "POST", "/v1/search", SearchRequest(query=query, **asked))

    def assist(self, message: str, **asked: Any) -> AssistAnswer:
        """An answer to a customer's message; the fields of `AssistRequest`."""
        return self._ask(AssistAnswer, "POST", "/v1/assist", AssistRequest(message=message, **asked))

    def similar(self, product_id: str, count: int = 10) -> ProductList:
        """Products in place of one."""
        return self._ask(ProductList, "GET", f"/v1/products/{quote(product_id, safe='')}/similar?count={count}")

    def goes_with(self, product_id: str, count: int = 10) -> ProductList:
        """Products beside one."""
        return self._ask(ProductList, "GET", f"/v1/products/{quote(product_id, safe='')}/goes-with?count={count}")

    def why(self, customer_id: str) -> Why:
        """What a customer's lists rest on."""
        return self._ask(Why, "GET", f"/v1/customers/{quote(customer_id, safe='')}/why")

    def set_stock(self, units: Mapping[str, float]) -> StockTaken:
        """Units of products, from now on."""
        return self._ask(StockTaken, "PUT", "/v1/stock", StockLevels(products=dict(units)))

    def offer(self, id: str, **asked: Any) -> OfferAnswer:
        """The offer that a customer is made now; the fields of `OfferRequest`. Asked again it is the same."""
        return self._ask(OfferAnswer, "POST", "/v1/offers", OfferRequest(id=id, **asked))

    def put_products(self, products: Sequence[ShopProduct]) -> ProductsTaken:
        """Products that are new or changed, each as a whole; on disk when this returns."""
        return self._ask(ProductsTaken, "PUT", "/v1/products", ShopProducts(products=list(products)))

    def _ask(self, kind: type[M], method: str, path: str, body: BaseModel | None = None) -> M:
        content = None if body is None else body.model_dump_json(exclude_unset=True)
        headers = {"content-type": "application/json"} if content is not None else {}
        answer = self._http.request(method, path, content=content, headers=headers)
        if answer.is_success:
            return kind.model_validate_json(answer.content)
        after = answer.headers.get("retry-after")
        raise ApiError(ProblemDocument.model_validate_json(answer.content), None if after is None else float(after))

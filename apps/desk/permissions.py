"""Who may do what: one table, from which access is enforced. A route that is not in it is open to nobody."""

from collections.abc import Collection

from tasks.desk.accounts import ROLES, Role

EVERYBODY: frozenset[Role] = frozenset(ROLES)
"""Who is logged in."""
TO_ALL = None
"""Also who is not logged in."""
_MARKETING: frozenset[Role] = frozenset({"marketer"})
_ENGINEERING: frozenset[Role] = frozenset({"engineer"})
_CUSTOMERS: frozenset[Role] = frozenset({"marketer", "auditor"})
_AUDIT: frozenset[Role] = frozenset({"auditor"})
_FORGETTING: frozenset[Role] = frozenset({"auditor", "admin"})
_ADMIN: frozenset[Role] = frozenset({"admin"})

ROUTES: dict[tuple[str, str], frozenset[Role] | None] = {
    ("GET", "/desk.css"): TO_ALL,
    ("GET", "/login"): TO_ALL,
    ("POST", "/login"): TO_ALL,
    ("POST", "/language"): TO_ALL,
    ("GET", "/invitation"): TO_ALL,
    ("POST", "/invitation"): TO_ALL,
    ("POST", "/logout"): EVERYBODY,
    ("GET", "/"): EVERYBODY,
    ("GET", "/report"): EVERYBODY,
    ("GET", "/campaigns"): EVERYBODY,
    ("GET", "/campaigns/{run}"): EVERYBODY,
    ("GET", "/plan"): _MARKETING,
    ("POST", "/plan"): _MARKETING,
    ("GET", "/campaigns/{run}/texts"): _MARKETING,
    ("POST", "/campaigns/{run}/texts"): _MARKETING,
    ("POST", "/campaigns/{run}/decide"): _MARKETING,
    ("GET", "/campaigns/{run}/files/{name}"): _MARKETING,
    ("GET", "/campaigns/{run}/mail"): _MARKETING,
    ("GET", "/campaigns/{run}/mail/file"): _MARKETING,
    ("POST", "/campaigns/{run}/handover"): _MARKETING,
    ("POST", "/campaigns/{run}/stop"): _MARKETING,
    ("GET", "/customers"): EVERYBODY,
    ("POST", "/customers"): _CUSTOMERS,
    ("GET", "/customers/{customer}"): _CUSTOMERS,
    ("GET", "/customers/{customer}/held"): _CUSTOMERS,
    ("POST", "/customers/{customer}/forget"): _FORGETTING,
    ("GET", "/products/{product:path}"): EVERYBODY,
    ("GET", "/models"): EVERYBODY,
    ("GET", "/models/compare"): EVERYBODY,
    ("GET", "/models/{version}"): EVERYBODY,
    ("POST", "/models/{version}/promote"): _ENGINEERING,
    ("POST", "/models/rollback"): _ENGINEERING,
    ("GET", "/record"): _AUDIT | _ENGINEERING,
    ("GET", "/accounts"): _ADMIN,
    ("POST", "/accounts"): _ADMIN,
    ("POST", "/accounts/{name}"): _ADMIN,
}
"""(method, path) → the roles of which one is needed."""


def may(roles: Collection[str], method: str, path: str) -> bool:
    """Whether somebody with these roles may; `path` as in ROUTES."""
    allowed = ROUTES.get((method, path), frozenset())
    return allowed is TO_ALL or bool(allowed & set(roles))

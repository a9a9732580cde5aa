"""Who may open the servers of `make ui`: one name and a password, made on first use."""

import hashlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from nightmarket.contracts import InputError
from tasks.privacy.pseudonyms import own_secret

USER = "nightmarket"
LOGIN = Path(".nightmarket/login")
"""In the main checkout: NAME:PASSWORD, what Prefect asks for in one field and MLflow in two."""
MLFLOW_CONFIG = """\
[mlflow]
default_permission = NO_PERMISSIONS
database_uri = {database}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""


def login(home: Path) -> str:
    """NAME:PASSWORD of this checkout's servers: PREFECT_API_AUTH_STRING, else .nightmarket/login, made on first use.

    Raises InputError for a file that others may read, or that holds something else.
    """
    given = os.environ.get("PREFECT_API_AUTH_STRING")
    path = home / LOGIN
    path.parent.mkdir(parents=True, exist_ok=True)
    login = given or own_secret(path, lambda: f"{USER}:{secrets.token_urlsafe(18)}")
    name, _, password = login.partition(":")
    if not name or len(password) < 12 or not login.isascii() or any(sign.isspace() for sign in login):
        where = "PREFECT_API_AUTH_STRING" if given else path
        raise InputError(f"{where} is not NAME:PASSWORD with twelve characters or more; fix it, or remove it")
    return login


def of_server(home: Path) -> dict[str, str]:
    """Settings with which a Prefect server lets nobody else in, this machine's web pages included."""
    return {"PREFECT_SERVER_API_AUTH_STRING": login(home), "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true"}


def of_client(home: Path) -> dict[str, str]:
    """Settings with which a process of ours is let in; for servers of this checkout alone."""
    return {"PREFECT_API_AUTH_STRING": login(home)}


def of_mlflow(home: Path) -> Mapping[str, str]:
    """Environment of an MLflow server that lets nobody else in. Its users lie beside Prefect's database.

    A new password begins with a new table of users: MLflow reads the administrator's once, when it makes the table.
    """
    name, _, password = login(home).partition(":")
    version = hashlib.sha256(password.encode()).hexdigest()[:8]
    users, config = (home / ".prefect" / f"mlflow-{part}" for part in (f"users-{version}.db", "auth.ini"))
    users.touch(mode=0o600)
    config.write_text(MLFLOW_CONFIG.format(database=f"sqlite:///{users}"), encoding="utf-8")
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(config),
        "MLFLOW_AUTH_ADMIN_USERNAME": name,
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32),
    }

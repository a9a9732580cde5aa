"""params.yaml: snapshot.database."""

import re
from typing import Self

import sqlglot
from pydantic import Field, field_validator, model_validator
from sqlglot import errors, exp

from tasks.pipeline.settings import StageSettings


def variable(name: str) -> str:
    """The name of an environment variable; the address itself, which holds a password, is not repeated."""
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError("must be the name of an environment variable; the address itself is a secret and stands there")
    return name


class DatabaseTable(StageSettings):
    """Where a table of the contract lies in the database."""

    table: str = Field("", description="its name there, with its schema: shop.order_lines")
    query: str = Field("", description="or one SELECT that makes it; whatever joins and names it likes")
    watermark: str = Field(
        "",
        description="column that says when a row was written or changed, or a number that only grows: days that did "
        "not change since the last night are not read again",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.table) == bool(self.query):
            raise ValueError("table, query: name one of them")
        if self.query:
            try:
                [parsed] = sqlglot.parse(self.query)
            except (errors.SqlglotError, ValueError):
                raise ValueError("query: it cannot be read as one SELECT; try it in the database") from None
            if not isinstance(parsed, exp.Query):
                raise ValueError("query: it must be one SELECT, which changes nothing")
        return self


class Database(StageSettings):
    """A database that holds the tables, for source: sql."""

    url: str = Field(
        "NIGHTMARKET_DATABASE",
        description="name of the environment variable with its address, as postgresql://USER:PASSWORD@HOST/DATABASE",
    )
    tables: dict[str, DatabaseTable] = Field(
        default_factory=dict, description="{table of the contract: where it lies}; only these are read"
    )
    timeout_s: int = Field(1_800, ge=1, description="longest time, in seconds, that a query may take")
    tries: int = Field(4, ge=1, le=20, description="how often it is begun where the connection is lost")

    @field_validator("url")
    @classmethod
    def _a_variable(cls, name: str) -> str:
        return variable(name)

    @field_validator("tables")
    @classmethod
    def _some(cls, tables: dict[str, DatabaseTable]) -> dict[str, DatabaseTable]:
        from nightmarket.contracts.tables import BY_NAME

        for name in tables:
            if name not in BY_NAME:
                raise ValueError(f"there is no table '{name}'; there are {', '.join(BY_NAME)}")
        return tables

"""Publish tonight's tables in the shop's database, each night in one transaction.

reads   artifacts of score, related, segment, plan and compose, as far as they are there tonight
writes  in the database, by night and version: recommendations, launches, popular, similar, goes_with, popular_in,
        segments, proposed_contacts, proposed_messages; nights, a row for each; and a view current_… of each table with
        the night published last

A step: it acts outside its files. The same night published again takes the place of the rows it had.
"""

import datetime
import logging
import os
from typing import Any

from pydantic import Field, field_validator, model_validator

from nightmarket.contracts import InputError
from tasks.files import catalogue
from tasks.intake.database.settings import variable
from tasks.pipeline.declaration import Step
from tasks.pipeline.settings import StageSettings

LOG = logging.getLogger("nightmarket")
STEP = Step("publish tonight's tables in the shop's database", retries=2)


class CustomerList(StageSettings):
    """Where the database lists its customers, so that rows bear the shop's own ids."""

    table: str = Field(min_length=1, description="a table of the database that names every customer, as crm.people")
    column: str = Field(min_length=1, description="its column with their ids")


class Settings(StageSettings):
    """params.yaml: sink."""

    database: str | None = Field(
        None,
        description="name of the environment variable with the database's address; null: nothing is published there",
    )
    name: str = Field("nightmarket", min_length=1, max_length=60, description="of the schema that holds the tables")
    nights: int = Field(30, ge=1, le=3_650, description="how many nights stay")
    customers: CustomerList | None = Field(
        None, description="table and column of the shop's own ids; null: customers bear their pseudonyms"
    )
    timeout_s: int = Field(1_800, ge=1, description="longest time, in seconds, that a statement may take")

    @field_validator("database")
    @classmethod
    def _a_variable(cls, name: str | None) -> str | None:
        return name and variable(name)

    @model_validator(mode="after")
    def _somewhere(self) -> "Settings":
        if self.customers and not self.database:
            raise ValueError("customers: database is null, so nothing is published; name the variable with its address")
        return self


def run(settings: Settings) -> None:
    """Publish what is there tonight; without a database nothing happens."""
    if settings.database is None:
        LOG.info("sink: no database is named")
        return
    url = os.environ.get(settings.database, "")
    if not url:
        raise InputError(f"{settings.database} is not set; export it with the database's address (sink.database)")
    from tasks.files.published import Publication

    tables = {name: table.read() for name, table in _tables().items() if _there(table)}
    with Publication(url, settings.name, settings.timeout_s) as publication:
        names = publication.own_ids(settings.customers.table, settings.customers.column) if settings.customers else None
        counts = {name: publication.put(name, rows, _night(), names) for name, rows in tables.items()}
        publication.forget(names)
        publication.note(_night())
        publication.keep(settings.nights)
    told = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    LOG.info("sink: published as one night in schema %s: %s rows", settings.name, told)


def _tables() -> dict[str, catalogue.TableFile]:
    return {
        "recommendations": catalogue.RECOMMENDATIONS,
        "launches": catalogue.LAUNCHES,
        "popular": catalogue.POPULAR,
        "similar": catalogue.SIMILAR,
        "goes_with": catalogue.GOES_WITH,
        "popular_in": catalogue.POPULAR_IN,
        "segments": catalogue.SEGMENTS,
        "proposed_contacts": catalogue.CONTACTS.at(catalogue.PLAN.path),
        "proposed_messages": catalogue.MESSAGES,
    }


def _there(table: catalogue.TableFile) -> bool:
    return table.unavailable() is None and table.exists()


def _night() -> dict[str, Any]:
    about, receipt = catalogue.SNAPSHOT.read(), catalogue.CHAMPION_RECEIPT
    version = str(receipt.read()["version"]) if receipt.exists() else ""
    return {
        "night": datetime.date.fromisoformat(about["as_of"]),
        "version": version,
        "run": os.environ.get("NIGHTMARKET_RUN", ""),
        "commit": os.environ.get("NIGHTMARKET_COMMIT", ""),
    }

"""The types of a flow's parameters: what the form in the Prefect UI offers and what the API refuses.

The words beside each field come from the flow's docstring.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from tasks.pipeline.settings import STAGES

DAY = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"

BusinessDate = Annotated[str | None, Field(pattern=DAY)]
"""YYYY-MM-DD, or nothing."""

Force = list[Literal[STAGES]]  # type: ignore[valid-type]
"""Names of stages."""

Overrides = Annotated[dict[str, Any], Field(json_schema_extra={"propertyNames": {"pattern": r"^[a-z]+(\.\w+)+$"}})]
"""{"section.key": value}; the settings model of the section checks the value when the run begins."""

SearchSpace = Annotated[dict[str, Any], Field(json_schema_extra={"propertyNames": {"pattern": r"^[a-z]+(\.\w+)+$"}})]
"""{"section.key": [low, high]}, {"section.key": {low, high, log, step}} or {"section.key": {choices: […]}}."""

NumTrials = Annotated[int, Field(ge=1, le=10_000)]
"""How many."""

Metric = Annotated[str, Field(pattern=r"^\w+ [\w@]+$")]
"""Task and figure, as "all ndcg@10"."""

Windows = list[Annotated[str, Field(pattern=DAY)]]
"""YYYY-MM-DD, Mondays."""

Minutes = Annotated[float | None, Field(gt=0)]
"""A time in minutes, or no limit."""

Seed = Annotated[int, Field(ge=0, lt=2**31)]
"""Of what is drawn."""

SearchName = Annotated[str, Field(pattern=r"^[\w-]{0,60}$")]
"""Letters, digits, - and _."""

WaitMinutes = Annotated[float, Field(ge=0, le=1440)]
"""A time in minutes."""

VersionOrChampion = Annotated[int | None, Field(ge=1)]
"""Number of a registered version, or nothing."""

Version = Annotated[int, Field(ge=1)]
"""Number of a registered version."""

Reason = Annotated[str, Field(min_length=3, max_length=300, pattern=r"^\S[^\r\n]*\S$")]
"""Why, in one line."""

Who = Annotated[str, Field(min_length=2, max_length=80, pattern=r"^\S[^\r\n]*\S$")]
"""A person's name."""

"""The parameters that a person may give a flow: what the form in the Prefect UI shows and what the API checks."""

from typing import Annotated, Any, Literal

from pydantic import Field

from tasks.settings import STAGES

StageName = Literal[STAGES]  # type: ignore[valid-type]

BusinessDate = Annotated[
    str | None,
    Field(
        default=None,
        pattern=r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$",
        title="Business date",
        description="YYYY-MM-DD: the night being prepared; rows from this day on are left out. Empty: all there is.",
    ),
]

Force = Annotated[
    list[StageName],
    Field(title="Stages to force", description="Run these even if nothing they depend on has changed."),
]

Overrides = Annotated[
    dict[str, Any],
    Field(
        title="Overrides of params.yaml",
        description='For this run only, for example {"rank.seed": 18}. The run is kept as a commit, not published.',
        json_schema_extra={"propertyNames": {"pattern": r"^[a-z]+(\.\w+)+$"}},
    ),
]

WaitMinutes = Annotated[
    float,
    Field(ge=0, le=1440, title="Minutes to wait", description="How long to wait while another run holds the lock."),
]
"""Two runs never overlap; the second one waits this long."""

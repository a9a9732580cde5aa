"""How long we wait for a Prefect server, and for which of its parts."""

import dataclasses
import os

GIVEN = "NIGHTMARKET_PATIENCE"


@dataclasses.dataclass(frozen=True)
class Patience:
    """Seconds, all of them. A test has less of it: NIGHTMARKET_PATIENCE="silence=3 answer=0.5" in the environment."""

    look_every: float = 2.0
    """Between two looks at a server of ours."""
    answer: float = 5.0
    """For one look."""
    silence: float = 30.0
    """A server of ours that was up and has not answered for so long is started again."""
    start: float = 120.0
    """The same for one that is starting."""
    again: float = 2.0
    """Before a server is started again; twice as long after each start that came to nothing."""
    again_at_most: float = 300.0
    begin: float = 30.0
    """A run begins without its own server when that is not up by then; earlier, Prefect would have its times wrong."""
    request: float = 10.0
    """For one request of a run to Prefect's API."""
    retry_at_most: float = 5.0
    """Between two tries of a request."""
    mention: float = 30.0
    """A run says that it goes on without Prefect after so long a silence."""
    end: float = 60.0
    """A run that is done leaves its report to the next one when Prefect has been silent for so long,"""
    end_own: float = 120.0
    """or, where the server is its own and may be starting, for so long."""
    end_stopped: float = 10.0
    """A run that was stopped waits no longer than this."""
    end_of_deployment: float = 600.0
    """The same for one that a worker started: Prefect itself still has to hear how it ended."""

    @classmethod
    def of_environment(cls) -> "Patience":
        """The usual one, but for what a test asks for."""
        given = (assignment.partition("=") for assignment in os.environ.get(GIVEN, "").split())
        return cls(**{name: float(seconds) for name, _, seconds in given})

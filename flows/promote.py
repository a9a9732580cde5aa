"""By hand: make a registered version the champion."""

from prefect import flow

from flows.engine.forms import terminal
from flows.engine.forms.form import Reason, Version, WaitMinutes, Who
from flows.engine.reporting.outcome import in_one_line, post_failure
from flows.engine.run import handover


@flow(
    name="promote",
    flow_run_name="version {version}",
    persist_result=False,
    on_failure=[post_failure],
    on_crashed=[post_failure],
)
@in_one_line
async def promote(version: Version, reason: Reason, who: Who, wait_minutes: WaitMinutes = 240) -> handover.Changed:
    """Check that the version can serve, make it champion, put who and why on record; nothing is trained or delivered.

    Args:
        version: Number of the version, as MLflow and the morning page show it.
        reason: Why, in one line; it goes on record.
        who: Your name; it goes on record.
        wait_minutes: How long to wait while another run holds the lock.
    """
    given = (f"--version={version}", f"--reason={reason}", f"--who={who}")
    return await handover.change("promote", *given, wait_minutes=wait_minutes)


if __name__ == "__main__":
    terminal.hand_over("promote")

"""Every night: fetch the data, train, let the gate decide, deliver."""

from flows.engine.forms import terminal
from flows.engine.forms.form import BusinessDate, Force, Overrides, WaitMinutes
from flows.engine.reporting import alerts
from flows.engine.reporting.outcome import RunOutcome, one_line_flow, show
from flows.engine.retention import prune
from flows.engine.run.run import open_run


@one_line_flow("nightly")
async def nightly(
    business_date: BusinessDate = None,
    force: Force = [],  # noqa: B006 - a parameter's default in the form
    overrides: Overrides = {},  # noqa: B006
    wait_minutes: WaitMinutes = 240,
    strict: bool = False,
) -> RunOutcome:
    """Snapshot, retrain, deliver; one at a time.

    Args:
        business_date: YYYY-MM-DD, the night being prepared; rows from this day on are left out. Empty: all there is.
        force: Run these stages even if nothing that they depend on has changed.
        overrides: Values of params.yaml for this run only, as {"rank.seed": 18}; it is kept as a commit, not published.
        wait_minutes: How long to wait while another run holds the lock.
        strict: End the night where a stage fails that nothing which serves customers needs, and deliver nothing.
    """
    async with open_run(
        "nightly",
        business_date=business_date,
        force=force,
        changes=overrides,
        wait_minutes=wait_minutes,
        strict=strict,
    ) as run:
        await run.snapshot()
        await run.phase("retrain")
        await run.register()
        run.require_champion()
        await run.phase("deliver")
        outcome = await run.sink(run.finish("retrain", "deliver"))
        await show(run.tree, outcome)
        await alerts.tell("nightly", run, outcome)
        await prune.after_night(run)
        return outcome


if __name__ == "__main__":
    terminal.hand_over("nightly")

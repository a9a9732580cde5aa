"""By hand: bring the champion before back."""

from flows.engine.forms import terminal
from flows.engine.forms.form import Reason, WaitMinutes, Who
from flows.engine.reporting.outcome import one_line_flow
from flows.promote import Changed, change


@one_line_flow("rollback")
async def rollback(reason: Reason, who: Who, wait_minutes: WaitMinutes = 240) -> Changed:
    """Make the version with the alias previous_champion champion again; a second rollback in a row is refused.

    Args:
        reason: Why, in one line; it goes on record.
        who: Your name; it goes on record.
        wait_minutes: How long to wait while another run holds the lock.
    """
    return await change("rollback", f"--reason={reason}", f"--who={who}", wait_minutes=wait_minutes)


if __name__ == "__main__":
    terminal.hand_over("rollback")

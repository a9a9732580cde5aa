"""By hand: make a registered version the champion; nothing is trained, the run is kept and published like any other."""

import dataclasses

from flows.engine.forms import terminal
from flows.engine.forms.form import Reason, Version, WaitMinutes, Who
from flows.engine.reporting import outcome
from flows.engine.reporting.outcome import one_line_flow
from flows.engine.run.run import open_run


@dataclasses.dataclass(frozen=True)
class Changed:
    """How it ended."""

    said: str
    champion: str
    run: str
    commit: str
    published: bool

    def lines(self) -> list[str]:
        """For a terminal."""
        return [
            self.said,
            f"champion {self.champion}",
            f"kept as  refs/runs/{self.run} ({self.commit[:10]})",
            "to deliver from it: python -m flows deliver" if self.published else "not published; see the log",
        ]


async def change(how: str, *given: str, wait_minutes: float) -> Changed:
    """Wait for the run lock, change the champion, publish data/champion."""
    async with open_run(how, wait_minutes=wait_minutes) as run:
        said = await run.change_champion(how, *given)
        done = run.finish()
        return Changed(said, outcome.champion_in_words(run.tree), run.name, run.sha, done.published)


@one_line_flow("promote", "version {version}")
async def promote(version: Version, reason: Reason, who: Who, wait_minutes: WaitMinutes = 240) -> Changed:
    """Check that the version can serve, make it champion, put who and why on record; nothing is trained or delivered.

    Args:
        version: Number of the version, as MLflow and the morning page show it.
        reason: Why, in one line; it goes on record.
        who: Your name; it goes on record.
        wait_minutes: How long to wait while another run holds the lock.
    """
    given = (f"--version={version}", f"--reason={reason}", f"--who={who}")
    return await change("promote", *given, wait_minutes=wait_minutes)


if __name__ == "__main__":
    terminal.hand_over("promote")

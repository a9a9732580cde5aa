"""The champion changed by hand: a run that trains nothing, and is kept and published like any other."""

import dataclasses

from flows.engine.reporting import outcome
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

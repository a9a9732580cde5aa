"""By hand: score and report again, from the current champion."""

from flows.engine.forms import terminal
from flows.engine.run.phase_flow import phase_flow

deliver = phase_flow("deliver", "Score … report, from the champion that is there.")

if __name__ == "__main__":
    terminal.hand_over("deliver")

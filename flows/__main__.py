"""`python -m flows nightly`: a flow from a terminal."""

import sys

from flows.engine.forms import terminal
from tasks.pipeline import lifetime

if __name__ == "__main__":
    lifetime.collect_seldom()
    lifetime.leave(terminal.main(sys.argv[1] if len(sys.argv) > 1 else "", sys.argv[2:]))

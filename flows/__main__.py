"""`python -m flows nightly`: a flow from a terminal."""

import sys

from flows.engine.forms import terminal

if __name__ == "__main__":
    sys.exit(terminal.main(sys.argv[1] if len(sys.argv) > 1 else "", sys.argv[2:]))

"""By hand: train and evaluate on the last snapshot, and let the gate decide."""

from flows.engine.forms import terminal
from flows.engine.run.phase_flow import phase_flow

retrain = phase_flow("retrain", "Validate … register, on the snapshot that is there.")

if __name__ == "__main__":
    terminal.hand_over("retrain")

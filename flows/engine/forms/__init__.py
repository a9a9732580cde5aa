"""Parameters of flows: forms, terminals, checks."""

"""How a flow runs stages: worktree, lock, guard, DVC, publication. No stage is named here."""

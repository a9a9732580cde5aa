"""One run: its lock, worktree, stages, guard and publication."""

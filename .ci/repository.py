"""Sees to it that the folder is a git repository of its own, before anything is installed: runs are kept as commits.

A clone is one. What was unpacked from an archive becomes one here, also below a folder that is somebody else's
repository, which is left alone. Standard library only; it runs before there is an environment.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

IDENTITY = ("-c", "user.name=nightmarket", "-c", "user.email=nightmarket@localhost", "-c", "commit.gpgsign=false")
MAIN = ("-c", "init.defaultBranch=main", "-c", "advice.addEmbeddedRepo=false")


def git(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run git there, whatever repository the environment names."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", *IDENTITY, *MAIN, "-C", str(home), *arguments]
    return subprocess.run(command, env=plain, capture_output=True, encoding="utf-8", errors="replace")


def problem(home: Path) -> str:
    """What keeps the folder from being a repository with a commit, "" where it is one by now."""
    if shutil.which("git") is None:
        return "git is missing; install it (on Debian and Ubuntu: apt install git), then run this again"
    if os.pathsep in str(home):
        return f"the folder's name holds '{os.pathsep}', at which PATH is split; rename the folder, then run this again"
    if (home / ".git").exists():
        known = git(home, "rev-parse", "--verify", "--quiet", "HEAD")
        if known.returncode == 0:
            return ""
        said = known.stderr.strip().splitlines()  # as where the repository belongs to another user
        if said:
            return f"git: {said[0]}; see to that, then run this again"
        return "the git repository here has no commit yet; run `git add --all && git commit`, then this again"
    if git(home, "ls-files", "--error-unmatch", "Makefile").returncode == 0:
        around = git(home, "rev-parse", "--show-toplevel").stdout.strip()
        return f"this folder is a part of the repository {around}, which runs would change; clone it to one of its own"
    return _make(home)


def _make(home: Path) -> str:
    for arguments in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--no-verify", "-m", "As unpacked")):
        done = git(home, *arguments)
        if done.returncode:
            shutil.rmtree(home / ".git", ignore_errors=True)
            said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()
            return f"git {arguments[0]}: {said[-1]}; see to that, then run this again"
    print("this folder is no git repository, so one was made in it, with all of it as the first commit", flush=True)
    return ""


def main() -> int:
    """The exit status, 2 where somebody has to do something first."""
    if said := problem(Path.cwd()):
        print(f"nightmarket: {said}", file=sys.stderr)
    return 2 * bool(said)


if __name__ == "__main__":
    sys.exit(main())

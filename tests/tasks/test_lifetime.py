"""A process of ours that leaves has said everything, and does not take down what it made."""

import subprocess
import sys

LAST_WORDS = """
import atexit, sys, threading
from tasks.pipeline import lifetime

class Kept:
    def __del__(self):
        print("taken down")

kept = Kept()
lifetime.collect_seldom()
atexit.register(print, "registered")
over = threading.Event()
threading.Thread(target=lambda: (over.wait(30), print("thread"))).start()
print("main")
threading.Timer(0.05, over.set).start()
lifetime.leave(3)
"""


def test_whoever_leaves_waits_for_its_threads_says_its_last_words_and_ends_with_its_code():
    done = subprocess.run([sys.executable, "-c", LAST_WORDS], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.split() == ["main", "thread", "registered"]

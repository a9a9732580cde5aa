"""All that cannot be made anew, in one file, and a clone that goes on from it."""

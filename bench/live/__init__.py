"""The live site: how fast, how large, how right, and what it is worth."""

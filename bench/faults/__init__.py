"""Faults made on purpose, each replayable by its seed, scene, hook and number: bench.reliability runs them."""

"""When things run: one file per flow, and the engine that runs a stage through DVC."""

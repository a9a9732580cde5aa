"""One thin module per stage: read files, call nightmarket, write files."""

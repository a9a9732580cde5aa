"""Files: how they are read and written, and where each artifact lies."""

"""Look at a folder of exports and say how to read it; nothing is written."""

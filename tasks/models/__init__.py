"""Models brought to life on prepared tables, and what their training keeps between nights."""

"""The page that people open in the morning: facts in, one self-contained HTML page out."""

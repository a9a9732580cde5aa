"""Everything that a GPU does for a night, tried within minutes on a machine that has little more than torch."""

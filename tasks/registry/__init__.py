"""Which version delivers, how it came to be, and what is on record of it."""

"""How a night grows with the shop: every stage at ten, a hundred, a thousand times the events."""

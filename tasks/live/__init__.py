"""What the live site leaves on disk: its log of events and lists, its stock, who may ask it."""

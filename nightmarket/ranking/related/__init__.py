"""What stands beside a product whoever looks at it: what can be taken in its place, and what goes with it."""

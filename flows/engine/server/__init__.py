"""The servers of a run and of make ui, and who may open them."""

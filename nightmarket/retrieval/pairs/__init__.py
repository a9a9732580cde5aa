"""The encoder itself learns, whole or through low-rank adapters, from pairs of texts that customers bought."""

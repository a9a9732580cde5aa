"""The pure library: what is true about customers, products and recommendations. No paths, no orchestrator."""

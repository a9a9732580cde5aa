"""Who is alike? Partitions of customers with portraits, and how stable they are."""

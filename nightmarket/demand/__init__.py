"""How much will be sold? Units per product type and week, and how they answer to price."""

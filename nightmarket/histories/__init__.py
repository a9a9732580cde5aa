"""Purchase histories, products and promotions as arrays, texts, and the calendar."""

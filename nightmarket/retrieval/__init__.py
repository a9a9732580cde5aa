"""Which products a customer's history points to: two towers over text vectors, their training and their search."""

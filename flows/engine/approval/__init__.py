"""A plan before a person: figures, question, answer, export."""

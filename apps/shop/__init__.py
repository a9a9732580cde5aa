"""A shop window: one page over the live site's API, to see lists and reasons change while one looks around."""

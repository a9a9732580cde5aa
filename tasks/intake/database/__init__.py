"""Tables that lie in a database: one consistent reading of it, of which the days that did not change are kept."""

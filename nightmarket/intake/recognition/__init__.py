"""Which columns and which shop system's export a file holds, told by headers and by what values look like."""

"""Writers of promotion texts, one interface: `Writer.write(briefs, num)`."""

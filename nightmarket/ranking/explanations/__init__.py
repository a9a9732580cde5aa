"""One short reason per recommendation, true of the ranker's inputs, from the features that moved its score most."""

"""What an ordinary export means: words for missing values, kinds of events, visitors without a name, ids, money."""

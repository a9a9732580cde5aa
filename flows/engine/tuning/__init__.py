"""What a hyper-parameter search may try, and its study."""

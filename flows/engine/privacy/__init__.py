"""How a customer leaves every copy, and how keys are changed."""

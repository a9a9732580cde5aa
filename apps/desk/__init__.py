"""The desk: one place where a marketer, an engineer and an auditor do their work, over what flows and tasks offer."""

"""The shop's rules: rules.yaml read and checked, made ready for a night, and what they change."""

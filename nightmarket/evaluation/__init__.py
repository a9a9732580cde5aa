"""How good is it: ranking metrics and honest intervals."""

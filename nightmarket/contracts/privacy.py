"""The smallest group of people of which anything is reported."""

MIN_GROUP = 20
"""People. In a smaller group, one who knows some of its members can work out what the others bought or answered."""

"""Did a campaign move anything? Effects of an exposure, with the checks without which nothing is claimed."""

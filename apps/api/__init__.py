"""The live site's API: `make serve`."""

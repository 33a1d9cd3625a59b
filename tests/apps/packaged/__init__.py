"""A directory that is a package: main.py imports its neighbour relatively."""

LOADED = True

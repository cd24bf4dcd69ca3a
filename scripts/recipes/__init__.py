"""Comparison of recipes: groups of runs that differ in the seed only."""

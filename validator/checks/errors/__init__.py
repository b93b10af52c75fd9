"""The error scenarios: what a wrong input, a missing or a broken file ends in."""

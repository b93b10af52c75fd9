"""The smoke suite: shapes, ranges, repeatability, threads."""

"""Rows that reach every threshold, category and leaf of an ensemble."""

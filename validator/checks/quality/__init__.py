"""Metrics where the sample has labels, against limits and the base version."""

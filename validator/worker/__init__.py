"""What runs inside the locked-down processes. Python 3.9 and numpy are all it may count on at import."""

"""GitHub: where a result belongs, and how it gets there without ever changing what it says."""

"""The model file, what loading it would do, its contract and its sample."""

"""What Model Preflight costs and what it gains, measured: `python -m benchmarks`, or one of them by its name."""

"""`validate`: the order of the checks and the conclusion. Only this package writes a result."""

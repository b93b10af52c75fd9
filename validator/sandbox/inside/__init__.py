"""What runs inside a worker before it knows its job."""

"""What a serving process counts, and how Prometheus reads it."""

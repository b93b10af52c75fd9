"""The user's own serving code, found, loaded and held to the same checks."""

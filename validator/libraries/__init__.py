"""The model libraries: how each one's models are detected, loaded, asked, exported and read."""

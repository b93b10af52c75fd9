"""The environment a model was trained in: its interpreter, its packages, and building it where it is not there."""

"""Model Preflight: the last check before a machine-learning model ships."""

__version__ = "0.1.0"

"""The one table of settings, where values come from, and how they are written."""

"""The version that a change would replace: found by folder, file or Git reference, read without running anything."""

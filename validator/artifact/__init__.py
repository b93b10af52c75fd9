"""The versioned artifact: its name, its manifest, how it is written and how it is verified.

Nothing is imported here: `read` serves production processes and needs the standard library alone, while
`write` and `manifest` need the result's schema.
"""

"""Versions of a model, their aliases and their history: artifacts as OCI images, in a folder or in any OCI registry.

An image is made and read by `image` and `layer`; `reference` says where one is; `layout` (a folder) and `remote` (a
registry) keep them behind the one interface of `store`. What people do with them is in `pushing`, `fetching`,
`promoting`, `history` and `pruning`. Only `remote` needs more than the standard library: the extra
`model-preflight[registry]`.
"""

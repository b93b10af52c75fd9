"""A judged artifact over HTTP: the Open Inference Protocol, rows as people write them, metrics, a page.

Needs the extra `model-preflight[serve]`.
"""

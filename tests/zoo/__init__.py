"""The zoo: a model of every kind that is judged, trained on real data that libraries bring along, through the gate.

`cases.py` is the table; `python -m tests.zoo` (or `make zoo`) runs all of it and writes docs/models.md.
"""

"""The stages of the gate, in the order that `gate.py` runs them. Each fills a part of the draft, or blocks."""

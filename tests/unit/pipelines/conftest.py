"""The native library as the oracle, here too."""

from tests.unit.oracle import answer, one_thread, rows_on_boundaries

__all__ = ["answer", "one_thread", "rows_on_boundaries"]

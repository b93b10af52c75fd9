"""Whether data still looks as it did when the model was judged, and what that does to the model's answers.

`rule` decides, from counts alone; `tally` counts any number of rows in bounded memory; `contributions` says
which feature moves the predictions; `quality` measures them where the truth is known. Nothing here loads a
model but from a judged artifact, as a server does.
"""

from validator.drift.rule import ColumnVerdict, Observed, SpecialVerdict, judge_column, overall

__all__ = ["ColumnVerdict", "Observed", "SpecialVerdict", "judge_column", "overall"]

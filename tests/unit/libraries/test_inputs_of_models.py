"""What a native model is handed: texts where it reads texts, and columns whose type hangs on no other row."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from validator.libraries.adapter import Adapter
from validator.libraries.frames import frame
from validator.table import Column, Table

_TEXTS = ["good film", "bad film", "good book", "bad book"] * 5


def _table(values: list[str | None]) -> Table:
    return Table.of([Column("text", np.array(values, dtype=object))])


def test_a_vectoriser_reads_texts_and_not_the_names_of_columns() -> None:
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression())
    searched = GridSearchCV(pipeline, {"logisticregression__C": [1.0, 10.0]}, cv=2)
    for model in (pipeline, searched):
        model.fit(pd.Series(_TEXTS), [1, 0] * 10)
        adapter = Adapter(model)
        answers = adapter.predict(adapter.inputs(_table(["good", "bad", "good"])))
        assert answers.present["label"].tolist() == [1, 0, 1]


def test_a_missing_text_alone_is_the_one_that_it_is_among_others() -> None:
    among, alone = frame(_table(["Oslo", None])), frame(_table([None]))
    assert among["text"].dtype == alone["text"].dtype
    assert repr(among["text"][1]) == repr(alone["text"][0])

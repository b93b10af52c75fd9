"""Trains small models, under whatever Python and libraries run it: `train_older.py FOLDER KIND...`."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pandas as pd

FOLDER = Path(sys.argv[1])


def _save(name, model):
    (FOLDER / f"{name}.pkl").write_bytes(pickle.dumps(model))


def _data():
    from sklearn.datasets import load_breast_cancer

    rows, target = load_breast_cancer(return_X_y=True, as_frame=True)
    rows = rows.iloc[:, :6]
    rows.columns = [name.replace(" ", "_") for name in rows.columns]
    rows.assign(target=target).to_csv(FOLDER / "sample.csv", index=False)
    return rows, target


def forest(rows, target):
    from sklearn.ensemble import RandomForestClassifier

    _save("forest", RandomForestClassifier(10, max_depth=4, random_state=0).fit(rows, target))


def logit(rows, target):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    _save("logit", make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, target))


def lightgbm(rows, target):
    from lightgbm import LGBMClassifier

    model = LGBMClassifier(n_estimators=10, num_leaves=7).fit(rows, target)
    _save("lightgbm", model)
    model.booster_.save_model(str(FOLDER / "lightgbm.txt"))


def xgboost(rows, target):
    from xgboost import XGBClassifier

    model = XGBClassifier(n_estimators=10, max_depth=3).fit(rows, target)
    _save("xgboost", model)
    for kind in ("json", "ubj"):
        model.get_booster().save_model(str(FOLDER / f"xgboost.{kind}"))


def mixed(_rows, _target):
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    rng = np.random.default_rng(0)
    n = 400
    rows = pd.DataFrame(
        {
            "age": rng.normal(40, 9, n),
            "income": rng.lognormal(9, 1, n),
            "city": rng.choice(["rome", "oslo", "lima"], n),
            "note": rng.choice(["good fast car", "slow old car", "red bike", "fast bike good"], n),
        }
    )
    target = ((rows.age > 40) ^ (rows.city == "oslo")).astype(int)
    rows.loc[::17, "age"] = np.nan
    rows.assign(target=target).to_csv(FOLDER / "mixed.csv", index=False)
    numbers = Pipeline([("fill", SimpleImputer()), ("scale", StandardScaler())])
    for name, last in (
        ("logit", LogisticRegression(max_iter=500)),
        ("forest", RandomForestClassifier(10, max_depth=4, random_state=0)),
    ):
        prepare = ColumnTransformer(
            [
                ("numbers", numbers, ["age", "income"]),
                ("city", OneHotEncoder(handle_unknown="ignore"), ["city"]),
                ("note", TfidfVectorizer(lowercase=False), "note"),
            ]
        )
        _save(f"mixed-{name}", Pipeline([("prepare", prepare), ("model", last)]).fit(rows, target))


if __name__ == "__main__":
    data = _data()
    for kind in sys.argv[2:]:
        globals()[kind](*data)

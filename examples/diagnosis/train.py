"""Trains the diagnosis example: a scikit-learn pipeline on the Wisconsin breast-cancer data (bundled there).

Writes model.joblib (imputer, scaler, logistic regression) and sample.csv (rows that training did not see).
"""

from __future__ import annotations

from pathlib import Path

import joblib
from sklearn.datasets import load_breast_cancer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent


def main() -> None:
    data = load_breast_cancer(as_frame=True)
    features = data.data.rename(columns=lambda name: name.replace(" ", "_"))
    kept, held, kept_answers, held_answers = train_test_split(
        features, data.target, test_size=0.35, random_state=7, stratify=data.target
    )
    model = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(C=0.5))
    model.fit(kept, kept_answers)
    joblib.dump(model, HERE / "model.joblib", compress=3)
    held.assign(benign=held_answers).to_csv(HERE / "sample.csv", index=False)
    print(
        f"trained on {len(kept)} biopsies; right on {model.score(held, held_answers):.1%} of {len(held)} others"
    )


if __name__ == "__main__":
    main()

"""A wrapper as teams first write it: it keeps few of the promises that it is held to."""

import pickle
from pathlib import Path


class FraudModel:
    def load_model(self, path):
        self.model = pickle.loads(Path(path).read_bytes())

    def predict(self, table):
        return self.model.predict_proba(table)

    def predict_single(self, row):
        return self.model.predict_proba([list(row.values())])[0]

    def batch_predict(self, rows):
        return self.model.predict_proba([list(row.values()) for row in rows])

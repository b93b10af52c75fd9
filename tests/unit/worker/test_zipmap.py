"""Files with ZipMap, as skl2onnx writes them by default, answer in float32 and are held to its rounding."""

from __future__ import annotations

import numpy as np
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

from validator.worker.onnx_session import OnnxModel

_ROWS = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)


def test_zipmap_answers_are_one_float32_array() -> None:
    fitted = LogisticRegression().fit(_ROWS, np.digitize(_ROWS[:, 0], [-0.5, 0.5]))
    model = OnnxModel(to_onnx(fitted, _ROWS[:1], target_opset=17).SerializeToString())
    probabilities = model.predict(model.from_array(_ROWS)).present["probabilities"]
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, fitted.predict_proba(_ROWS), atol=1e-6)

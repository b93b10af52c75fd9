"""Which output of an ONNX file is which: by the usual names, or as the user says."""

from __future__ import annotations

import numpy as np
import pytest
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

from validator import onnx_runtime
from validator.errors import ModelError, SettingsError
from validator.serving import Deployment, FailedArtifactError
from validator.settings.sources import resolve
from validator.worker.onnx_session import OnnxModel

_ROWS = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
_FITTED = LogisticRegression().fit(_ROWS, np.digitize(_ROWS[:, 0], [-0.5, 0.5]))


def stranger(*names: str) -> bytes:
    """The fitted model with outputs of these names: label, then probabilities."""
    from onnx import helper

    proto = to_onnx(_FITTED, _ROWS[:1], target_opset=17, options={"zipmap": False})
    for output, name in zip(proto.graph.output, names, strict=True):
        proto.graph.node.append(helper.make_node("Identity", [output.name], [name]))
        output.name = name
    data: bytes = proto.SerializeToString()
    return data


@pytest.mark.parametrize(
    ("found", "told", "ours"),
    [
        (["label_0", "output_probability"], {}, ["label", "probabilities"]),
        (["cls", "p"], {"label": "cls", "probabilities": "p"}, ["label", "probabilities"]),
        (["variable"], {"score": "variable"}, ["score"]),
        (["output_label", "label"], {}, ["output_label", "label"]),
        (["label_0", "class"], {}, ["label", "class"]),
        (["label", "p"], {"label": "p"}, ["other label", "label"]),
        (["x"], {}, ["x"]),
    ],
)
def test_names(found: list[str], told: dict[str, str], ours: list[str]) -> None:
    assert onnx_runtime.output_names(found, told) == ours


def test_unknown_names_are_refused_with_the_way_to_map_them() -> None:
    with pytest.raises(ModelError, match="outputs are cls, p") as caught:
        OnnxModel(stranger("cls", "p"))
    assert "onnx-outputs prediction=cls" in str(caught.value.hint)
    with pytest.raises(ModelError, match="no output 'q'; its outputs are cls, p"):
        OnnxModel(stranger("cls", "p"), outputs={"label": "q"})


def test_mapped_outputs_answer_in_the_gate_and_in_production() -> None:
    told = {"label": "cls", "probabilities": "p"}
    model = OnnxModel(stranger("cls", "p"), outputs=told)
    answer = model.predict(model.from_array(_ROWS))
    np.testing.assert_array_equal(answer.present["label"], _FITTED.predict(_ROWS))
    contract = {
        "features": [{"name": name, "dtype": "float64"} for name in "abc"],
        "task": "multiclass",
        "classes": [0, 1, 2],
        "n_outputs": 1,
        "allow_missing": False,
        "allow_infinite": False,
    }
    served = Deployment.for_validation(
        onnx=stranger("cls", "p"), contract={**contract, "onnx_outputs": told}
    ).predict(_ROWS.astype(np.float64))
    np.testing.assert_array_equal(served.label, answer.present["label"])
    np.testing.assert_array_equal(served.probabilities, answer.present["probabilities"])
    with pytest.raises(FailedArtifactError, match="outputs are cls, p"):
        Deployment.for_validation(onnx=stranger("cls", "p"), contract=contract)


def test_the_setting_is_a_table_or_a_line(tmp_path) -> None:
    told = {"label": "cls", "probabilities": "p"}
    assert resolve({"onnx_outputs": ["label=cls,probabilities=p"]}, {}, tmp_path).onnx_outputs == told
    (tmp_path / "preflight.toml").write_text('onnx_outputs = { label = "cls", probabilities = "p" }\n')
    assert resolve({}, {}, tmp_path).onnx_outputs == told
    for wrong in ("lable=cls", "label", "label=a,label=b"):
        with pytest.raises(SettingsError, match="onnx-outputs"):
            resolve({"onnx_outputs": [wrong]}, {}, tmp_path)

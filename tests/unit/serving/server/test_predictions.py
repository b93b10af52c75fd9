"""What is answered, by the protocol and by rows, against the deployment itself and the graph's own formula."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NAMES = [f"f{i}" for i in range(4)]
KNOWN = 1.0
ROW = {"f0": 0.1, "f1": -0.5, "f2": 2.0, "f3": 0.25}


def tensors(matrix: Any, datatype: str = "FP64", column: bool = False) -> list[dict[str, Any]]:
    matrix = np.asarray(matrix, dtype=float)
    shape = [len(matrix), 1] if column else [len(matrix)]
    return [
        {"name": name, "datatype": datatype, "shape": shape, "data": matrix[:, i].tolist()}
        for i, name in enumerate(NAMES)
    ]


def outputs(response: Any) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    return {one["name"]: np.array(one["data"]).reshape(one["shape"]) for one in response.json()["outputs"]}


@pytest.mark.parametrize("column", [False, True])
@pytest.mark.parametrize("n", [1, 2, 300, 3_000])
def test_tensors_by_name_are_answered_whatever_their_shape(ask, expected, n, column):
    matrix = np.random.default_rng(n).normal(size=(n, 4))
    found = outputs(ask.infer({"inputs": tensors(matrix, column=column)[::-1]}))
    assert found["label"].shape == (n,)
    assert found["probabilities"].shape == (n, 2)
    np.testing.assert_allclose(found["probabilities"][:, 1], expected(matrix), atol=1e-12)


def test_rows_are_answered_one_object_each(ask, expected):
    answer = ask.predict(ROW, {**ROW, "f3": -3.0}).json()
    assert answer["model_name"] == "m"
    found = [one["probabilities"][1] for one in answer["predictions"]]
    np.testing.assert_allclose(found, expected([list(ROW.values()), [0.1, -0.5, 2.0, -3.0]]))
    assert [one["label"] for one in answer["predictions"]] == [1, 0]


def test_one_row_and_many_have_the_same_form(ask):
    one, two = ask.predict(ROW).json(), ask.predict(ROW, ROW).json()
    assert one["predictions"] * 2 == two["predictions"]
    single, several = (outputs(ask.infer({"inputs": tensors([list(ROW.values())] * n)})) for n in (1, 2))
    assert {name: array.ndim for name, array in single.items()} == {
        name: array.ndim for name, array in several.items()
    }


def test_every_answer_has_an_id_of_its_own_and_repeats_the_callers(ask):
    first, second = ask.predict(ROW), ask.predict(ROW)
    assert first.headers["x-prediction-id"] == first.json()["prediction_id"]
    assert first.json()["prediction_id"] != second.json()["prediction_id"]
    asked = ask.infer({"id": "mine", "inputs": tensors([list(ROW.values())])})
    assert asked.json()["id"] == "mine"
    assert asked.json()["parameters"]["prediction_id"] == asked.headers["x-prediction-id"]
    assert "x-prediction-id" in ask.predict({}).headers


def test_a_matrix_says_which_features_its_columns_are(ask, expected):
    matrix = np.random.default_rng(1).normal(size=(3, 4))
    tensor = {
        "name": "features",
        "datatype": "FP64",
        "shape": [3, 4],
        "data": matrix[:, ::-1].ravel().tolist(),
    }
    refused = ask.infer({"inputs": [tensor]})
    assert (refused.status_code, refused.json()["type"]) == (422, "MissingFeatureError")
    for parameters in ({"columns": NAMES[::-1]}, {"columns": "f3,f2,f1,f0"}):
        found = outputs(ask.infer({"inputs": [{**tensor, "parameters": parameters}]}))
        np.testing.assert_allclose(found["probabilities"][:, 1], expected(matrix))
        found = outputs(ask.infer({"inputs": [tensor], "parameters": parameters}))
        np.testing.assert_allclose(found["probabilities"][:, 1], expected(matrix))


def test_a_matrix_without_names_is_taken_only_where_the_server_was_told_to(serving, expected):
    matrix = np.random.default_rng(1).normal(size=(3, 4))
    tensor = {"name": "x", "datatype": "FP64", "shape": [3, 4], "data": matrix.tolist()}
    found = outputs(serving(allow_positional=True).infer({"inputs": [tensor]}))
    np.testing.assert_allclose(found["probabilities"][:, 1], expected(matrix))


def test_the_wanted_outputs_are_given_and_no_others(ask):
    document = {"inputs": tensors([list(ROW.values())]), "outputs": [{"name": "probabilities"}]}
    assert list(outputs(ask.infer(document))) == ["probabilities"]
    document["outputs"] = [{"name": "score"}]
    refused = ask.infer(document)
    assert refused.status_code == 400
    assert "label, probabilities" in refused.json()["hint"]


def test_binary_tensors_are_taken_and_given(ask, expected):
    import orjson

    matrix = np.random.default_rng(2).normal(size=(5, 4))
    inputs = [
        {"name": name, "datatype": "FP64", "shape": [5], "parameters": {"binary_data_size": 40}}
        for name in NAMES
    ]
    head = orjson.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}})
    headers = {"Inference-Header-Content-Length": str(len(head))}
    body = head + b"".join(matrix[:, i].tobytes() for i in range(4))
    answer = ask("POST", "/v2/models/m/infer", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    length = int(answer.headers["inference-header-content-length"])
    told = orjson.loads(answer.content[:length])["outputs"]
    sizes = [one["parameters"]["binary_data_size"] for one in told]
    assert sizes == [40, 80]
    probabilities = np.frombuffer(answer.content[length + 40 :]).reshape(5, 2)
    np.testing.assert_allclose(probabilities[:, 1], expected(matrix))
    for wrong in (body[:-1], body + b"x"):
        assert ask("POST", "/v2/models/m/infer", content=wrong, headers=headers).status_code == 400


def test_texts_and_whole_numbers_of_a_mixed_model(serving, mixed):
    onnx, pipeline, sample, contract = mixed
    ask = serving(onnx, contract)
    part = sample.head(7)
    wanted = pipeline.predict_proba(part)
    kinds = {"plan": "BYTES", "visits": "INT64", "spend": "FP64"}
    inputs = [
        {"name": name, "datatype": kind, "shape": [7], "data": part[name].tolist()}
        for name, kind in kinds.items()
    ]
    found = outputs(ask.infer({"inputs": inputs}))
    np.testing.assert_allclose(found["probabilities"], wanted, atol=1e-5)
    assert found["label"].tolist() == pipeline.predict(part).tolist()
    texts = b"".join(struct.pack("<I", len(one)) + one.encode() for one in part["plan"])
    head = {"inputs": [{**inputs[0], "parameters": {"binary_data_size": len(texts)}}, *inputs[1:]]}
    import orjson

    document = orjson.dumps(head)
    binary = ask(
        "POST",
        "/v2/models/m/infer",
        content=document + texts,
        headers={"Inference-Header-Content-Length": str(len(document))},
    )
    assert outputs(binary)["label"].tolist() == found["label"].tolist()
    rows = ask.predict(*part.to_dict("records")).json()["predictions"]
    assert [one["label"] for one in rows] == found["label"].tolist()


def test_fp32_means_the_nearest_float32(ask, expected):
    row = [[0.1, 0.2, 0.3, 0.7]]
    found = outputs(ask.infer({"inputs": tensors(row, "FP32")}))
    rounded = np.array(row, dtype=np.float32).astype(float)
    assert found["probabilities"][0, 1] == pytest.approx(expected(rounded)[0], rel=1e-14)
    assert found["probabilities"][0, 1] != pytest.approx(expected(row)[0], rel=1e-10)


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        ({"f0": None}, 422, "MissingValueError"),
        ({"f0": "text"}, 422, "FeatureTypeError"),
        ({"f0": True}, 422, "FeatureTypeError"),
        ({"f0": [1.0]}, 422, "FeatureTypeError"),
        ({"f0": {}}, 422, "FeatureTypeError"),
        ({"f0": KNOWN, "f1": None, "f2": None}, 422, "MissingValueError"),
        ({"f9": KNOWN}, 422, "ExtraFeatureError"),
    ],
)
def test_a_breach_is_an_error_of_its_own_class_with_names_and_a_hint(ask, change, status, kind):
    answer = ask.predict({**ROW, **change})
    told = answer.json()
    assert (answer.status_code, told["type"]) == (status, kind)
    assert told["hint"]
    assert told["features"] == [name for name, value in change.items() if value is not KNOWN or name == "f9"]


@pytest.mark.parametrize(
    ("inputs", "kind"),
    [
        ([], "MalformedRequestError"),
        ([5], "MalformedRequestError"),
        ([{"name": "f0"}], "MalformedRequestError"),
        ([{"name": "f0", "datatype": "FP64", "shape": [2], "data": [1.0]}], "MalformedRequestError"),
        ([{"name": "f0", "datatype": "FP64", "shape": [-1], "data": []}], "MalformedRequestError"),
        ([{"name": "f0", "datatype": "FP65", "shape": [1], "data": [1.0]}], "MalformedRequestError"),
        ([{"name": "f0", "datatype": "INT64", "shape": [1], "data": [1.5]}], "MalformedRequestError"),
        ([{"name": "f0", "datatype": "INT8", "shape": [1], "data": [200]}], "MalformedRequestError"),
        ([{"name": "f0", "datatype": "FP32", "shape": [1], "data": [1e39]}], "MalformedRequestError"),
        ([{"name": "f0", "datatype": "BOOL", "shape": [1], "data": [1]}], "MalformedRequestError"),
        ([{"name": "f0", "datatype": "FP64", "shape": [1], "data": [True]}], "MalformedRequestError"),
        ([{"name": "f0", "datatype": "FP64", "shape": [1, 1, 1, 1], "data": [1.0]}], "MalformedRequestError"),
        (tensors([[1, 2, 3, 4]]) * 2, "MalformedRequestError"),
        ([*tensors([[1, 2, 3, 4]])[:3], tensors([[1, 2, 3, 4]] * 2)[3]], "ShapeError"),
        ([{"name": "f0", "datatype": "FP64", "shape": [1, 2], "data": [1.0, 2.0]}], "ShapeError"),
    ],
)
def test_malformed_tensors_are_refused_before_the_model_is_asked(ask, inputs, kind):
    answer = ask.infer({"inputs": inputs})
    assert (answer.status_code, answer.json()["type"]) == (400, kind)
    assert ask.samples()["preflight_requests_total{outcome=refused}"] == 1


def test_an_answer_that_breaks_the_contract_is_not_given(serving, logistic):
    ask = serving(logistic(tail=[("Mul", ["p", "two"], ["probabilities"], {})]))
    answer = ask.predict(ROW)
    assert (answer.status_code, answer.json()["type"]) == (500, "OutputValueError")
    assert ask.samples()["preflight_requests_total{outcome=invalid_output}"] == 1
    assert ask.samples()["preflight_rows_total"] == 0


def test_a_model_that_breaks_off_tells_the_caller_nothing_of_the_machine(ask, monkeypatch, capsys):
    def broken(_row):
        raise RuntimeError("/opt/secret/place: out of memory")

    monkeypatch.setattr(ask.service.predictor._deployment, "predict_single", broken)
    answer = ask.predict(ROW)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["x-prediction-id"] in capsys.readouterr().err
    assert ask.samples()["preflight_requests_total{outcome=error}"] == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=6) | st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)
keys = st.sampled_from(["name", "shape", "datatype", "data", "parameters", "f0", "f1"])
tensor_values = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from([*NAMES, "features", ""]) | json_values,
        "datatype": st.sampled_from(["FP64", "FP32", "INT64", "BYTES", "BOOL", "UINT8"]) | json_values,
        "shape": st.lists(st.integers(-1, 5), max_size=3) | json_values,
        "data": st.lists(json_values, max_size=5) | json_values,
        "parameters": st.dictionaries(st.sampled_from(["binary_data_size", "columns"]), json_values)
        | json_values,
    },
)
bodies = (
    st.binary(max_size=60)
    | st.fixed_dictionaries({"rows": json_values})
    | st.fixed_dictionaries(
        {"rows": st.lists(st.dictionaries(st.sampled_from(NAMES), json_values, min_size=3), max_size=3)}
    )
    | st.fixed_dictionaries(
        {"inputs": st.lists(tensor_values, max_size=5)},
        optional={"id": json_values, "outputs": json_values, "parameters": json_values},
    )
    | json_values
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=bodies,
    path=st.sampled_from(["/predict", "/v2/models/m/infer"]),
    header=st.none() | st.integers(-1, 200),
)
def test_no_body_makes_the_server_fail(ask, body, path, header):
    import json

    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {} if header is None else {"Inference-Header-Content-Length": str(header)}
    answer = ask("POST", path, content=content, headers=headers)
    assert answer.status_code in (200, 400, 413, 422), answer.text
    told = answer.json() if header is None or answer.status_code != 200 else {}
    if answer.status_code != 200:
        assert set(told) >= {"error", "type", "hint"}
        assert "Traceback" not in answer.text
        assert "/validator/" not in answer.text


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=4))
def test_every_way_to_ask_gives_the_deployments_own_answer(ask, values):
    row = dict(zip(NAMES, values, strict=True))
    wanted = ask.service.predictor._deployment.predict_single(row)
    by_rows = ask.predict(row).json()["predictions"][0]
    assert by_rows == {"label": wanted.label, "probabilities": wanted.probabilities}
    by_tensors = outputs(ask.infer({"inputs": tensors([values])}))
    assert by_tensors["probabilities"][0].tolist() == wanted.probabilities

"""Proves native trees and ONNX trees the same, and makes rows that would tell them apart.

It knows the model's serialised trees and the ONNX file, and has met neither the pickle nor a runtime.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from validator.sandbox import wire
from validator.sandbox.packing import pack_table, unpack_table
from validator.worker.serving import Answer

#: Operators whose sums or results are float32 in ONNX Runtime for inputs of every type.
SINGLE_PRECISION = frozenset(
    ("SVMClassifier", "SVMRegressor", "LinearClassifier", "LinearRegressor", "Normalizer", "Scaler", "Imputer",
     "TfIdfVectorizer", "TreeEnsembleClassifier", "TreeEnsembleRegressor", "FeatureVectorizer")
)  # fmt: skip


class JudgeJob:
    """Operations `trees`, then `prove`; `boundary`; `single`."""

    def __init__(self) -> None:
        self._ensemble: Optional[Any] = None

    def trees(self, arrays: wire.Arrays, header: Dict[str, Any], names: List[str]) -> Answer:
        from validator.libraries.read import read

        self._ensemble = read(header, dict(zip(names, arrays)))
        return {}, []

    def prove(self, arrays: wire.Arrays, names: List[str], missing: Optional[List[bool]] = None) -> Answer:
        """The ONNX file in, the proof or the counter-example out: a table of one row, its columns named `names`.

        `missing` says for each of those whether it may hold NaN; all may where it is None.
        """
        from validator.trees.proof import prove
        from validator.trees.rows.coding import coding_of_names, decode

        if self._ensemble is None:
            raise RuntimeError("no trees were given")
        proof = prove(self._ensemble, arrays[0], missing=_flags(missing))
        difference, bounds = proof.difference, proof.bounds
        table: Optional[wire.Meta] = None
        row: wire.Arrays = []
        if difference is not None and difference.row is not None:
            coding = coding_of_names(names, self._ensemble.feature_categories)
            table, row = pack_table(decode(difference.row.reshape(1, -1), coding))
        return {
            "row": table,
            "status": str(proof.status),
            "reason": proof.reason,
            "splits": proof.nodes,
            "bound": None if bounds is None else _finite(bounds.raw_in_order),
            "output_bound": None if bounds is None else _finite(bounds.output),
            "labels_exact": proof.labels_exact,
        }, row

    def single(self, arrays: wire.Arrays) -> Answer:
        """The ONNX file in; the operators in it that compute in float32 whatever they are given, out."""
        import onnx

        from validator.model.safety.onnx_graphs import graphs

        model = onnx.ModelProto()
        model.ParseFromString(arrays[0])
        used = {node.op_type for graph, _ in graphs(model) for node in graph.node}
        return {"operators": sorted(used & SINGLE_PRECISION)}, []

    def boundary(
        self,
        arrays: wire.Arrays,
        table: Any,
        limit: int,
        breakpoints: List[Dict[str, Any]],
        input_dtype: str,
        missing: Optional[List[bool]] = None,
    ) -> Answer:
        """A table at the model's own thresholds, or across its features' ranges where it has none."""
        from validator.trees.rows.boundary import boundary_rows, covering_rows
        from validator.trees.rows.coding import coding_of, decode, encode

        rows = unpack_table(table, arrays)
        listed = {} if self._ensemble is None else self._ensemble.feature_categories
        coding = coding_of(rows, listed=listed, also=[point["values"] for point in breakpoints])
        sample = encode(rows, coding)
        if self._ensemble is not None:
            made = boundary_rows(
                self._ensemble, sample, limit=limit, input_dtype=input_dtype, missing=_flags(missing)
            )
        else:
            made = covering_rows(sample, breakpoints=breakpoints, limit=limit, input_dtype=input_dtype)
        meta, packed = pack_table(decode(made, coding))
        return {"table": meta}, packed

    def marked(self, arrays: wire.Arrays) -> Answer:
        """The ONNX file in; what tells its leaves apart and what gives its raw scores out, where they can be had.

        `parts` names what follows: "leaves" an ONNX file, the leaves' values and where each tree's start; "raw" an
        ONNX file. `trees` is how many there are.
        """
        from validator.errors import ConversionError
        from validator.trees.onnx_reading.graph import NotUnderstoodError
        from validator.trees.rows.fingerprint import fingerprint_onnx, raw_scores_onnx

        onnx = bytes(arrays[0])
        parts: List[str] = []
        packed: wire.Arrays = []
        trees = 0
        try:
            marked = fingerprint_onnx(onnx, seed=len(onnx))
            trees = len(marked.starts) - 1
            packed += [_bytes(marked.data), marked.values, marked.starts]
            parts.append("leaves")
            # LightGBM's random forests give raw scores that are not divided by the number of trees.
            if self._ensemble is not None and self._ensemble.divisor == 1:
                packed.append(_bytes(raw_scores_onnx(onnx, self._ensemble)))
                parts.append("raw")
        except (ConversionError, NotUnderstoodError):
            # A file of another form: what it has inside is then not compared.
            pass
        return {"parts": parts, "trees": trees}, packed

    def met(self, arrays: wire.Arrays, table: Any, columns: int) -> Answer:
        """The fingerprints [N] of rows by the model's own trees, for libraries that do not tell their leaves."""
        import numpy as np

        from validator.libraries.leaves import sums_of
        from validator.trees.leaf_nodes import tree_of_leaf
        from validator.trees.rows.coding import coding_of, encode
        from validator.trees.walk import leaf_indices

        ensemble = self._ensemble
        if ensemble is None:
            return {"told": []}, []
        rows = unpack_table(table, arrays[:columns])
        values, starts = arrays[columns:]
        tree = tree_of_leaf(ensemble)
        order = np.argsort(tree, kind="stable")
        number = np.empty(len(tree), dtype=np.int64)
        number[order] = np.arange(len(tree)) - np.searchsorted(tree[order], tree[order])
        leaves = leaf_indices(ensemble, encode(rows, coding_of(rows, listed=ensemble.feature_categories)))
        return {"told": ["leaves"]}, [sums_of(values, starts, number[leaves])]


def _bytes(data: bytes) -> Any:
    import numpy as np

    return np.frombuffer(data, dtype=np.uint8)


def _flags(missing: Optional[List[bool]]) -> Optional[Any]:
    import numpy as np

    return None if missing is None else np.array(missing, dtype=bool)


def _finite(value: float) -> Optional[float]:
    """Infinity, which JSON does not have, as None: there is no bound."""
    return float(value) if value - value == 0 else None

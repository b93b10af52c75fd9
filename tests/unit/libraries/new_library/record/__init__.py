"""The record of `stumps_of_somebody`: all that the product needs to know of it, as CONTRIBUTING says."""

from __future__ import annotations

import re
from typing import Any

from validator.documents import DocumentError, read_json
from validator.libraries.library import Checked, Estimators, Format, KnownHazard, Library


def _live() -> Any:
    from validator.libraries.stumps_of_somebody.live import LiveStumps

    return LiveStumps()


def _read(header: Any, arrays: Any) -> Any:
    from validator.libraries.stumps_of_somebody.trees import read_export

    return read_export(header, arrays)


def _check(data: bytes, *, nodes: int) -> Checked:
    document = read_json(data, nodes=nodes)
    if not 0 <= document["feature"] < document["width"]:
        raise DocumentError("it splits on a feature that does not exist")
    return Checked(document["stumps"], {"split": str(document["cut"])})


LIBRARY = Library(
    name="stumps_of_somebody",
    shown="Stumps",
    distributions=("stumps-of-somebody",),
    live=_live,
    kind="stumps",
    read=_read,
    formats=(
        Format(
            name="stumps-json",
            shown="Stumps JSON",
            begins=re.compile(rb'\{"stumps"'),
            model_class="stumps_of_somebody.Stump",
            check=_check,
            remedy="Save it again.",
        ),
    ),
    estimators=(Estimators(module="stumps_of_somebody", stem="Stump", kinds=("",)),),
    hazards=(
        KnownHazard(
            id="lone-split",
            what="there is one split",
            elsewhere="others look for more",
            applies=lambda trees: trees.n_nodes == 1,
            shows=lambda facts: "split" in facts,
        ),
    ),
    numpy_2="1.1",
    mlflow_key="stumps_version",
)

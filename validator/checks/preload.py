"""What the zygotes import, so that nothing has to be imported after a worker has locked itself down.

In the order of need: a zygote imports what comes later while its first children already work.
"""

from __future__ import annotations

from collections.abc import Sequence

from validator.libraries.known import LIBRARIES

#: The zygotes, by what they have imported. The native one may run under another interpreter.
NATIVE, SERVING, TOOLS = "native", "serving", "tools"

SCANNING = ("numpy", "validator.model.safety.scanning", "validator.worker.jobs.scan")
READING = ("pyarrow.compute", "pyarrow.csv", "pyarrow.ipc", "pyarrow.parquet", "validator.worker.jobs.sample")
JUDGING = (
    "numpy.random",
    "onnx",
    "validator.libraries.convert",
    "validator.row_order",
    "validator.trees.rows.boundary",
    "validator.trees.proof",
    "validator.libraries.read",
    *(f"validator.libraries.{library.name}.trees" for library in LIBRARIES),
    "validator.trees.hazard",
    "validator.libraries.hazards",
    "validator.trees.rows.fingerprint",
    "validator.trees.writer",
    "validator.worker.jobs.convert",
    "validator.worker.jobs.judge",
)
MEASURING = ("sklearn.metrics", "validator.worker.jobs.measure", "validator.worker.quality.comparison")
ANSWERING = (
    "onnxruntime",
    "pandas",
    "pyarrow",
    "validator.serving.deployment",
    "validator.worker.jobs.forms",
)
FALLING_BACK = ("onnxruntime", "skl2onnx", "validator.pipelines.fallback")
RUNNING = (
    "difflib",
    "numpy",
    "onnxruntime",
    "validator.serving.deployment",
    "validator.worker.jobs.deployment",
    "validator.worker.jobs.onnx",
)
LOADING = (
    "validator.libraries.export",
    *(f"validator.libraries.{library.name}.live" for library in LIBRARIES),
    "validator.libraries.description",
    "validator.libraries.leaves",
    "validator.libraries.training",
    "validator.model.safety.loader",
    "validator.worker.jobs.export",
    "validator.worker.jobs.native",
)


def for_the_model(modules: Sequence[str], allow: Sequence[str]) -> list[str]:
    """What the native model's zygote may import: never the user's own packages, which run locked down only."""
    own = {pattern.split(".", 1)[0] for pattern in allow}
    return [*(name for name in modules if name.split(".", 1)[0] not in own), *LOADING]

"""Pickles whose code runs in the gate's workers when `--trust-pickle` lets them, each built around an honest model.

The code runs while the model is unpickled, with these names at hand: `honest()` makes the honest model, `model` is
what the load gives (at first None), `fd` the worker's channel, `job` the worker's job, `world` what a test put around
the run, and `tell(text)` ends the load with an error that carries the text: the only way out that a worker has.
"""

from __future__ import annotations

import functools
import json
import pickle
import textwrap
from typing import Any

#: Set into every text that an attack tells, so that a test can see that the attack ran.
RAN = "the attack ran"

_PRELUDE = """
import os, sys, pickle
world = __import__("json").loads(WORLD)
model = None
honest = lambda: pickle.loads(HONEST)
fd = 3
job = next((name for name in ("export", "native", "convert")
            if name.title() + "Job" in dir(sys.modules.get("validator.worker.jobs." + name)) and SHOWS(name)), "")
def tell(text):
    raise RuntimeError("the attack ran: " + str(text)[:15000])
"""

#: The job whose module is a frame of the running code, since a zygote has imported them all.
_SHOWS = """
def SHOWS(name):
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename.endswith("worker/jobs/" + name + ".py"):
            return True
        frame = frame.f_back
    return False
"""


class _Run:
    def __init__(self, source: str) -> None:
        self._source = source

    def __reduce__(self) -> Any:
        return eval, (f"(exec({self._source!r}, names := {{}}), names['model'])[1]",)


@functools.cache
def honest_model() -> Any:
    """A decision tree on three features: small, exactly convertible, quick to judge."""
    import numpy as np
    from sklearn.tree import DecisionTreeClassifier

    rows = honest_rows()
    truth = np.asarray(rows["a"] + rows["b"] > 0).astype(int)
    return DecisionTreeClassifier(max_depth=4, random_state=0).fit(rows, truth)


@functools.cache
def honest_rows() -> Any:
    import numpy as np
    import pandas as pd

    return pd.DataFrame(np.random.default_rng(0).normal(size=(300, 3)), columns=["a", "b", "c"])


def hostile_pickle(code: str, world: dict[str, Any] | None = None) -> bytes:
    """A pickle that runs the code where it is loaded, and gives what the code leaves in `model`."""
    head = f"WORLD = {json.dumps(world or {})!r}\nHONEST = {pickle.dumps(honest_model())!r}\n"
    source = head + "import sys\n" + _SHOWS + _PRELUDE + textwrap.dedent(code)
    return pickle.dumps(_Run(source))

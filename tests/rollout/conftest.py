"""The site that a module's drills share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rollout.site import Site, site


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site")) as one:
        yield one

"""The order of the tests: the long journeys first, so that no core is left idle at the end."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: "journeys" not in item.path.parts)

"""The kitchen sink's classes, as plain betterproto code and prepared."""

from types import ModuleType

import pytest

from angzarr import codec
from tests.codec.oracle import kitchen_pairs, load_kitchen


@pytest.fixture(scope="session")
def plain() -> ModuleType:
    return load_kitchen()


@pytest.fixture(scope="session")
def prepared() -> ModuleType:
    return load_prepared()


@pytest.fixture(params=["plain", "prepared"])
def kitchen(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.getfixturevalue(request.param)
    return module


def load_prepared() -> ModuleType:
    module = load_kitchen()
    for cls, _ in kitchen_pairs(module).values():
        codec.prepare(cls)
    return module

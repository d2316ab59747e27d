import pytest

from morl.worlds import preference_world


@pytest.fixture(scope="session")
def world():
    return preference_world()

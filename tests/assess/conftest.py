from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data():
    """The folder of real data sets, which is not part of the project."""
    folder = Path(__file__).parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the real data sets in ../shared/data")
    return folder

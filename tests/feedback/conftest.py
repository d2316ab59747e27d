from pathlib import Path

import pytest

from morl.feedback import read_hh


@pytest.fixture(scope="session")
def data():
    """The folder of real data sets, which is not part of the project."""
    folder = Path(__file__).parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the real data sets in ../shared/data")
    return folder


@pytest.fixture(scope="session")
def helpful(data):
    """HH's helpful records, and what was skipped."""
    reports = []
    return read_hh(data, "helpful", report=reports.append), reports


@pytest.fixture(scope="session")
def harmless(data):
    """HH's harmless records, and what was skipped."""
    reports = []
    return read_hh(data, "harmless", report=reports.append), reports

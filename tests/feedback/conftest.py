import pytest

from morl.feedback import read_hh


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

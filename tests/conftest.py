from pathlib import Path

import jax
import matplotlib
import pytest

matplotlib.use("Agg")
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture(scope="session")
def data():
    """The folder of real data sets, which is not part of the project."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the real data sets in ../shared/data")
    return folder

import os
from pathlib import Path

import jax
import matplotlib
import pytest

matplotlib.use("Agg")
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")

MOST_BYTES = 2**30  # of compiled programs that a run begins with; the oldest go first


def pytest_configure(config):
    """Keeps compiled programs between runs and shares them between workers.

    Compiling is most of what the tests do. Only of this process: what a test kills
    would leave half of an entry. `make clean` forgets them.
    """
    folder = Path(config.cache.mkdir("programs"))
    if not hasattr(config, "workerinput"):  # once, before there are workers
        forget_oldest(folder)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # With a limit of its own the cache looks through all entries, under a lock that
    # workers share, for each that it adds: most of the time of a run, in the end.
    jax.config.update("jax_compilation_cache_max_size", -1)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def forget_oldest(folder):
    """Deletes programs of former runs until those that are left take little room."""
    found = sorted(folder.iterdir(), key=lambda path: -path.stat().st_mtime)
    kept = 0
    for path in found:
        kept += path.stat().st_size
        if kept > MOST_BYTES:
            path.unlink()


# A process may have 65,530 memory maps on Linux, and a program that XLA compiled for a
# CPU keeps several: without this, a few thousand tests end in a segmentation fault.
MOST_MAPS = 30_000


@pytest.fixture(autouse=True, scope="module")
def bounded_programs():
    """Forgets compiled programs behind a test file that leaves too many."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture(scope="session")
def data():
    """The folder of real data sets, which is not part of the project.

    MORL_DATA names it. CI has it: there, under MORL_CI=1, a missing one is a failure.
    """
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("MORL_DATA") or beside)
    if not folder.is_dir():
        stop = pytest.fail if os.environ.get("MORL_CI") == "1" else pytest.skip
        stop(f"needs the real data sets: MORL_DATA, or {beside}")
    return folder

"""Its place makes `tests/` importable, for the helpers that tests of several packages share."""

import pytest

import sim2real  # noqa: F401  (chooses EGL before MuJoCo is imported)
from sim2real.runs import Run
from tests.small import trained


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that is trained a little, for tests of what comes after training."""
    return trained(tmp_path_factory.mktemp("small"))

"""One torch thread for all of these tests, as for those of the agents."""

from tests.agents.conftest import one_thread  # noqa: F401

"""One torch thread, as in the tests of the agents."""

from tests.agents.conftest import one_thread  # noqa: F401

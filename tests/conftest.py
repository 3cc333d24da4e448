"""Its place makes `tests/` importable, for the helpers that tests of several packages share."""

from typing import Any, ClassVar

import pytest

import sim2real  # noqa: F401  (chooses EGL before MuJoCo is imported)
from sim2real.runs import Run
from sim2real.worlds import Studio
from tests.small import trained


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that is trained a little, for tests of what comes after training."""
    return trained(tmp_path_factory.mktemp("small"))


class SharedContext:
    """An OpenGL context that outlives the renderers which think it theirs."""

    own: ClassVar[Any] = None

    def __init__(self, width: int, height: int) -> None:
        import mujoco

        if SharedContext.own is None:
            SharedContext.own = mujoco.GLContext(width, height)

    def __getattr__(self, name: str) -> Any:
        return getattr(SharedContext.own, name)

    def free(self) -> None:
        """Leave it to the next."""


@pytest.fixture
def one_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all renderers share a context: in each new one Mesa compiles its shaders anew, which takes long."""
    import mujoco
    from mujoco.rendering.classic import gl_context

    current = Studio._current

    def restored(studio: Studio) -> Any:
        context = current(studio)
        mujoco.mjr_restoreBuffer(context)  # another may have drawn since
        return context

    monkeypatch.setattr(Studio, "_current", restored)
    monkeypatch.setattr(gl_context, "GLContext", SharedContext)

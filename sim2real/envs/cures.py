"""What other packages need from this one, when and only when somebody imports them.

Gymnasium is told of the native tasks, and some are cured of what stops them on this MuJoCo. Importing this
imports none of them: what drives a robot does without.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def _gymnasium() -> None:
    from sim2real.envs.registry import register

    register()


def _robotics() -> None:
    from sim2real.envs.compat import patch_gymnasium_robotics

    patch_gymnasium_robotics()


def _dm_control() -> None:
    from sim2real.envs.compat import patch_dm_control

    patch_dm_control()


# module → what to do once it has been imported
CURES: dict[str, Callable[[], None]] = {
    "gymnasium": _gymnasium,
    "gymnasium_robotics.utils.mujoco_utils": _robotics,
    "dm_control.mujoco.wrapper.mjbindings.sizes": _dm_control,
}


class _Cured(Loader):
    """Loads a module as its own loader does, and then cures it."""

    def __init__(self, loader: Loader, cure: Callable[[], None]) -> None:
        self._loader, self._cure = loader, cure

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Do as the module's own loader."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Load the module, and cure it."""
        self._loader.exec_module(module)
        self._cure()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


class _Finder(MetaPathFinder):
    """Finds the modules that need a cure, by asking everyone else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module that needs a cure; None for all others."""
        if fullname not in CURES:
            return None
        for finder in sys.meta_path:
            if isinstance(finder, _Finder) or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _Cured(spec.loader, CURES[fullname])
                return spec
        return None


def cure_on_import() -> None:
    """Cure what is imported already, and the rest when it will be; harmless when called again."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    for name, cure in CURES.items():
        if sys.modules.get(name) is not None:
            importlib.import_module(name)
            cure()

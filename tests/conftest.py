"""Its place makes `tests/` importable, for the helpers that tests of several packages share."""

import sim2real  # noqa: F401  (chooses EGL before MuJoCo is imported)

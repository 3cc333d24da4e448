"""Every bad spec gets exactly the message that a person reviewed.

After a change of wording run `SIM2REAL_REGEN=1 pytest tests/spec/test_golden.py`, then read
`git diff tests/golden` as someone who has made the mistake and knows nothing of the code.
"""

import os
from pathlib import Path

import pytest

from sim2real.agents.registry import AGENTS
from sim2real.envs.external import check_external
from sim2real.envs.registry import nominal_model
from sim2real.spec import Catalog, SpecError, load_text
from sim2real.transfer.curricula import CURRICULA, check_curriculum
from sim2real.transfer.registry import check_set

BAD = sorted((Path(__file__).parents[1] / "golden" / "bad").glob("*.yaml"))
MODELS = {}


def model(name, options):
    """The nominal model, compiled once for all files."""
    key = name, repr(options)
    if key not in MODELS:
        MODELS[key] = nominal_model(name, options)
    return MODELS[key]


CATALOG = Catalog(
    model,
    {name: entry.config for name, entry in AGENTS.items()},
    curricula={name: entry.settings for name, entry in CURRICULA.items()},
    checks={("train", "curriculum"): check_curriculum},
    set_check=check_set,
    external=check_external,
)


def message_of(path: Path) -> str:
    with pytest.raises(SpecError) as caught:
        load_text(path.read_text(encoding="utf-8"), path.name, CATALOG)
    return str(caught.value) + "\n"


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_message(path):
    message = message_of(path)
    if os.environ.get("SIM2REAL_REGEN"):
        path.with_suffix(".txt").write_text(message, encoding="utf-8")
    assert message == path.with_suffix(".txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_message_is_made_for_people(path):
    lines = path.with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    assert lines
    for line in lines:
        assert line.startswith(f"{path.name}:")
        for jargon in ("Input should", "pydantic", "Traceback", "None", "True", "False", "<", "__"):
            assert jargon not in line.replace("`<<:`", "")

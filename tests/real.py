"""Logs of a real SO-101 and its public model: beside the checkout, or where SIM2REAL_SO101 says."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SO101 = Path(os.environ.get("SIM2REAL_SO101", ROOT.parent / "shared/data/so101"))
LOGS = SO101 / "logs"
PUBLIC = SO101 / "model/so101_public.xml"
SPEC = ROOT / "assets/specs/so101_reach.yaml"
needs_data = pytest.mark.skipif(not LOGS.exists(), reason="needs ../shared/data/so101, which is not there")

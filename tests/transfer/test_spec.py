"""The spec that comes with the fine-tuning modes."""

from pathlib import Path

from sim2real.session import CATALOG
from sim2real.spec import load

SPEC = Path(__file__).parents[2] / "assets" / "specs" / "finetune" / "pendulum.yaml"


def test_the_spec_has_one_held_out_target_and_the_shots_of_a_curve():
    bundle = load(SPEC, CATALOG)
    assert bundle.spec.evaluate.shots == (0, 1, 5, 20)
    (target,) = bundle.targets.values()
    assert target.held_out
    assert target.distance > 0

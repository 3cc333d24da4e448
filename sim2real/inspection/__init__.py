"""The doctor of a spec: what varies, whether it changes anything and why not, and what is unstable."""

from sim2real.inspection.describe import describe
from sim2real.inspection.effects import Effect, effects
from sim2real.inspection.pictures import preview
from sim2real.inspection.tables import parameter_rows

__all__ = ["Effect", "describe", "effects", "parameter_rows", "preview"]

"""N simulated worlds on one nominal model, each in its own domain."""

from sim2real.worlds.render import RenderingUnavailableError, Studio
from sim2real.worlds.servos import Servos
from sim2real.worlds.worlds import UNRECORDED, Worlds

__all__ = ["UNRECORDED", "RenderingUnavailableError", "Servos", "Studio", "Worlds"]

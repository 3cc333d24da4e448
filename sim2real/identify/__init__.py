"""Parameters from logs: a search of the cube, what the logs say of each, and a spec whose source that is."""

from sim2real.identify.posterior import Posterior
from sim2real.identify.result import Identified
from sim2real.identify.run import Method, Request, identify

__all__ = ["Identified", "Method", "Posterior", "Request", "identify"]

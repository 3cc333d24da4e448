"""UP-OSI (Yu et al. 2017, arXiv 1702.02453): a universal policy with online system identification.

The estimator says the domain itself. What differs from the paper: one pass of the second phase in place of
several, since every new state is learned from as soon as it is seen.
"""

from __future__ import annotations

from sim2real.transfer.estimating import Estimating, EstimatingConfig


class UPOSIConfig(EstimatingConfig):
    """Universal policy with online system identification (Yu et al. 2017): acts on an estimated domain."""


class UPOSI(Estimating):
    """A universal policy that estimates the domain it is in; arguments and use as in `ActorCritic`."""

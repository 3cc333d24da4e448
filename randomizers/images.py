"""What a camera makes of what it sees: exposure, blur and noise of the finished picture."""

from typing import ClassVar

import mujoco
import numpy as np

from randomizers.base import Bounds, Parameter
from randomizers.distributions import Floats
from randomizers.kinds import Draw, Lens
from randomizers.operations import OperationTerm


class ImageTerm(OperationTerm, Lens):
    """One number of a camera's picture that is nominally 0."""

    def parameters(self, model: mujoco.MjModel) -> dict[str, Parameter]:
        """One parameter, nominally 0."""
        return {"": self.parameter(np.zeros(1), ("",))}


class ImageExposure(ImageTerm):
    """Exposure in stops: one stop doubles every number of the picture; what is too bright turns white."""

    unit: ClassVar[str] = "stop"
    bounds: ClassVar[Bounds] = (-8.0, 8.0)

    def develop(self, values: Floats, image: Floats, draw: Draw) -> Floats:
        """Return the picture times 2^stops; see `Lens.develop`."""
        return np.clip(image * 2.0 ** values[0], 0.0, 1.0)


class ImageBlur(ImageTerm):
    """Standard deviation of a Gaussian blur, in pixels of the picture at the size in which it is taken."""

    unit: ClassVar[str] = "px"
    bounds: ClassVar[Bounds] = (0.0, 64.0)

    def develop(self, values: Floats, image: Floats, draw: Draw) -> Floats:
        """Return the blurred picture, its edges continued; see `Lens.develop`."""
        if values[0] == 0:
            return image
        from scipy.ndimage import gaussian_filter

        return np.asarray(gaussian_filter(image, (values[0], values[0], 0.0), mode="nearest"))


class ImageNoise(ImageTerm):
    """Standard deviation of Gaussian noise on every pixel and channel, as a share of full scale, fresh."""

    bounds: ClassVar[Bounds] = (0.0, 1.0)

    def develop(self, values: Floats, image: Floats, draw: Draw) -> Floats:
        """Return the picture plus σ z; see `Lens.develop`."""
        if values[0] == 0:
            return image
        return np.clip(image + values[0] * draw.normal(image.size).reshape(image.shape), 0.0, 1.0)

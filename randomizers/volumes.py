"""Volumes of bodies, from their geoms."""

import mujoco
import numpy as np

from randomizers.distributions import Floats

_MESHES = (int(mujoco.mjtGeom.mjGEOM_MESH), int(mujoco.mjtGeom.mjGEOM_SDF))


def geom_volume(model: mujoco.MjModel, geom: int) -> float:
    """Return one geom's volume [m^3]; 0 for planes and height fields."""
    kind, (a, b, c) = int(model.geom_type[geom]), model.geom_size[geom].tolist()
    if kind in _MESHES:
        return mesh_volume(model, int(model.geom_dataid[geom]))
    ball = 4 / 3 * np.pi
    volumes = {
        int(mujoco.mjtGeom.mjGEOM_SPHERE): ball * a**3,
        int(mujoco.mjtGeom.mjGEOM_CAPSULE): ball * a**3 + 2 * np.pi * a**2 * b,
        int(mujoco.mjtGeom.mjGEOM_ELLIPSOID): ball * a * b * c,
        int(mujoco.mjtGeom.mjGEOM_CYLINDER): 2 * np.pi * a**2 * b,
        int(mujoco.mjtGeom.mjGEOM_BOX): 8 * a * b * c,
    }
    return volumes.get(kind, 0.0)


def mesh_volume(model: mujoco.MjModel, mesh: int) -> float:
    """Return the volume enclosed by a mesh [m^3]: the signed tetrahedra from the origin to its faces."""
    first, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
    vertices = model.mesh_vert[first : first + count].astype(np.float64)
    first, count = int(model.mesh_faceadr[mesh]), int(model.mesh_facenum[mesh])
    corners = vertices[model.mesh_face[first : first + count]]
    return abs(float(np.linalg.det(corners).sum())) / 6


def body_volumes(model: mujoco.MjModel) -> Floats:
    """Return every body's volume (nbody,) [m^3]: of the geoms that collide if it has any, else of all.

    Robots often have a shape to be seen and another to be touched; counting both would count twice.
    """
    touched = (np.asarray(model.geom_contype) | np.asarray(model.geom_conaffinity)) != 0
    volumes = np.zeros((2, model.nbody))
    for geom in range(model.ngeom):
        volumes[int(touched[geom]), model.geom_bodyid[geom]] += geom_volume(model, geom)
    visual, solid = volumes
    return np.where(solid > 0, solid, visual)

"""What a picture shows of a model: materials, lights, cameras and textures by name, and what stays hidden.

All of it is true of MuJoCo's classic renderer with its default options.
"""

from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from randomizers.checks import Refusal
from randomizers.select import Selection, matcher
from randomizers.words import did_you_mean

Mask = NDArray[np.bool_]
_COUNTS = {"geom": "ngeom", "material": "nmat", "light": "nlight", "camera": "ncam", "texture": "ntex"}
_SURFACES = ("geom", "site", "tendon", "skin", "flex")
# MuJoCo lets the material's colour through only where the geom has this one.
UNSET_RGBA = np.array([0.5, 0.5, 0.5, 1.0])
_SHOWN_GROUPS = 3
_TARGETING = (int(mujoco.mjtCamLight.mjCAMLIGHT_TARGETBODY), int(mujoco.mjtCamLight.mjCAMLIGHT_TARGETBODYCOM))
_COLOR_ROLES = (int(mujoco.mjtTextureRole.mjTEXROLE_RGB), int(mujoco.mjtTextureRole.mjTEXROLE_RGBA))
_SKYBOX = int(mujoco.mjtTexture.mjTEXTURE_SKYBOX)


def find(model: mujoco.MjModel, kind: str, pattern: str) -> Selection:
    """Find what a regular expression names, as `randomizers.select.select` does; geoms also by their body.

    Args:
        model: The compiled model.
        kind: `geom`, `material`, `light`, `camera` or `texture`.
        pattern: A Python regular expression, matched against the whole name; `.*` means unnamed ones too.

    Raises:
        ValueError: If the pattern is not valid or matches nothing; lists what exists.
    """
    matches = matcher(pattern)
    names = [_name(model, kind, i) for i in range(int(getattr(model, _COUNTS[kind])))]
    owners = [model.body(model.geom_bodyid[i]).name if kind == "geom" else "" for i in range(len(names))]
    pairs = list(zip(names, owners, strict=True))
    ids = [i for i, pair in enumerate(pairs) if pattern == ".*" or any(x and matches(x) for x in pair)]
    if not ids:
        known = [x for x in dict.fromkeys(names + owners) if x]
        hint = did_you_mean(pattern, known) or ("" if names else "; the model has none")
        hint = hint or "; those of the model have no names, and only '.*' means them"
        raise ValueError(f"'{pattern}' matches no {kind}{hint}")
    return Selection(np.array(ids), tuple(names[i] or f"{owners[i] or kind}[{i}]" for i in ids))


def showing(model: mujoco.MjModel, kind: str, pattern: str, refusals: Sequence[Refusal]) -> Selection:
    """Find what a pattern names; of `.*` without what a picture would not show, unless that is everything."""
    found = find(model, kind, pattern)
    wrong = np.zeros(len(found.ids), dtype=bool)
    for refusal in refusals:
        wrong |= refusal.wrong(model)[found.ids]
    if pattern != ".*" or wrong.all():
        return found
    kept = np.flatnonzero(~wrong)
    return Selection(found.ids[kept], tuple(found.labels[i] for i in kept))


def _name(model: mujoco.MjModel, kind: str, i: int) -> str:
    name = str(getattr(model, {"texture": "tex"}.get(kind, kind))(i).name)
    sky = kind == "texture" and not name and model.tex_type[i] == _SKYBOX
    return "skybox" if sky else name


def own_color(model: mujoco.MjModel, kind: str = "geom") -> Mask:
    """Return which geoms (or sites, …) show their own colour, and not their material's."""
    rgba, material = getattr(model, f"{kind}_rgba"), getattr(model, f"{kind}_matid")
    return np.asarray((rgba != UNSET_RGBA).any(axis=1) | (material < 0))


def visible(model: mujoco.MjModel, kind: str = "geom") -> Mask:
    """Return which geoms (or sites, …) are drawn at all."""
    alpha = np.array(getattr(model, f"{kind}_rgba")[:, 3])
    lent = ~own_color(model, kind)
    alpha[lent] = model.mat_rgba[getattr(model, f"{kind}_matid")[lent], 3]
    return np.asarray((alpha > 0) & (getattr(model, f"{kind}_group") < _SHOWN_GROUPS))


def shown_materials(model: mujoco.MjModel, colors: bool) -> Mask:
    """Return which materials some drawn surface has; with `colors`, which lend their colour to one."""
    shown = np.zeros(model.nmat, dtype=bool)
    for kind in _SURFACES:
        material = np.asarray(getattr(model, f"{kind}_matid"))
        wanted = visible(model, kind) & (material >= 0)
        shown[material[wanted & ~own_color(model, kind) if colors else wanted]] = True
    return shown


def mirrors(model: mujoco.MjModel) -> Mask:
    """Return which materials lie on a drawn plane or box, the only geoms that reflect."""
    flat = np.isin(model.geom_type, (int(mujoco.mjtGeom.mjGEOM_PLANE), int(mujoco.mjtGeom.mjGEOM_BOX)))
    found = np.zeros(model.nmat, dtype=bool)
    found[model.geom_matid[flat & visible(model) & (model.geom_matid >= 0)]] = True
    return found


def shown_textures(model: mujoco.MjModel) -> Mask:
    """Return which textures color a drawn surface; of several skies MuJoCo draws the first."""
    shown = np.zeros(model.ntex, dtype=bool)
    used = model.mat_texid[shown_materials(model, colors=False)][:, _COLOR_ROLES].ravel()
    shown[used[used >= 0]] = True
    shown[np.flatnonzero(model.tex_type == _SKYBOX)[:1]] = True
    return shown


def _targeting(mode: NDArray[np.int32]) -> Mask:
    return np.isin(mode, _TARGETING)


def _of_type(model: mujoco.MjModel, *types: int) -> Mask:
    return np.isin(model.light_type, [int(t) for t in types])


_GROUP = "is invisible (alpha 0, or in a group above 2)"
_LIGHT = mujoco.mjtLightType
COLORED_GEOMS = (
    Refusal(
        lambda m: ~own_color(m),
        "shows the colour of its material",
        advice="use material_color, or a narrower select",
    ),
    Refusal(lambda m: ~visible(m), _GROUP),
)
COLORED_MATERIALS = (
    Refusal(
        lambda m: ~shown_materials(m, colors=True),
        "lends its colour to nothing that is drawn (a geom's own colour hides it)",
        advice="use geom_color, or a narrower select",
    ),
)
SHOWN_MATERIALS = (
    Refusal(lambda m: ~shown_materials(m, colors=False), "is the material of nothing that is drawn"),
)
MIRRORS = (Refusal(lambda m: ~mirrors(m), "is not on a plane or box, and nothing else reflects"),)
SHOWN_TEXTURES = (Refusal(lambda m: ~shown_textures(m), "colors nothing that is drawn"),)
SHINING = (
    Refusal(lambda m: np.asarray(m.light_active == 0), "is switched off"),
    Refusal(
        lambda m: _of_type(m, _LIGHT.mjLIGHT_POINT, _LIGHT.mjLIGHT_IMAGE),
        "is a point or image light, which the renderer leaves out",
    ),
)
PLACED_LIGHTS = (
    *SHINING,
    Refusal(
        lambda m: _of_type(m, _LIGHT.mjLIGHT_DIRECTIONAL) & ~_targeting(m.light_mode),
        "is a directional light, for which only the direction counts",
        advice="use light_direction, or a narrower select",
    ),
)
AIMED_LIGHTS = (
    *SHINING,
    Refusal(
        lambda m: _targeting(m.light_mode),
        "always shines on its target body, whatever its direction",
        advice="use light_position, or a narrower select",
    ),
)
AIMED_CAMERAS = (
    Refusal(
        lambda m: _targeting(m.cam_mode),
        "always looks at its target body, whatever its angle",
        advice="use camera_position, or a narrower select",
    ),
)
SIMPLE_LENSES = (
    Refusal(
        lambda m: np.asarray(m.cam_projection != int(mujoco.mjtProjection.mjPROJ_PERSPECTIVE)),
        "is orthographic: its field of view is no angle",
    ),
    Refusal(
        lambda m: np.asarray(m.cam_sensorsize[:, 1] > 0),
        "has a sensor, whose size and focal length give its field of view",
        advice="use focal_length, or a narrower select",
    ),
)
SENSORS = (
    Refusal(
        lambda m: np.asarray(m.cam_sensorsize[:, 1] == 0),
        "has no sensor size, so its focal length does nothing",
        advice="use field_of_view, or a narrower select",
    ),
)

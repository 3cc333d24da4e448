"""What terms that only pictures show promise: the picture changes as it should, and nothing else does."""

import copy
import pickle

import mujoco
import numpy as np
import plant
import pytest
from bench import MODELS, corners, edited, fresh, model_of, roll, source
from visual_samples import EDITING, GALLERY, OTHERS, SAMPLES

from randomizers import Randomizer, seen, textures
from randomizers.images import ImageBlur, ImageExposure, ImageNoise
from randomizers.looks import LOOKS
from randomizers.optics import OPTICS
from randomizers.registry import BUILTIN
from sim2real.envs.pictures import Photographer
from sim2real.spec import Moment, Program
from sim2real.worlds import Studio

SIZE = (96, 80)


def cases(samples):
    return [
        pytest.param(model, {"type": name, **body}, id=f"{name}-{model}-{k}")
        for name, uses in samples.items()
        for k, (model, body) in enumerate(uses)
    ]


each = pytest.mark.parametrize("name, body", cases(SAMPLES))
each_editing = pytest.mark.parametrize("name, body", cases(EDITING))
each_other = pytest.mark.parametrize("name, body", cases(OTHERS))


def program_on(name, **bodies):
    model = with_coarse_shadows(model_of(name))
    return Program(model, {key: plant.read_term(body) for key, body in bodies.items()})


def with_coarse_shadows(model):
    """A copy of a model, whose pictures take half the time so, and are as good to compare."""
    own = copy.copy(model)
    own.vis.quality.shadowsize = 512
    return own


def camera_of(name, body=None):
    if name == GALLERY:
        return "lens" if body and body["type"] == "focal_length" else "view"
    return plant.task_and_model(name)[0].camera


def draws(world=0, step=0):
    return Moment(0, *(np.array([x]) for x in (world, 0, step))).draw


def begun(program, values):
    worlds = plant.worlds_in(program, values)
    worlds.reset(np.arange(len(values)))
    return worlds


@pytest.fixture
def shoot(one_context):
    """Takes a picture of a world; one photographer for each program."""
    made = {}

    def take(program, worlds, world, camera, step=0):
        photographer = made.setdefault(id(program), Photographer(program))
        return photographer.of_world(worlds, world, *SIZE, camera, draws(world, step))

    yield take
    for photographer in made.values():
        photographer.close()


def plain(model, camera):
    """A picture of a model's starting state by MuJoCo's own renderer."""
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = mujoco.Renderer(with_coarse_shadows(model), SIZE[1], SIZE[0])
    try:
        renderer.update_scene(data, camera)
        return renderer.render()
    finally:
        renderer.close()


def test_every_term_has_a_sample():
    assert set(SAMPLES) == {*LOOKS, *OPTICS, "texture", "image_exposure", "image_blur", "image_noise"}
    assert set(SAMPLES) <= set(BUILTIN)
    assert all(issubclass(BUILTIN[name], Randomizer) == (name in EDITING) for name in SAMPLES)


@each
def test_extremes_change_the_picture(name, body, shoot):
    program = program_on(name, it=body)
    worlds = begun(program, np.concatenate([program.nominal[None], corners(program)]))
    nominal, *changed = (shoot(program, worlds, i, camera_of(name, body)) for i in range(4))
    assert all((picture != nominal).any(axis=-1).mean() > 0.002 for picture in changed)
    assert (changed[0] != changed[1]).any()


@each
def test_nominal_values_give_mujocos_own_picture_bit_for_bit(name, body, shoot):
    program, camera = program_on(name, it=body), camera_of(name, body)
    worlds = begun(program, np.stack([corners(program)[1], program.nominal]))
    before = program.model.tex_data.copy()
    shoot(program, worlds, 0, camera)
    np.testing.assert_array_equal(shoot(program, worlds, 1, camera), plain(program.model, camera))
    np.testing.assert_array_equal(program.model.tex_data, before)


@each
def test_physics_is_the_same_bit_for_bit(name, body):
    program = program_on(name, it=body)
    path = roll(program, np.concatenate([program.nominal[None], corners(program)]), name, steps=30)
    assert (path == path[:, :1]).all()


@each
def test_no_world_sees_the_looks_of_another(name, body, shoot):
    program, camera = program_on(name, it=body), camera_of(name, body)
    n = 4
    values = program.values(program.quantiles(3, np.arange(n), np.zeros(n, dtype=np.int64)))
    values[2] = program.nominal
    worlds = begun(program, values)
    in_order = [shoot(program, worlds, i, camera) for i in range(n)]
    assert any((in_order[0] != other).any() for other in in_order[1:])
    for world in (3, 0, 2, 1, 0):
        np.testing.assert_array_equal(shoot(program, worlds, world, camera), in_order[world])
    alone = Photographer(program)
    np.testing.assert_array_equal(alone.of_world(worlds, 1, *SIZE, camera, draws(1)), in_order[1])
    alone.close()


@each
def test_terms_survive_pickling(name, body):
    term = plant.read_term(body)
    again = pickle.loads(pickle.dumps(term))
    assert type(again) is type(term) and again == term
    assert list(again.parameters(model_of(name))) == list(term.parameters(model_of(name)))


@each_editing
def test_a_runtime_edit_equals_a_freshly_compiled_model(name, body, shoot):
    program, camera = program_on(name, it=body), camera_of(name, body)
    values = corners(program)
    worlds = begun(program, values)
    for i, v in enumerate(values):
        picture, anew = shoot(program, worlds, i, camera), plain(compiled(name, program, v), camera)
        # The compiler normalizes quaternions and directions anew, which may move single pixels at edges.
        assert (np.abs(picture.astype(int) - anew.astype(int)) > 2).mean() < 1e-3


@each_editing
def test_what_is_written_is_what_is_declared(name, body):
    program = program_on(name, it=body)
    values = corners(program)
    worlds = begun(program, values)
    for i, v in enumerate(values):
        assert plant.differing(worlds.model(i), edited(program, v)) == []
    touched, fields = program.bound[0].term.touches(program.model), program.fields(values)
    assert set(touched) == set(fields) == set(program.writes)
    for field, rows in fields.items():
        nominal = np.array(plant.field(program.model, field), dtype=np.float64)
        changed = np.unique(np.nonzero(rows != nominal)[1])
        assert set(changed) <= set(touched[field].tolist())
    worlds.set_domains(np.arange(3), np.repeat(program.nominal[None], 3, axis=0))
    assert plant.differing(worlds.model(1), program.model) == []


def compiled(name, program, v):
    """Write a domain's fields into the model's source, element by element, and compile it."""
    spec, model = source(name), program.model
    for field, (row,) in program.fields(v[None]).items():
        if field.startswith("vis."):
            setattr(spec.visual.headlight, field.rpartition(".")[2], row)
            continue
        kind, _, word = field.partition("_")
        elements = {"geom": "geoms", "mat": "materials", "light": "lights", "cam": "cameras"}[kind]
        word = {"fovy": "fovy", "intrinsic": "focal_length"}.get(word, word)
        for element in getattr(spec, elements):
            new = row[element.id]
            if (new == plant.field(model, field)[element.id]).all():
                continue
            if word == "quat":
                element.alt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT
            setattr(element, word, new[:2] if word == "focal_length" else new)
    return fresh(spec)


def test_a_texture_equals_one_that_was_compiled_in(shoot):
    body = {"type": "texture", "select": "tiles|wood|skybox", "patterns": "noise"}
    program = program_on(GALLERY, it=body)
    worlds = begun(program, corners(program)[2:])
    model = mujoco.MjModel.from_xml_path(str(MODELS / "gallery.xml"))
    assert program.bound[0].term.paint(worlds.values[0], model).tolist() == [0, 1, 2]
    np.testing.assert_array_equal(shoot(program, worlds, 0, "view"), plain(model, "view"))


def test_a_texture_stays_still_while_time_goes_on(shoot):
    program = program_on(GALLERY, it={"type": "texture", "select": ".*", "patterns": "noise"})
    worlds = begun(program, corners(program)[2:])
    first = shoot(program, worlds, 0, "view", step=0)
    np.testing.assert_array_equal(shoot(program, worlds, 0, "view", step=7), first)


def test_noise_is_fresh_at_each_step_and_keyed():
    program = program_on(GALLERY, it={"type": "image_noise", "set": 0.1})
    worlds = begun(program, np.repeat(corners(program)[:1], 2, axis=0))
    photographer = Photographer(program)
    a, b, other, again = (
        photographer.of_world(worlds, w, *SIZE, "view", draws(w, step))
        for w, step in ((0, 0), (0, 1), (1, 0), (0, 0))
    )
    photographer.close()
    assert (a != b).any() and (a != other).any()
    np.testing.assert_array_equal(a, again)


def test_neighbouring_variants_of_noise_blend_into_each_other():
    points = textures._points(48, 48, textures._FLAT)
    here, near, far = (textures._noise(points, 4, x) for x in (0.3, 0.3001, 0.4))
    assert np.abs(near - here).max() < 0.05 < np.abs(far - here).mean()
    assert here.min() < 0.2 and here.max() > 0.8


def test_noise_repeats_without_a_seam():
    mix = textures._noise(textures._points(96, 96, textures._FLAT), 3, 0.5)
    inside = np.abs(np.diff(mix, axis=1)).max()
    assert np.abs(mix[:, 0] - mix[:, -1]).max() <= 1.5 * inside
    # Every edge of the cube's faces meets a neighbour: points on the cube decide, not faces.
    cube = textures._points(6 * 32, 32, textures._CUBE).reshape(6, 32, 32, 3)
    outward = cube.reshape(6, -1, 3).mean(axis=1) - 0.5
    np.testing.assert_allclose(np.abs(outward).max(axis=1), 0.5, atol=1e-6)
    assert len(np.unique(np.round(outward, 3), axis=0)) == 6


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_textures_of_any_number_of_channels_are_painted(channels):
    spec = mujoco.MjSpec.from_string(
        """<mujoco><asset><texture name="t" type="2d" builtin="flat" width="8" height="8"/>
        <material name="m" texture="t"/></asset>
        <worldbody><geom size=".1" material="m"/></worldbody></mujoco>"""
    )
    model = spec.compile()
    # As if an image file had brought other channels.
    model.tex_nchannel[0] = channels
    model.tex_data[:] = 7
    term = plant.read_term({"type": "texture", "select": "t", "patterns": "flat"})
    if channels == 4:
        model.tex_height[0] = 6
    term.paint(np.array([4, 2, 0, 1.0, 0.5, 0.25, 0, 0, 0]), model)
    expected = {1: [149], 3: [255, 128, 64], 4: [255, 128, 64, 7]}[channels]
    assert model.tex_data[:channels].tolist() == expected


def test_exposure_blur_and_noise_do_what_they_say():
    image = np.random.default_rng(0).uniform(0.2, 0.4, (40, 40, 3))
    term = dict(type="x", set=0.0)
    exposure, blur, noise = (cls.model_validate(term) for cls in (ImageExposure, ImageBlur, ImageNoise))
    draw = draws()("it")
    np.testing.assert_allclose(exposure.develop(np.array([1.0]), image, draw), 2 * image)
    np.testing.assert_allclose(exposure.develop(np.array([-1.0]), image, draw), image / 2)
    blurred = blur.develop(np.array([2.0]), image, draw)
    assert blurred.std() < image.std() / 3 and abs(blurred.mean() - image.mean()) < 1e-3
    assert abs((noise.develop(np.array([0.05]), image, draw) - image).std() - 0.05) < 0.003
    for lens in (exposure, blur, noise):
        np.testing.assert_array_equal(lens.develop(np.zeros(1), image, draw), image)


def test_a_photographer_takes_any_size_with_one_context():
    program = program_on(GALLERY, it={"type": "texture", "select": ".*"})
    worlds = begun(program, corners(program)[2:])
    photographer = Photographer(program)
    small = photographer.of_world(worlds, 0, 32, 24, "view", draws())
    large = photographer.of_world(worlds, 0, 1300, 1100, "view", draws())
    assert small.shape == (24, 32, 3) and large.shape == (1100, 1300, 3)
    np.testing.assert_array_equal(photographer.of_world(worlds, 0, 32, 24, "view", draws()), small)
    photographer.close()
    np.testing.assert_array_equal(photographer.of_world(worlds, 0, 32, 24, "view", draws()), small)
    photographer.close()


def test_an_environments_own_model_looks_as_a_world_does_and_keeps_its_textures(shoot):
    program = program_on(
        GALLERY, t={"type": "texture", "select": ".*"}, e={"type": "image_exposure", "add": 1}
    )
    worlds = begun(program, corners(program))
    model = worlds.model(0)
    before, data = model.tex_data.copy(), mujoco.MjData(model)
    photographer = Photographer(program)
    state = np.zeros(mujoco.mj_stateSize(model, int(mujoco.mjtState.mjSTATE_INTEGRATION)))
    for i in (0, 2, 1, 0):
        picture = photographer.of_env(model, data, worlds.values[i], *SIZE, "view", draws(i))
        np.testing.assert_array_equal(picture, shoot(program, worlds, i, "view"))
    mujoco.mj_getState(model, data, state, int(mujoco.mjtState.mjSTATE_INTEGRATION))
    assert (data.xpos == 0).all(), "the environment's own data is read only"
    np.testing.assert_array_equal(model.tex_data, before)
    photographer.close()


def test_two_studios_do_not_mix():
    model = model_of(GALLERY)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    one, two = Studio(model, 64, 64), Studio(model, 48, 48)
    first = one.render(data, "view")
    two.render(data, "tracking")
    np.testing.assert_array_equal(one.render(data, "view"), first)
    two.close()
    np.testing.assert_array_equal(one.render(data, "view"), first)
    one.close()


REFUSED = {
    "hidden by its material": (
        GALLERY,
        {"type": "geom_color", "select": "cube", "set": [0, 1]},
        "cube shows the colour of its material; use material_color, or a narrower select",
    ),
    "invisible": (
        GALLERY,
        {"type": "geom_color", "select": "ghost|behind", "set": [0, 1]},
        "ghost, behind is invisible",
    ),
    "hidden by its geom": (
        GALLERY,
        {"type": "material_color", "select": "hidden", "add": "±0.2"},
        "hidden lends its colour to nothing that is drawn (a geom's own colour hides it); use geom_color",
    ),
    "no materials": (
        "Pusher-v5",
        {"type": "material_color", "select": "wood", "add": "±0.2"},
        "'wood' matches no material; the model has none",
    ),
    "dull": (GALLERY, {"type": "material_shininess", "select": "dull", "set": [0, 1]}, "dull has specular 0"),
    "no mirror": (
        GALLERY,
        {"type": "material_reflectance", "select": "clay", "set": [0, 1]},
        "clay is not on a plane or box",
    ),
    "too much": (
        GALLERY,
        {"type": "material_specular", "select": "clay", "add": [0, 0.5]},
        "must be between -0.8 and 0.2",
    ),
    "far light": (
        "Hopper-v5",
        {"type": "light_position", "select": ".*", "add": "±1"},
        "only the direction counts",
    ),
    "target light": (
        GALLERY,
        {"type": "light_direction", "select": "follower", "add": "±5 deg"},
        "always shines on its target",
    ),
    "light that is off": (
        GALLERY,
        {"type": "light_diffuse", "select": "off", "scale": [0, 1]},
        "switched off",
    ),
    "point light": (
        GALLERY,
        {"type": "light_position", "select": "point", "add": "±1"},
        "which the renderer leaves out",
    ),
    "no lights": (
        "InvertedDoublePendulum-v5",
        {"type": "light_diffuse", "select": ".*", "scale": [0, 1]},
        "'.*' matches no light; the model has none",
    ),
    "unnamed light": (
        "Hopper-v5",
        {"type": "light_diffuse", "select": "lamp", "scale": [0, 1]},
        "those of the model have no names, and only '.*' means them",
    ),
    "target camera": (
        GALLERY,
        {"type": "camera_angle", "select": "following", "add": "±5 deg"},
        "always looks at its target body",
    ),
    "sensor": (
        GALLERY,
        {"type": "field_of_view", "select": "lens", "scale": [0.5, 1]},
        "use focal_length",
    ),
    "orthographic": (
        GALLERY,
        {"type": "field_of_view", "select": "flat", "scale": [0.5, 1]},
        "is orthographic",
    ),
    "no sensor": (
        GALLERY,
        {"type": "focal_length", "select": "view", "scale": [0.5, 1]},
        "use field_of_view",
    ),
    "half a turn": (
        GALLERY,
        {"type": "field_of_view", "select": "view", "set": [1, 4]},
        "must be between 0.0174533 and 3.12",
    ),
    "no textures": (
        "Pusher-v5",
        {"type": "texture", "select": ".*"},
        "the model has no textures; use geom_color or material_color",
    ),
    "texture of nothing": (
        GALLERY,
        {"type": "texture", "select": "unused"},
        "unused colors nothing that is drawn",
    ),
    "colours beyond": (
        GALLERY,
        {"type": "texture", "select": "wood", "colors": [0, 2]},
        "colors must be between 0 and 1",
    ),
    "misspelt": (
        GALLERY,
        {"type": "texture", "select": "woode"},
        "'woode' matches no texture; did you mean 'wood'?",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_picture_would_show_is_refused(case):
    name, body, message = REFUSED[case]
    with pytest.raises(ValueError) as error:
        plant.read_term(body).parameters(model_of(name))
    assert message in str(error.value)


@pytest.mark.parametrize(
    "edit, refusals, kind",
    [
        (lambda m, i: m.light_pos.__setitem__(i, m.light_pos[i] + 0.3), seen.PLACED_LIGHTS, "light"),
        (lambda m, i: m.light_dir.__setitem__(i, [0.6, 0, -0.8]), seen.AIMED_LIGHTS, "light"),
        (lambda m, i: m.light_diffuse.__setitem__(i, 0.1), seen.SHINING, "light"),
        (lambda m, i: m.mat_rgba.__setitem__(i, [1, 0, 1, 1]), seen.COLORED_MATERIALS, "material"),
        (
            lambda m, i: m.mat_specular.__setitem__(i, (m.mat_specular[i] + 0.4) % 1),
            seen.SHOWN_MATERIALS,
            "material",
        ),
        (lambda m, i: m.tex_data.__setitem__(_texels(m, i), 99), seen.SHOWN_TEXTURES, "texture"),
    ],
    ids=["light_pos", "light_dir", "light_diffuse", "mat_rgba", "mat_specular", "texture"],
)
def test_the_renderer_ignores_exactly_what_is_refused(edit, refusals, kind, one_context):
    model = model_of(GALLERY)
    before = plain(model, "view")
    for i in range(getattr(model, seen._COUNTS[kind])):
        refused = any(r.wrong(model)[i] for r in refusals)
        other = fresh(source(GALLERY))
        edit(other, i)
        mujoco.mj_setConst(other, mujoco.MjData(other))
        assert (plain(other, "view") == before).all() == refused, i


@pytest.mark.parametrize(
    "shape, mirrors", [("plane", True), ("box", True), ("ellipsoid", False), ("cylinder", False)]
)
def test_only_planes_and_boxes_mirror(shape, mirrors):
    model = mujoco.MjModel.from_xml_string(
        f"""<mujoco><asset><material name="m" rgba=".5 .5 .5 1"/></asset><worldbody><light pos="0 0 3"/>
        <geom type="{shape}" size=".9 .9 .5" material="m"/>
        <geom type="box" size=".1 .1 .3" pos="0 .2 .9" rgba="1 0 0 1"/>
        <camera name="view" pos="0 -2 1.6" xyaxes="1 0 0 0 .5 .8"/></worldbody></mujoco>"""
    )
    before = plain(model, "view")
    model.mat_reflectance[0] = 0.8
    assert (plain(model, "view") != before).any() == mirrors == (not seen.MIRRORS[0].wrong(model)[0])


@pytest.mark.parametrize("camera, ignored", [("view", False), ("tracking", False), ("following", True)])
def test_cameras_that_look_at_a_body_ignore_their_angle(camera, ignored):
    other = fresh(source(GALLERY))
    i = other.camera(camera).id
    mujoco.mju_quatIntegrate(other.cam_quat[i], np.array([0.1, 0.05, 0.1]), 1.0)
    mujoco.mj_setConst(other, mujoco.MjData(other))
    assert (plain(other, camera) == plain(model_of(GALLERY), camera)).all() == ignored
    assert bool(seen.AIMED_CAMERAS[0].wrong(other)[i]) == ignored


def test_everything_means_all_that_shows():
    term = plant.read_term({"type": "geom_color", "select": ".*", "set": [0, 1]})
    assert term.selection(model_of(GALLERY)).labels == ("post", "painted")
    term = plant.read_term({"type": "light_position", "select": ".*", "add": "±1"})
    assert term.selection(model_of(GALLERY)).labels == ("lamp", "follower")
    term = plant.read_term({"type": "texture", "select": ".*"})
    assert term.selection(model_of(GALLERY)).labels == ("skybox", "tiles", "wood")


def test_a_colour_never_turns_into_that_of_the_material():
    program = program_on(GALLERY, it={"type": "geom_color", "select": "painted", "set": 0.5})
    rgba = program.fields(corners(program)[:1])["geom_rgba"][0, model_of(GALLERY).geom("painted").id]
    assert (rgba.astype(np.float32) != seen.UNSET_RGBA).any()


def _texels(model, i):
    size = int(model.tex_height[i] * model.tex_width[i] * model.tex_nchannel[i])
    return slice(int(model.tex_adr[i]), int(model.tex_adr[i]) + size)

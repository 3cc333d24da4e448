"""Servos against their law written plainly, one number at a time, around a loop of `mj_step`."""

import copy

import gymnasium as gym
import mujoco
import numpy as np
import plant
import pytest

from randomizers import lookup
from sim2real.envs.domains import fixed
from sim2real.envs.wrapper import RandomizedEnv
from sim2real.spec import Program
from sim2real.worlds import Worlds

# A link that gravity pulls at, and a light one that it does not; both geared, one the other way round.
GEARED = """<mujoco>
  <option timestep=".002" integrator="implicitfast"/>
  <worldbody>
    <body><joint name="lift" axis="0 1 0" frictionloss=".05" armature=".01" damping=".02"/>
      <geom type="capsule" fromto="0 0 0 .2 0 0" size=".02" mass=".3" contype="0"/></body>
    <body pos="0 1 0"><joint name="turn" axis="0 0 1" frictionloss=".02" armature=".01"/>
      <geom type="capsule" fromto="0 0 0 .2 0 0" size=".02" mass=".1" contype="0"/></body>
  </worldbody>
  <actuator>
    <position name="lift" joint="lift" kp="8" kv=".4" gear="2" forcerange="-3 3" ctrlrange="-2 2"/>
    <position name="turn" joint="turn" kp="9" kv=".3" gear="-1.5"/>
  </actuator>
</mujoco>"""
ALL = {
    "acceleration": [5, 60],
    "speed": [1, 9],
    "period": ["0 ms", "11 ms"],
    "dead_band": [0, "1 deg"],
    "torque_limit": [0.3, 3],
    "backlash": [0, "4 deg"],
    "load_friction": [0, 0.6],
    "stiction": [0, 2],
    "stribeck_velocity": [0.05, 0.5],
}
GAINS = {"type": "kp", "select": ".*", "scale": [0.01, 0.5]}
LOSS = {"type": "friction_loss", "select": ".*", "scale": [0.5, 4]}


def geared():
    return mujoco.MjSpec.from_string(GEARED).compile()


def arm():
    return plant.task_and_model("SO101Reach-v0")[1]


def program_of(model, **terms):
    return Program(model, {name: plant.read_term(body) for name, body in terms.items()})


def servo(**components):
    return {"type": "servo", "select": ".*", **components}


def drawn(program, n, seed=3):
    return program.values(program.quantiles(seed, np.arange(n), np.zeros(n, dtype=np.int64)))


def controls_for(model, steps, n, seed=0):
    """Steps of commands that stay for a while, some of them out of range."""
    asked = np.random.default_rng(seed).uniform(-1.5, 1.5, (steps // 20 + 1, n, model.nu))
    return np.repeat(asked, 20, axis=0)[:steps]


class Plain:
    """One servo's law, one number after the other."""

    def __init__(self, model, actuator, own):
        self.i, self.own = actuator, {**dict.fromkeys(ALL, 0.0), **own}
        self.joint = model.actuator_trnid[actuator, 0]
        self.gear = model.actuator_gear[actuator, 0]
        self.place = self.pace = self.error = self.wait = self.slack = None

    def __call__(self, model, data, told):
        own, dt = self.own, model.opt.timestep
        kp, kd = model.actuator_gainprm[self.i, 0], -model.actuator_biasprm[self.i, 2]
        speed = data.qvel[model.jnt_dofadr[self.joint]]
        q, v = self.gear * data.qpos[model.jnt_qposadr[self.joint]], self.gear * speed
        if self.place is None:
            self.place, self.pace, self.error, self.wait, self.slack = q, 0.0, 0.0, 0.0, 0.0
        if model.actuator_ctrllimited[self.i]:
            told = min(max(told, model.actuator_ctrlrange[self.i, 0]), model.actuator_ctrlrange[self.i, 1])
        place = self.profile(told, dt)
        if own["period"] or own["dead_band"] or own["torque_limit"]:
            place = self.shape(place, q, dt, kp)
        force = kp * (place - q) - kd * v
        if model.actuator_forcelimited[self.i]:
            force = min(
                max(force, model.actuator_forcerange[self.i, 0]), model.actuator_forcerange[self.i, 1]
            )
        if own["backlash"]:
            half = own["backlash"] / 2
            self.slack = min(max(self.slack + dt * force / kd, -half), half)
            if np.sign(force) * self.slack < half:
                place, force = q + kd * v / kp, 0.0
        loss = model.dof_frictionloss[model.jnt_dofadr[self.joint]]
        still = np.exp(-abs(speed) / own["stribeck_velocity"]) if own["stribeck_velocity"] else 0.0
        return place, loss * (1 + own["stiction"] * still) + own["load_friction"] * abs(self.gear * force)

    def profile(self, goal, dt):
        a, most = self.own["acceleration"], self.own["speed"]
        if not (a or most):
            return goal
        gap, stopping = goal - self.place, np.inf
        if a:
            stopping = 0.5 * (a * dt) * (np.sqrt(1 + 8 * abs(gap) / (a * dt * dt)) - 1)
        wished = np.sign(gap) * min(stopping, abs(gap) / dt, most if most else np.inf)
        change = wished - self.pace
        self.pace += min(max(change, -a * dt), a * dt) if a else change
        self.place += self.pace * dt
        return self.place

    def shape(self, place, q, dt, kp):
        if self.wait <= 1e-6 * dt or not self.own["period"]:
            self.error, self.wait = place - q, max(self.wait + self.own["period"], 0.0)
        self.wait = self.wait - dt if self.own["period"] else 0.0
        left = np.sign(self.error) * max(abs(self.error) - self.own["dead_band"], 0.0)
        if self.own["torque_limit"]:
            end = self.own["torque_limit"] / kp
            left = min(max(left, -end), end)
        return q + left


def plain(model, own, qpos, qvel, ctrl):
    """Roll one world out under servos whose effects are `own`, a dictionary for each."""
    data, law = mujoco.MjData(model), [Plain(model, i, effects) for i, effects in enumerate(own)]
    loss = model.dof_frictionloss.copy()
    data.qpos[:], data.qvel[:] = qpos, qvel
    mujoco.mj_forward(model, data)
    path = []
    for told in ctrl:
        model.dof_frictionloss[:] = loss
        found = [one(model, data, u) for one, u in zip(law, told, strict=True)]
        for one, (place, rubbing) in zip(law, found, strict=True):
            data.ctrl[one.i] = place
            model.dof_frictionloss[model.jnt_dofadr[one.joint]] = rubbing
        mujoco.mj_step(model, data)
        path.append(np.concatenate([data.qpos, data.qvel]))
    return np.array(path)


def effects_in(program, v, name="it"):
    """The effects of each actuator in a domain (d,)."""
    model, found = program.model, []
    for i in range(model.nu):
        prefix = f"{name}.{model.actuator(i).name}."
        own = {n.removeprefix(prefix): v[k] for k, n in enumerate(program.names) if n.startswith(prefix)}
        found.append(own)
    return found


def worlds_at(program, v, qpos, qvel, threads=1):
    worlds = plant.worlds_in(program, v, threads)
    plant.put(worlds, qpos, qvel)
    return worlds


def walked(worlds, ctrl):
    path = []
    for told in ctrl:
        worlds.bind("ctrl")[:] = told
        worlds.step(1)
        path.append(np.concatenate([worlds.bind("qpos"), worlds.bind("qvel")], 1))
    return np.array(path)


@pytest.mark.parametrize("model", [geared, arm])
@pytest.mark.parametrize("effects", [*ALL, "all"])
def test_worlds_equal_the_law_around_mj_step_bit_for_bit(model, effects):
    model, n = model(), 3
    given = ALL if effects == "all" else {effects: ALL[effects]}
    if effects in ("stiction", "stribeck_velocity"):
        given = {name: ALL[name] for name in ("stiction", "stribeck_velocity")}
    program = program_of(model, gains=GAINS, loss=LOSS, it=servo(**given))
    v = drawn(program, n)
    qpos = np.repeat(model.qpos0[None], n, axis=0)
    qvel, ctrl = np.full((n, model.nv), 0.3), controls_for(model, 150, n)
    expected = [
        plain(plant.edited(program, v[i]), effects_in(program, v[i]), qpos[i], qvel[i], ctrl[:, i])
        for i in range(n)
    ]
    for threads in (1, 2):
        worlds = worlds_at(program, v, qpos, qvel, threads)
        np.testing.assert_array_equal(walked(worlds, ctrl), np.stack(expected, axis=1))
        assert not worlds.failed.any()
        # What commands and domains say is left as it was.
        np.testing.assert_array_equal(worlds.bind("ctrl"), ctrl[-1])
        assert all(plant.differing(worlds.model(i), plant.edited(program, v[i])) == [] for i in range(n))
    played = worlds_at(program, v, qpos, qvel).play(np.swapaxes(ctrl, 0, 1), np.arange(n), ("qpos", "qvel"))
    path = np.concatenate([played["qpos"], played["qvel"]], axis=2)
    np.testing.assert_array_equal(np.swapaxes(path, 0, 1), np.stack(expected, axis=1))


@pytest.mark.parametrize("model", [geared, arm])
def test_nominal_servos_are_those_of_mujoco_bit_for_bit(model):
    model = model()
    program, bare = program_of(model, it=servo(**ALL)), program_of(model)
    qpos, qvel, ctrl = model.qpos0[None], np.full((1, model.nv), 0.3), controls_for(model, 200, 1)
    ours = worlds_at(program, program.nominal[None], qpos, qvel)
    theirs = worlds_at(bare, bare.nominal[None], qpos, qvel)
    np.testing.assert_array_equal(walked(ours, ctrl), walked(theirs, ctrl))


def test_a_subset_of_worlds_steps_as_it_would_alone_and_a_reset_forgets():
    model, n = arm(), 4
    program = program_of(model, it=servo(**ALL))
    v, ctrl = drawn(program, n), controls_for(model, 60, n)
    qpos, qvel = np.repeat(model.qpos0[None], n, axis=0), np.zeros((n, model.nv))
    whole, parts = (worlds_at(program, v, qpos, qvel) for _ in range(2))
    path = walked(whole, ctrl)
    for told in ctrl:
        parts.bind("ctrl")[:] = told
        for ids in (np.array([0, 2]), np.array([1, 3])):
            parts.step(1, ids)
    np.testing.assert_array_equal(parts.bind("qpos"), whole.bind("qpos"))
    plant.put(whole, qpos, qvel)
    np.testing.assert_array_equal(walked(whole, ctrl), path)


def test_worlds_go_on_bit_for_bit_from_what_they_saved():
    model = arm()
    program = program_of(model, it=servo(**ALL))
    v, ctrl = drawn(program, 2), controls_for(model, 80, 2)
    worlds = worlds_at(program, v, np.repeat(model.qpos0[None], 2, axis=0), np.zeros((2, model.nv)))
    walked(worlds, ctrl[:37])
    other = Worlds(program, 2)
    other.load_state_dict(copy.deepcopy(worlds.state_dict()))
    np.testing.assert_array_equal(walked(other, ctrl[37:]), walked(worlds, ctrl[37:]))


class Foreign(gym.Env):
    """An environment of somebody else's: it calls `mj_step` itself, some steps at once."""

    def __init__(self, model, skip=7):
        self.model, self.data, self.frame_skip = copy.copy(model), mujoco.MjData(model), skip
        self.action_space = gym.spaces.Box(-2, 2, (model.nu,), np.float64)
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (model.nq,), np.float64)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        mujoco.mj_resetData(self.model, self.data)
        mujoco.mj_forward(self.model, self.data)
        return self._get_obs(), {}

    def step(self, action):
        self.data.ctrl[:] = action
        mujoco.mj_step(self.model, self.data, nstep=self.frame_skip)
        return self._get_obs(), 0.0, False, False, {}

    def _get_obs(self):
        return self.data.qpos.copy()


@pytest.mark.parametrize("model", [geared, arm])
@pytest.mark.parametrize("late", [{}, {"late": {"type": "action_latency", "set": "6 ms"}}])
def test_a_wrapped_environment_does_what_worlds_do(model, late):
    model, skip = model(), 7
    program = program_of(model, gains=GAINS, it=servo(**ALL), **late)
    v = drawn(program, 1)
    told = controls_for(model, 40 * skip, 1)[:: 2 * skip].repeat(2, axis=0)
    wrapped = RandomizedEnv(Foreign(model, skip), program, fixed(v[0]))
    for _ in range(2):  # an episode leaves nothing to the next
        wrapped.reset(seed=0)
        seen = np.array([wrapped.step(one[0])[0] for one in told])
    ctrl = np.repeat(told, skip, axis=0)
    if late:
        # Before the first action has come, an environment is told to rest.
        ctrl = np.concatenate([np.zeros((3, *ctrl.shape[1:])), ctrl[:-3]])
    worlds = worlds_at(program, v, model.qpos0[None], np.zeros((1, model.nv)))
    path = walked(worlds, ctrl)[skip - 1 :: skip, 0, : model.nq]
    np.testing.assert_array_equal(seen, path)
    base = wrapped.unwrapped
    assert plant.differing(base.model, plant.edited(program, v[0])) == []
    np.testing.assert_array_equal(base.data.ctrl, ctrl[-1, 0] if late else told[-1, 0])


# What the effects mean.

BAR = """<mujoco>
  <option timestep=".001" integrator="implicitfast" {option}/>
  <worldbody><body><joint name="j" axis="0 1 0" {joint}/>
    <geom type="box" size=".01 .01 .01" pos="-.2 0 0" mass="{mass}" contype="0"/></body></worldbody>
  <actuator><position name="j" joint="j" kp="10" kv=".5"/></actuator>
</mujoco>"""


WEIGHTLESS = 'gravity="0 0 0"'
FIRM = 'armature=".01" solimpfriction=".9999 .9999 .001" frictionloss=".1"'


def bar(mass=0.0001, joint='armature=".01"', option=WEIGHTLESS, **components):
    model = mujoco.MjSpec.from_string(BAR.format(option=option, joint=joint, mass=mass)).compile()
    program = program_of(model, it=servo(**components))
    values = program.values(np.full((1, program.d), 0.5))
    worlds = worlds_at(program, values, np.zeros((1, 1)), np.zeros((1, 1)))
    worlds.bind("actuator_force")
    return worlds


def place_of(worlds):
    return worlds.servos.state_dict()["place"][0, 0]


def test_a_profile_is_the_fastest_that_stops_in_time():
    worlds, far, a = bar(acceleration=40.0), 1.0, 40.0
    worlds.bind("ctrl")[:] = far
    seen = []
    for _ in range(400):
        worlds.step(1)
        seen.append(place_of(worlds))
    time, seen = 0.001 * np.arange(1, 401), np.array(seen)
    half = np.sqrt(far / a)
    exact = np.where(time < half, a * time**2 / 2, far - a * np.maximum(2 * half - time, 0) ** 2 / 2)
    np.testing.assert_allclose(seen, exact, atol=0.01)  # a step of 1 ms at a top speed of 6.3 rad/s
    assert seen.max() <= far * (1 + 1e-5) and seen[-1] == pytest.approx(far, abs=1e-9)


def test_a_speed_limit_is_the_slope_of_the_set_point():
    worlds = bar(speed=2.0)
    worlds.bind("ctrl")[:] = 1.0
    worlds.step(300)
    assert place_of(worlds) == pytest.approx(0.6, abs=1e-9)
    worlds.step(300)
    assert place_of(worlds) == pytest.approx(1.0, abs=1e-9)


def test_an_error_is_held_for_the_period():
    worlds, errors = bar(period=0.005), []
    worlds.bind("ctrl")[:] = 0.3
    for _ in range(40):
        worlds.step(1)
        errors.append(worlds.servos.state_dict()["error"][0, 0])
    assert len(np.unique(errors)) == 8 and all(len(set(errors[i : i + 5])) == 1 for i in range(0, 40, 5))
    assert errors[0] == 0.3


def test_in_the_dead_band_nothing_happens_and_beyond_it_less():
    worlds = bar(dead_band=0.1)
    worlds.bind("ctrl")[:] = 0.0999
    worlds.step(500)
    assert worlds.bind("qpos")[0, 0] == 0.0
    worlds.bind("ctrl")[:] = 0.5
    worlds.step(3000)
    assert worlds.bind("qpos")[0, 0] == pytest.approx(0.4, abs=0.02)  # it coasts, with damping alone


def test_a_limited_servo_stalls_under_its_limit_and_runs_as_fast_as_damping_lets_it():
    held = bar(mass=1.0, option="", torque_limit=1.5)  # 1.96 N m of weight at level
    held.bind("ctrl")[:] = 0.5
    held.step(1)
    assert held.bind("actuator_force")[0, 0] == pytest.approx(1.5)
    held.step(100)
    assert held.bind("qpos")[0, 0] < -0.03
    free = bar(torque_limit=1.5)
    free.bind("ctrl")[:] = 3.0
    free.step(500)
    assert free.bind("qvel")[0, 0] == pytest.approx(1.5 / 0.5, rel=1e-3)


def test_a_motor_crosses_its_backlash_before_it_moves_the_joint():
    worlds = bar(backlash=0.02)
    worlds.bind("ctrl")[:] = 0.5
    moved = []
    for _ in range(30):
        worlds.step(1)
        moved.append(worlds.bind("qvel")[0, 0])
    # From the middle of the play: 0.01 rad at 10 N m/rad · 0.5 rad / 0.5 N m s/rad = 10 rad/s.
    assert np.argmax(np.array(moved) > 1e-6) == 0  # 1 ms at 10 rad/s
    slow = bar(backlash=0.02)
    slow.bind("ctrl")[:] = 0.05
    first = next(i for i in range(200) if slow.step(1) or slow.bind("qvel")[0, 0] > 1e-6)
    assert first == 9  # 0.01 rad at 1 rad/s, in steps of 1 ms


@pytest.mark.parametrize("direction", [-1.0, 1.0])
def test_gears_rub_as_much_as_they_transmit(direction):
    share, weight, loss = 0.4, 9.81 * 0.2 * 0.5, 0.1
    worlds = bar(mass=0.5, joint=FIRM, option="", load_friction=share)
    # The weight pulls down, towards −q. Upwards |τ| = w + F₀ + μ |τ|, and downwards |τ| = w − F₀ − μ |τ|.
    upwards, downwards = (weight + loss) / (1 - share), (weight - loss) / (1 + share)
    wanted = upwards if direction > 0 else downwards
    for i in range(4000):  # slowly, about where it is level
        worlds.bind("ctrl")[:] = wanted / 10 + direction * 0.05 * (0.001 * i - 1.5)
        worlds.step(1)
    assert worlds.bind("qvel")[0, 0] == pytest.approx(direction * 0.05, rel=0.05)
    assert worlds.bind("actuator_force")[0, 0] == pytest.approx(wanted, rel=0.02)


def test_stiction_is_overcome_once():
    worlds = bar(joint=FIRM, stiction=1.0, stribeck_velocity=0.01)
    worlds.bind("ctrl")[:] = 0.019  # 0.19 N m, under 0.2
    worlds.step(1000)
    assert abs(worlds.bind("qpos")[0, 0]) < 1e-3
    worlds.bind("ctrl")[:] = 0.03
    worlds.step(3000)
    # It slips to where 0.1 N m hold it, or beyond.
    assert worlds.bind("qpos")[0, 0] > 0.015


def complaint(model, **components):
    with pytest.raises(ValueError) as caught:
        program_of(model, it={"type": "servo", **components})
    return str(caught.value)


def test_what_servos_cannot_be_is_refused():
    zoo = mujoco.MjSpec.from_file("tests/randomizers/models/zoo.xml").compile()
    assert "push is no position servo" in complaint(zoo, select="push", speed=1.0)
    assert "nothing varies; give acceleration, speed" in complaint(arm(), select=".*")
    assert "stiction and stribeck_velocity mean something only together" in complaint(
        arm(), select=".*", stiction=1.0
    )
    assert "must be at least 0 rad" in complaint(arm(), select=".*", backlash=[-0.1, 0.1])
    bare = mujoco.MjSpec.from_string(BAR.format(option="", joint='armature=".01"', mass=1)).compile()
    assert "the joint of j has none" in complaint(bare, select="j", stiction=1.0, stribeck_velocity=0.1)
    bare.actuator_biasprm[0, 2] = 0.0
    assert "j has no damping (kv)" in complaint(bare, select="j", backlash=0.1)
    with pytest.raises(ValueError, match="a second acceleration of shoulder_pan beside 'one'"):
        program_of(
            arm(), one=servo(acceleration=1.0), two={**servo(acceleration=2.0), "select": "shoulder_pan"}
        )


def test_components_may_come_from_several_terms():
    model = arm()
    apart = program_of(model, one=servo(acceleration=30.0), two=servo(dead_band=0.01, load_friction=0.2))
    whole = program_of(model, it=servo(acceleration=30.0, dead_band=0.01, load_friction=0.2))
    ctrl = controls_for(model, 100, 1)
    paths = [
        walked(
            worlds_at(p, p.values(np.full((1, p.d), 0.5)), model.qpos0[None], np.zeros((1, model.nv))), ctrl
        )
        for p in (apart, whole)
    ]
    np.testing.assert_array_equal(*paths)
    assert lookup("servo").components.keys() == ALL.keys()

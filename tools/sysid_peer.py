"""`mujoco.sysid` itself on the arms of `tools/recovery`: its parameters, rollouts, optimizer and intervals.

It is told what `sim2real identify` is told: the same logs, the middle of each prior to begin at, and its ends
as bounds. Parameters change the model through its modifiers; the delay shifts commands in a rollout of our
own, since `mujoco.sysid` delays what sensors say and not what actuators are told.
"""

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import mujoco
import numpy as np
from mujoco import sysid
from numpy.typing import NDArray

from sim2real.logs import Log
from sim2real.spec import Program
from tests.identify.twolink import XML

Floats = NDArray[np.float64]
_JOINTS = ("shoulder", "elbow")


def identify(made: Program, log: Log, candidates: int) -> tuple[Floats, Floats, int]:
    """Return the values found (d,), their standard deviations (d,), and how many candidates it took."""
    spec, count = mujoco.MjSpec.from_string(XML), 0
    for joint in _JOINTS:
        spec.add_sensor(
            name=joint,
            type=mujoco.mjtSensor.mjSENS_JOINTPOS,
            objtype=mujoco.mjtObj.mjOBJ_JOINT,
            objname=joint,
        )
    model = spec.compile()
    modifiers = _modifiers(model)
    params = sysid.ParameterDict()
    for name, parameter in zip(made.names, made.parameters, strict=True):
        middle, ends = parameter.distribution.ppf(np.array([0.5])), parameter.distribution.support
        params.add(sysid.Parameter(name, middle, *ends, modifier=modifiers.get(name)))
    sequences = sysid.ModelSequences("arm", spec, log.name, *_told(model, log))

    def rollout(
        models: Sequence[mujoco.MjModel], datas: Sequence[mujoco.MjData], control_signal: Sequence[Any],
        param_dicts: Sequence[Mapping[str, Any]], **rest: Any,
    ) -> Any:  # fmt: skip
        nonlocal count
        count += len(models)
        late = [
            sysid.TimeSeries(own.times, own.interpolate(own.times - params["delay"].value[0]))
            for own, params in zip(control_signal, param_dicts, strict=True)
        ]
        return sysid.sysid_rollout(models=models, datas=datas, control_signal=late, **rest)

    residual = sysid.build_residual_fn(
        models_sequences=[sequences], custom_rollout=rollout, modify_residual=_residual, n_threads=1,
        resample_true=False,
    )  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        found, told = sysid.optimize(params, residual, max_iters=max(1, candidates // (made.d + 1)))
    values = np.array(found.as_vector())
    covariance, _ = sysid.calculate_intervals(residual(values, found.copy())[0], np.array(told.jac))
    return values, np.sqrt(np.diag(covariance)), count


def _modifiers(model: mujoco.MjModel) -> dict[str, Any]:
    """Return what makes a factor of a spec's parameters, by the name of a term of `twolink`."""

    def kp(spec: mujoco.MjSpec, own: Any) -> None:
        actuator, value = spec.actuator("shoulder"), model.actuator("shoulder").gainprm[0] * own.value[0]
        actuator.gainprm[0], actuator.biasprm[1] = value, -value

    def damping(spec: mujoco.MjSpec, own: Any) -> None:
        spec.joint("shoulder").damping[0] = model.joint("shoulder").damping[0] * own.value[0]

    def friction(spec: mujoco.MjSpec, own: Any) -> None:
        spec.joint("elbow").frictionloss = model.joint("elbow").frictionloss[0] * own.value[0]

    def armature(spec: mujoco.MjSpec, own: Any) -> None:
        spec.joint("elbow").armature = model.joint("elbow").armature[0] * own.value[0]

    return {"kp": kp, "damping": damping, "friction": friction, "armature": armature}


def _told(model: mujoco.MjModel, log: Log) -> tuple[Floats, Any, Any]:
    """Return the initial state, the commands of each physics step, and the measurements of a log."""
    start = sysid.create_initial_state(model, log.position[0])
    steps = np.arange(round(log.time[-1] / model.opt.timestep) + 1)
    row = np.searchsorted(log.time, steps * model.opt.timestep + 1e-9, side="right") - 1
    control = sysid.TimeSeries(steps * model.opt.timestep, log.command[row])
    names = {name: (sysid.SignalType.MjSensor, np.array([j])) for j, name in enumerate(_JOINTS)}
    return start, control, sysid.TimeSeries(log.time, log.position, names)


def _residual(
    params: Any, predicted: Any, measured: Any, model: mujoco.MjModel, every: bool, state: Floats
) -> tuple[Floats, Any, Any]:
    """Return how far joints are from measurements, in units of their norm, as its own residuals are."""
    del params, predicted, model, every
    path = sysid.TimeSeries(state[:, 0], state[:, 1:3])
    known = sysid.TimeSeries(measured.times[1:], measured.data[1:], measured.signal_mapping)
    played = sysid.TimeSeries(known.times, path.interpolate(known.times), known.signal_mapping)
    return (
        sysid.signal_modifier.normalize_residual(known.data - played.data, known.data),
        played,
        known,
    )

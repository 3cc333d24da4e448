"""Broken MJCF files, made in a folder; `python mjcf.py FOLDER [NAME…]` gives each to the command line.

All go through one process, which must survive every one of them.
"""

import json
import os
import random
import sys
from pathlib import Path

JOINT = '<body><joint name="j"/><geom size="0.1"/></body>'
MOTOR = '<actuator><motor joint="j" ctrlrange="-1 1" ctrllimited="true"/></actuator>'
TASK = """
from pathlib import Path
import numpy as np
from sim2real.envs.tasks import MjcfTask

class Own(MjcfTask):
    file, frame_skip, observation_size, view = Path("name.txt").read_text(), 2, 2, "track"

    def reset_state(self, random):
        return {"qpos": self.uniform_start(random, 0.1), "qvel": random.uniform(-1, 1, self.nv)}

    def observe(self, state):
        return np.concatenate([state.qpos, state.qvel], 1)

    def reward(self, before, state, action):
        return state.qpos[:, 0]
"""


def mjcf(world=JOINT, after=MOTOR, before=""):
    return f"<mujoco>{before}<worldbody>{world}</worldbody>{after}</mujoco>"


def asset(text):
    return mjcf(before=f"<asset>{text}</asset>")


def body(inside):
    return mjcf(f"<body><freejoint/>{inside}</body>", "")


def bomb():
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 20))
    return f'<!DOCTYPE x [<!ENTITY a0 "aaaaaaaaaa">{entities}]><mujoco model="&a19;"><bomb/></mujoco>'


# name → (content, words of the message besides the file's name); MuJoCo's own, where it finds the mistake
BROKEN = {
    "not_xml": ("hello", "XML"),
    "empty": ("", "empty file"),
    "blank": (" \n", "XML_ERROR_EMPTY_DOCUMENT"),
    "truncated": (mjcf()[:60], "XML"),
    "wrong_root": ("<html><body/></html>", "Unrecognized XML model type: 'html'"),
    "missing_include": (mjcf(before='<include file="nope.xml"/>'), "nope.xml"),
    "includes_itself": (mjcf(before='<include file="includes_itself.xml"/>'), "already included"),
    "includes_in_a_ring": (mjcf(before='<include file="ring.xml"/>'), "already included"),
    "attaches_itself": (
        f'<mujoco><asset><model name="m" file="attaches_itself.xml"/></asset><worldbody>{JOINT}'
        '<attach model="m" body="b" prefix="p"/></worldbody></mujoco>',
        "MuJoCo crashes",
    ),
    "missing_mesh": (asset('<mesh name="m" file="nope.stl"/>'), "nope.stl"),
    "missing_texture": (asset('<texture name="t" type="2d" file="nope.png"/>'), "nope.png"),
    "garbage_mesh": (asset('<mesh name="m" file="garbage.stl"/>'), "garbage.stl"),
    "garbage_texture": (asset('<texture name="t" type="2d" file="garbage.png"/>'), "garbage.png"),
    "mesh_of_nan": (asset('<mesh name="m" vertex="0 0 0 1 0 0 0 1 0 nan 0 1"/>'), "not finite"),
    "huge_texture": (
        asset('<texture name="t" type="2d" builtin="flat" width="1000000" height="1000000"/>'), "texture",
    ),
    "garbage": (random.Random(0).randbytes(3000), "XML"),
    "zip": (b"PK\3\4" + bytes(100), "XML"),
    "nul": (b"<mujoco>\0</mujoco>", "XML"),
    "utf16": (mjcf().encode("utf-16"), "XML"),
    "entity_bomb": (bomb(), ""),
    "unknown_element": (mjcf(after="<foo/>"), "unrecognized element"),
    "unknown_attribute": (mjcf('<body bogus="1"/>'), "unrecognized attribute: 'bogus'"),
    "long_attribute": (mjcf(f'<body {"x" * 1_000_000}="1"/>'), "unrecognized attribute"),
    "name_twice": (mjcf('<body name="a"/><body name="a"/>'), "repeated name 'a'"),
    "unknown_joint": (mjcf(after='<actuator><motor joint="nope"/></actuator>'), "nope"),
    "unknown_body": (mjcf(after='<equality><weld body1="nope"/></equality>'), "nope"),
    "unknown_plugin": (mjcf(before='<extension><plugin plugin="no.such"/></extension>'), "no.such"),
    "inertia": (body('<inertial pos="0 0 0" mass="1" diaginertia="1 1 5"/>'), "A + B >= C"),
    "negative_mass": (body('<geom size="0.1" mass="-1"/>'), "negative"),
    "no_mass": (body(""), "mjMINVAL"),
    "negative_size": (body('<geom size="-0.1"/>'), "must be positive"),
    "nan_size": (body('<geom size="nan"/>'), "nan size"),
    "nan_position": (mjcf('<body pos="nan 0 0"><joint name="j"/><geom size="0.1"/></body>'), "not a number"),
    "words_for_numbers": (mjcf('<body pos="a b c"/>'), "bad format"),
    "too_few_numbers": (mjcf('<body pos="0"/>'), "not have enough data"),
    "free_joint_in_a_child": (body('<geom size="1"/><body><freejoint/><geom size="1"/></body>'), "top level"),
    "time_step_zero": (mjcf(before='<option timestep="0"/>'), "time step must be above 0"),
    "time_step_negative": (mjcf(before='<option timestep="-1"/>'), "time step must be above 0"),
    "time_step_nan": (mjcf(before='<option timestep="nan"/>'), "time step must be above 0"),
    "keyframe_nan": (mjcf(after='<keyframe><key qpos="nan"/></keyframe>'), "key_qpos holds"),
    "keyframe_size": (mjcf(after='<keyframe><key qpos="1 2 3"/></keyframe>'), "invalid qpos size"),
    "control_nan": (mjcf(after=MOTOR.replace("-1 1", "nan 1")), "actuator_ctrlrange holds"),
    "control_reversed": (mjcf(after=MOTOR.replace("-1 1", "1 -1")), "invalid control range"),
    "deep_bodies": (mjcf("<body>" * 5000 + "</body>" * 5000), "nesting is too deep"),
    "deep_nonsense": ("<a>" * 100_000, "nesting is too deep"),
    "all_memory": (mjcf(before='<size memory="1000T"/>'), "memory"),
    "all_memory_at_once": (mjcf(before='<size nuser_body="2000000000"/>'), "MuJoCo "),
    "endless_replicate": (
        mjcf('<replicate count="1000000000"><body/></replicate>'), "has not compiled it after",
    ),
    "urdf_without_links": (
        '<robot name="r"><link name="a"/><joint name="j" type="continuous"><parent link="a"/>'
        '<child link="no"/></joint></robot>',
        "URDF joint parent or child missing",
    ),
    "compiled": (None, "XML"),  # an MJB file by another name
    "ünïcödé 名 🤖": ("<html/>", "Unrecognized XML model type"),
    "folder": (None, "not a regular file"),
    "pipe": (None, "not a regular file"),
    "missing": (None, "opening file"),
    "unreadable": ("<mujoco/>", "opening file"),
}  # fmt: skip
SLOW = {
    "bodies_1e5": (mjcf("<body/>" * 100_000), "has not compiled it after"),
    "huge_heights": (
        asset('<hfield name="h" nrow="100000" ncol="100000" size="1 1 1 1"/>'), "MuJoCo ",
    ),
    "huge_cloth": (
        mjcf(JOINT + '<flexcomp type="grid" count="100000 100000 1" spacing="1 1 1" name="f"/>'),
        "has not compiled it after",
    ),
}  # fmt: skip
# Strange, but models: what an agent could learn on them is not the loader's business.
FINE = {
    "good": mjcf(),
    "no_actuators": mjcf(after=""),
    "no_bodies": "<mujoco/>",
    "external_entity": '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + mjcf(),
    "huge_time_step": mjcf(before='<option timestep="1e10"/>'),
    "deep_400": mjcf(JOINT + "<body>" * 400 + "</body>" * 400),
    "urdf": '<robot name="r"><link name="a"/></robot>',
}
# Gymnasium's own loading of a file: it checks less, so of the broken ones these only.
GYMNASIUM = [
    "not_xml", "empty", "truncated", "wrong_root", "missing_include", "attaches_itself", "missing_mesh",
    "mesh_of_nan", "garbage", "unknown_element", "inertia", "time_step_zero", "control_nan", "deep_bodies",
    "all_memory_at_once", "compiled", "ünïcödé 名 🤖", "folder", "pipe", "missing", "unreadable",
]  # fmt: skip


def write(folder, names):
    """Make the files of some cases, and what they refer to."""
    import mujoco

    (folder / "ring.xml").write_text(
        '<mujocoinclude><include file="includes_in_a_ring.xml"/></mujocoinclude>'
    )
    (folder / "garbage.stl").write_bytes(b"solid x\nnonsense")
    (folder / "garbage.png").write_bytes(b"\x89PNG nonsense")
    for name in names:
        path = folder / f"{name}.xml"
        content = {**BROKEN, **SLOW}[name][0] if name not in FINE else FINE[name]
        if content is not None:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        elif name == "compiled":
            mujoco.mj_saveModel(mujoco.MjModel.from_xml_string(mjcf()), str(path))
        elif name == "folder":
            path.mkdir()
        elif name == "pipe":
            os.mkfifo(path)
        if name == "unreadable":
            path.chmod(0)


def main(folder, *names):
    """Print a line of JSON for each case: name, through what, exit code, output, what went wrong."""
    from typer.testing import CliRunner

    import sim2real.envs.task
    from sim2real.cli import app

    sim2real.envs.task.PATIENCE = 2.0
    names = names or (*BROKEN, *FINE)
    os.chdir(folder)
    write(Path(folder), names)
    Path("name.txt").write_text("good.xml")
    Path("hostile_task.py").write_text(TASK)
    sys.path.append(folder)
    import hostile_task

    for name in names:
        for through in ("task", "gymnasium"):
            file = str(Path(folder) / f"{name}.xml")
            hostile_task.Own.file = file
            text = "env: hostile_task:Own\n"
            if through == "gymnasium":
                if name not in GYMNASIUM:
                    continue
                text = "env: gymnasium.envs.mujoco.inverted_pendulum_v5:InvertedPendulumEnv\n"
                text += f"env_options: {{xml_file: '{file}'}}\n"
            Path("s.yaml").write_text(text)
            result = CliRunner().invoke(app, ["inspect", "s.yaml"])
            odd = result.exception is not None and not isinstance(result.exception, SystemExit)
            row = [name, through, result.exit_code, result.output, repr(result.exception) if odd else ""]
            print("case", json.dumps(row), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The loop closed: log, identify, train, export, run, log; six commands, each with what it prints.

Logs are those of a real arm. At the fifth command its place is taken by one simulated in a process and time
of its own, as it was identified from ten of its motions.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from reproductions.tables import ROOT, insert

SPEC, ROBOT, PORT = "assets/specs/so101_identify.yaml", "assets/results/identify/so101_servos.yaml", 7788
"""What is identified, what takes the arm's place, and where that listens."""

FITTED = ("chirp_sweep", "multisine", "friction_gravity", "step_response")
"""Motions that are identified; all others are held out."""

COMMANDS = (
    "sim2real replay {spec} {logs}",
    "sim2real identify {spec} {fitted} -o runs/loop/identified.yaml",
    "sim2real train runs/loop/identified.yaml --set train.baseline=false --out runs/loop/run",
    "sim2real export runs/loop/run -o runs/loop/policy.onnx",
    "python -m sim2real.deploy runs/loop/policy.onnx --connect :{port} --log runs/loop/motion.csv",
    "sim2real replay runs/loop/identified.yaml runs/loop/motion.csv --domain identified",
)
SHOWN, WIDTH = 10, 140
"""Lines of each command that are shown, the last ones, and how much of each."""


def loop(arguments: argparse.Namespace) -> None:
    """Run the six commands on a folder of logs, one by one, and write down what they print.

    Args:
        arguments: `logs`, the folder of the logs; a step that was done before is not done again.
    """
    if arguments.logs is None:
        sys.exit("tools/reproduce loop: --logs FOLDER says where the logs of the arm are")
    folder = ROOT / "runs" / "loop"
    folder.mkdir(parents=True, exist_ok=True)
    printed = folder / "printed.json"
    done: dict[str, str] = json.loads(printed.read_text()) if printed.exists() else {}
    fitted = " ".join(str(arguments.logs / f"{name}.csv") for name in FITTED)
    texts: dict[str, str] = {}
    for command in COMMANDS:
        words = command.format(spec=SPEC, logs=arguments.logs, fitted=fitted, port=PORT)
        if words not in done:
            done[words] = said(words, simulated=".deploy" in command)
            printed.write_text(json.dumps(done, indent=1))
        texts[command] = done[words]
    text = block(texts, str(arguments.logs))
    insert("loop", text)
    print(text)


def said(command: str, simulated: bool) -> str:
    """Run a command from the root, beside the simulated arm if it is to drive it, and return what it prints.

    Raises:
        SystemExit: If it fails.
    """
    print(f"$ {command}", flush=True)
    words = shlex.split(command)
    words[:1] = [sys.executable] if words[0] == "python" else [sys.executable, "-m", "sim2real.cli"]
    with robot() if simulated else nullcontext():
        ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(f"{ended.stdout}{ended.stderr}")
    return ended.stdout


@contextmanager
def robot() -> Iterator[None]:
    """Let the simulated arm listen, inside the block."""
    words = [sys.executable, "-m", "sim2real.simulated_robot", ROBOT, "--domain", "identified"]
    with subprocess.Popen([*words, "--port", str(PORT)], cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        try:
            time.sleep(10.0)  # it compiles its model first
            yield
        finally:
            process.terminate()


def block(texts: dict[str, str], logs: str) -> str:
    """Return the commands, each with the last lines that it printed, as they would be typed from the root.

    Args:
        texts: What each of `COMMANDS` printed.
        logs: The folder of the logs, which is shown as `LOGS`.
    """
    parts: list[str] = []
    for command, text in texts.items():
        fitted = " ".join(f"LOGS/{name}.csv" for name in FITTED)
        shown = command.format(spec=SPEC, logs="LOGS", fitted=fitted, port=PORT)
        lines = text.replace(f"{ROOT}/", "").replace(logs, "LOGS").rstrip().splitlines()
        left_out = ["…"] if len(lines) > SHOWN else []
        ends = [line if len(line) <= WIDTH else f"{line[:WIDTH]}…" for line in lines[-SHOWN:]]
        parts.append("\n".join([f"$ {shown}", *left_out, *ends]))
    return "```console\n" + "\n\n".join(parts) + "\n```"

"""`python -m sim2real.deploy POLICY.onnx`: a policy on a robot, from the command line."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sim2real.deploy.contract import ContractError, describe
from sim2real.deploy.loop import Loop, Safety
from sim2real.deploy.policy import Policy
from sim2real.deploy.remote import RemoteRobot


def main(words: Sequence[str] | None = None) -> int:
    """Drive a robot; return 0 if the motion ended as it should and in a safe stop, and 1 otherwise."""
    told = _parser().parse_args(words)
    log = told.log or Path(f"{datetime.now():%Y%m%d-%H%M%S}.csv")
    safety = Safety(told.rate, told.low, told.high, told.watchdog, stale=told.stale, late=told.late)
    try:
        policy = Policy(told.policy)
        print(describe(policy.contract))
        if told.robot is None and told.connect is None:
            return 0
        robot = _robot(told.robot, told.connect)
        steps = max(1, round(told.seconds / policy.contract.period))
        report = Loop(policy, robot, safety, log).run(steps, told.seed)
    except (ContractError, OSError) as error:
        print(f"sim2real: {error}", file=sys.stderr)
        return 1
    print(report)
    expected = ("done", "terminated", "truncated", "interrupted")
    return 0 if report.stopped and report.reason in expected else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sim2real.deploy",
        description="Drive a robot by a policy file at a fixed rate, until it ends in a safe stop. "
        "Without a robot, say what the file is for.",
    )
    parser.add_argument("policy", type=Path, help="a file that sim2real export wrote")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--robot", metavar="MODULE:MAKE", help="what makes it, with reset and step as in Gymnasium"
    )
    where.add_argument(
        "--connect", metavar="HOST:PORT", help="where it listens, as sim2real.simulated_robot does"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="longest motion [10 s]")
    parser.add_argument("--log", type=Path, help="a new CSV file [the time]")
    parser.add_argument("--seed", type=int, help="what its reset is given")
    parser.add_argument("--rate", type=float, help="fastest change of an action [unit/s]")
    parser.add_argument("--low", type=float, nargs="+", help="least actions, one or one for each")
    parser.add_argument("--high", type=float, nargs="+", help="largest actions")
    parser.add_argument("--watchdog", type=float, help="time a call may take [five periods, 0.1 s at least]")
    parser.add_argument("--stale", type=int, default=5, help="periods in a row without a new observation [5]")
    parser.add_argument("--late", type=int, default=10, help="deadlines missed in a row [10]")
    return parser


def _robot(name: str | None, address: str | None) -> Any:
    """Return the robot.

    Raises:
        ContractError: If there is nothing of that name.
    """
    if address is not None:
        host, _, port = address.rpartition(":")
        if not port.isdigit():
            raise ContractError(f"--connect takes HOST:PORT, given '{address}'")
        return RemoteRobot(host or "127.0.0.1", int(port))
    module, _, attribute = (name or "").partition(":")
    sys.path.append(os.getcwd())
    try:
        return getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError, ValueError) as error:
        raise ContractError(f"robot '{name}' cannot be loaded: {error}") from None


if __name__ == "__main__":
    sys.exit(main())

"""The benchmarks: every figure is a ratio against a peer, or a limit, measured in turn in one run.

A benchmark is a *row*: a function from a `Mode` to an `Outcome`, named in one line of `table.ROWS`. It
measures its *entrants* in a `Contest`: ours in this process, peers as `peers/*.py` in a virtual environment
of their own, each kept alive so that a round pays for no start.
"""

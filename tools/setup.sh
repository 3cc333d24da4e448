# Sourced by the tools: makes .venv once, installs the project into it, and puts it on the PATH.
cd "$(dirname "${BASH_SOURCE[0]}")/.."

setup() {
  local python=${PYTHON:-python3} stamp have
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "Python 3.11 or newer is needed; name one with PYTHON=/path/to/python3" >&2
    return 1
  }
  if [ ! -x .venv/bin/python ]; then
    "$python" -m venv .venv || { echo "venv failed (on Debian: apt-get install python3-venv)" >&2; return 1; }
  fi
  stamp=$(cat pyproject.toml tools/constraints.txt | cksum)" $PWD"
  have=$(cat .venv/installed 2>/dev/null || true)
  # What is installed for development serves everything else too.
  if [ "$have" != "$stamp $1" ] && [ "$have" != "$stamp [dev]" ]; then
    echo "installing into .venv (a few minutes, once) ..." >&2
    .venv/bin/python -m pip install -q --disable-pip-version-check -c tools/constraints.txt -e ".$1" >&2 || return 1
    echo "$stamp $1" >.venv/installed
  fi
  export PATH="$PWD/.venv/bin:$PATH"
}

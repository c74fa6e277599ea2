#!/bin/sh
# Train a run again:  datasets/train/run.sh RUN [--verify] [--seconds N]
#
# RUN is a name of runs.py: tiny-gpt goes to datasets/, others to build/datasets/. An interrupted run goes on, and so does
# one that --seconds has stopped (exit status 75).
#   PYTHON  interpreter that makes the virtual environment (default python3)
#   VENV    an existing virtual environment to use as it is; nothing is installed into it
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

if [ $# -lt 1 ]; then
    echo "usage: $0 RUN [--verify] [--seconds N]" >&2
    exit 2
fi
if ! grep -q "^    \"$1\": {\$" "$here/runs.py"; then
    echo "run.sh: no run named '$1'; known: $(sed -n 's/^    "\(.*\)": {$/\1/p' "$here/runs.py" | tr '\n' ' ')" >&2
    exit 2
fi

if [ -n "${VENV:-}" ]; then
    venv=$VENV
    if [ ! -x "$venv/bin/python" ]; then
        echo "run.sh: VENV=$venv holds no bin/python; unset VENV to let this script make one" >&2
        exit 2
    fi
else
    venv=$root/build/venv-train
    # The copy of the requirements is written last, so that a half-made environment is completed next time.
    if ! cmp -s "$here/requirements.txt" "$venv/requirements.installed"; then
        [ -n "${PYTHON:-}" ] || "$root/scripts/install_deps.sh" fetch
        mkdir -p "$root/build"
        "${PYTHON:-python3}" -m venv "$venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
        cp "$here/requirements.txt" "$venv/requirements.installed"
    fi
fi

PYTHONDONTWRITEBYTECODE=1 exec "$venv/bin/python" "$here/train.py" --root "$root" "$@"

#!/bin/sh
# datasets/train/pair_bound.py: the bound that the harness is checked against is itself counted by hand.
set -u

here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
if ! "$python" -c 'import sys, numpy; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    echo "skip bound_is_the_one_counted_by_hand_in_every_dtype: no Python 3.10 with numpy"
    exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
PYTHONDONTWRITEBYTECODE=1 "$python" "$here/pair_bound_by_hand.py" "$here/../datasets/train/pair_bound.py" "$dir"

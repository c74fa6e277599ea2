#!/bin/sh
# The presets of published methods against a second calculation of each: see docs/presets.md.
# usage: check_presets.sh [ARGUMENT...]      arguments go to peers/check_presets.py
#
# MITHRIL  the program (default build/mithril)     PYTHON  makes the virtual environment (default python3)
#
# Exit codes: 0 all hold, 1 one is off, 5 what it needs is not here.
set -eu

here=$(dirname "$0")
: "${MITHRIL:=build/mithril}" "${PYTHON:=python3}"
environments=$(dirname "$MITHRIL")/peers
# shellcheck source=scripts/peers/environment.sh
. "$here/peers/environment.sh"

if [ ! -x "$MITHRIL" ]; then
    echo "check_presets.sh: $MITHRIL is not there; make builds it" >&2
    exit 5
fi
if ! install presets; then
    echo "check_presets.sh: not installed: $(tail -n 1 "$environments/presets.log")" >&2
    exit 5
fi
exec "$environments/presets/bin/python" -B "$here/peers/check_presets.py" --mithril "$MITHRIL" "$@"

#!/bin/sh
# Virtual environments of Python, one for each list of requirements: sourced.
# shellcheck disable=SC2154 # the caller sets them
# Wants $here (the folder scripts), $environments (where they go) and $PYTHON.

# The copy of the requirements is written last, so that a half-made environment is made again.
install() {
    folder=$environments/$1
    wanted=$here/peers/requirements/$1.txt
    cmp -s "$wanted" "$folder/installed.txt" && return 0
    rm -rf "$folder"
    mkdir -p "$environments"
    echo "$(basename "$0"): installing $1" >&2
    "$PYTHON" -m venv "$folder" >"$environments/$1.log" 2>&1 &&
        "$folder/bin/python" -m pip install --disable-pip-version-check --no-deps -r "$wanted" \
            >>"$environments/$1.log" 2>&1 &&
        cp "$wanted" "$folder/installed.txt"
}

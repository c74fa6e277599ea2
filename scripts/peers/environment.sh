#!/bin/sh
# Virtual environments of Python, one for each list of requirements: sourced.
# shellcheck disable=SC2153,SC2154 # the caller sets them
# Wants $here (the folder scripts), $environments (where they go) and $PYTHON.

# A list may begin with `# python 3.12 3.13`: then one of these versions is looked for, as python3.12 on the path, with pyenv
# and with uv. What fits is printed; where nothing does, the reason goes to standard error.
python_for() {
    versions=$(sed -n '1s/^# python //p' "$1")
    [ -n "$versions" ] || { echo "$PYTHON"; return 0; }
    for version in $versions; do
        for candidate in "$PYTHON" "python$version" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version"*/bin/python \
            "$(uv python find --no-python-downloads "$version" 2>/dev/null || true)"; do
            fits=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
            [ "$fits" != "$version" ] || { echo "$candidate"; return 0; }
        done
    done
    echo "error: no Python $versions is here" >&2
    return 1
}

# The copy of the requirements is written last, so that a half-made environment is made again.
install() {
    folder=$environments/$1
    wanted=$here/peers/requirements/$1.txt
    cmp -s "$wanted" "$folder/installed.txt" && return 0
    rm -rf "$folder"
    mkdir -p "$environments"
    echo "$(basename "$0"): installing $1" >&2
    python=$(python_for "$wanted" 2>"$environments/$1.log") &&
        "$python" -m venv "$folder" >"$environments/$1.log" 2>&1 &&
        "$folder/bin/python" -m pip install --disable-pip-version-check --no-deps -r "$wanted" \
            >>"$environments/$1.log" 2>&1 &&
        cp "$wanted" "$folder/installed.txt"
}

#!/bin/sh
# Measure ZipNN, OpenZL and z4ai beside our cells: same bytes, same threads, same rounds; see docs/peers.md.
# usage: bench_peers.sh [ARGUMENT...]      arguments go to `mithril bench`
#
# MITHRIL  the program (default build/mithril)          ROWS    where rows go (default beside it, bench/peers.jsonl)
# MATRIX   datasets and our pipelines (default scripts/peers/matrix.json)
# PYTHON   makes the virtual environments (default python3)
#
# Each peer is installed from PyPI into an environment of its own, in peers/NAME beside the program. One that can not be
# installed is skipped with one line.
set -eu

here=$(dirname "$0")
: "${MITHRIL:=build/mithril}" "${PYTHON:=python3}" "${MATRIX:=$here/peers/matrix.json}"
: "${ROWS:=$(dirname "$MITHRIL")/bench/peers.jsonl}"
environments=$(dirname "$MITHRIL")/peers

if [ ! -x "$MITHRIL" ]; then
    echo "bench_peers.sh: $MITHRIL is not there; make builds it" >&2
    exit 5
fi

# The copy of the requirements is written last, so that a half-made environment is made again.
install() {
    folder=$environments/$1
    wanted=$here/peers/requirements/$1.txt
    cmp -s "$wanted" "$folder/installed.txt" && return 0
    rm -rf "$folder"
    mkdir -p "$environments"
    echo "bench_peers.sh: installing $1" >&2
    "$PYTHON" -m venv "$folder" >"$environments/$1.log" 2>&1 &&
        "$folder/bin/python" -m pip install --disable-pip-version-check --no-deps -r "$wanted" \
            >>"$environments/$1.log" 2>&1 &&
        cp "$wanted" "$folder/installed.txt"
}

# peer NAME PACKAGE [ARGUMENT]: adds a peer to the arguments that `mithril bench` gets.
peer_option() {
    echo "--peer=$1=$environments/$2/bin/python -B $here/peers/peer_$2.py${3:+ $3}"
}

for package in zipnn openzl z4ai zstd; do
    if ! install "$package"; then
        echo "bench_peers.sh: skipped $package: $(tail -n 1 "$environments/$package.log")" >&2
        continue
    fi
    case $package in
    zstd) set -- "$@" "$(peer_option zstd-3 zstd 3)" ;;
    *) set -- "$@" "$(peer_option "$package" "$package")" ;;
    esac
    case $package in
    openzl) set -- "$@" "$(peer_option openzl-fse openzl fse)" ;;
    z4ai) set -- "$@" "$(peer_option z4ai-fast z4ai fast)" ;;
    esac
done

mkdir -p "$(dirname "$ROWS")"
exec "$MITHRIL" bench --matrix "$MATRIX" --json "$ROWS" "$@"

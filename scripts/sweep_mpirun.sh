#!/bin/sh
# A sweep under mpirun, a shard a rank, and its report. mithril itself knows nothing of MPI: the rank is in the environment.
# usage: sweep_mpirun.sh N BENCH-ARGUMENT...
#
# MITHRIL  the program (default build/mithril)      OUT  a directory that all hosts see (default sweep)
# MPIRUN   the launcher with its options (default mpirun)
set -eu

: "${MITHRIL:=build/mithril}" "${OUT:=sweep}" "${MPIRUN:=mpirun}"
if [ $# -lt 2 ]; then
    echo 'usage: sweep_mpirun.sh N BENCH-ARGUMENT...' >&2
    exit 1
fi
n=$1
shift
if ! command -v "${MPIRUN%% *}" >/dev/null; then
    echo "sweep_mpirun.sh: ${MPIRUN%% *} is not installed" >&2
    exit 5
fi
mkdir -p "$OUT"
# shellcheck disable=SC2086 # MPIRUN is a command with its options
$MPIRUN -n "$n" "$MITHRIL" bench "$@" -q --shard auto --json "$OUT/rows.jsonl"
"$MITHRIL" report "$OUT"/rows.*-of-"$n".jsonl --markdown "$OUT/report.md" --csv "$OUT/cells.csv"

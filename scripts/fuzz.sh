#!/bin/sh
# Let every fuzz target search, one after the other, each from its corpus.
# usage: fuzz.sh DIRECTORY      (of the targets, built with libFuzzer)
#
# FUZZ_OWN_SECONDS each of our own parsers and decoders, FUZZ_SECONDS each decoder of a library; FUZZ_ONLY: names of targets,
# codec:NAME for one codec. One line a target: inputs tried, processor time, code reached, inputs kept. What it finds lies
# in DIRECTORY/fuzz_NAME.found, what fails beside the target; the first failure ends the run.
set -u

directory=$1
corpora=tests/fuzz/corpus

# Set cpu to the processor time that children took so far, in hundredths of a second. Not in a subshell, which has no children.
read_cpu() {
    times >"$directory/times"
    cpu=$(awk 'NR == 2 { gsub(/[ms]/, " "); printf "%d\n", 6000 * $1 + 100 * $2 + 6000 * $3 + 100 * $4 }' "$directory/times")
}

# search LABEL TARGET SECONDS
search() {
    label=$1 target=$2 seconds=$3
    case " ${FUZZ_ONLY:-$label} " in *" $label "* | *" ${label%%:*} "*) ;; *) return 0 ;; esac
    program=$directory/fuzz_$target
    log=$directory/$(echo "$label" | tr : _).log
    mkdir -p "$program.found"
    read_cpu
    before=$cpu
    "$program" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$program." \
        "$program.found" "$corpora/$target" >"$log" 2>&1 || {
        tail -n 60 "$log"
        echo "fuzz: $label failed; the input is named above, the log is $log"
        exit 1
    }
    read_cpu
    awk -v label="$label" -v cpu=$((cpu - before)) '
        / cov: / { for (i = 1; i < NF; i++) { if ($i == "cov:") cov = $(i + 1); if ($i == "corp:") corpus = $(i + 1) } }
        /number_of_executed_units/ { units = $2 }
        /peak_rss_mb/ { rss = $2 }
        END { printf "%-22s %11d inputs  %7.1f s processor  %6d edges  %14s kept  %5d MiB\n", label, units, cpu / 100, cov, corpus, rss }' "$log"
}

for program in "$directory"/fuzz_*; do
    case $program in *.*) continue ;; esac
    target=${program##*/fuzz_}
    [ "$target" = codec ] || search "$target" "$target" "${FUZZ_OWN_SECONDS:-60}"
done
"$directory/seeds" --list >"$directory/codecs"
while read -r kind codec; do
    seconds=${FUZZ_SECONDS:-60}
    [ "$kind" = library ] || seconds=${FUZZ_OWN_SECONDS:-60}
    export MTH_FUZZ_CODEC="$codec"
    search "codec:$codec" codec "$seconds" </dev/null
done <"$directory/codecs"

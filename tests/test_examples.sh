#!/bin/sh
# The programs of examples/ do what they say, on their own files and on others'.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${MITHRIL_BUILD:-build}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

judge() {
    name=$1
    shift
    if "$@" >"$dir/log" 2>&1; then echo "ok $name"; else
        sed 's/^/# /' "$dir/log"
        echo "not ok $name"
    fi
}

prints() {
    text=$1
    shift
    "$@" >"$dir/out" 2>&1
    status=$?
    cat "$dir/out"
    [ $status -eq 0 ] && grep -q "$text" "$dir/out"
}

reads_a_tensor_of_pytorch() {
    cp tests/fixtures/torch/torch2-views.pt "$dir/views.pt" &&
        prints 'transposed: F32, 192 bytes' "$build/examples/container" "$dir/views.pt" transposed &&
        "${MITHRIL:-build/mithril}" verify "$dir/views.pt.mth" && rm "$dir/views.pt.mth"
}

says_what_is_missing() {
    ! "$build/examples/container" "$dir/views.pt" nobody >"$dir/out" 2>&1 && grep -q "no tensor 'nobody'" "$dir/out"
}

judge a_stopped_run_of_the_container_example_leaves_nothing prints 'nothing was left' "$build/examples/container"
judge the_container_example_reads_a_row prints 'row 1: 512 bytes, the same' "$build/examples/container"
judge the_container_example_reads_a_tensor_of_pytorch reads_a_tensor_of_pytorch
judge the_container_example_says_what_is_missing says_what_is_missing
judge the_round_trip_example_succeeds "$build/examples/round_trip"

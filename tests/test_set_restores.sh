#!/bin/sh
# Checkpoints of several files through the commands: directories and indexes compressed, restored with diff silent, alone and
# against the step before, where tensors moved between shards.
set -u
cd "$(dirname "$0")/.." || exit 1
mithril=$PWD/${MITHRIL:-build/mithril}
case ${MITHRIL:-} in /*) mithril=$MITHRIL ;; esac
sets=$PWD/tests/fixtures/sets
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1

# judge NAME COMMAND...: one line, ok when the command succeeds.
judge() {
    name=$1
    shift
    if "$@" >"$dir/log" 2>&1; then echo "ok $name"; else
        sed 's/^/# /' "$dir/log"
        echo "not ok $name"
    fi
}

# restores DIRECTORY BASE-TO-COMPRESS BASE-TO-DECOMPRESS: "" for none.
spec=balanced
restores() {
    rm -rf packed back
    "$mithril" compress -q -p $spec -o packed ${2:+-b "$2"} "$1" && "$mithril" decompress -q -o back ${3:+-b "$3"} packed && diff -r "$1" back
}

for set in hf-step1 hf-step2 bin dcp-step1 dcp-step2 dcp-ranks; do
    judge "directory_${set}_restores" restores "$sets/$set" "" ""
done

"$mithril" compress -q -o hf1.mth "$sets/hf-step1"
"$mithril" compress -q -o hf2.mth "$sets/hf-step2"
"$mithril" compress -q -o dcp1.mth "$sets/dcp-step1"
"$mithril" compress -q -o dcp2.mth "$sets/dcp-step2"

judge a_directory_restores_against_the_one_before restores "$sets/hf-step2" "$sets/hf-step1" "$sets/hf-step1"
judge a_directory_restores_against_the_containers_of_the_one_before restores "$sets/hf-step2" hf1.mth hf1.mth
judge containers_and_files_are_one_base restores "$sets/hf-step2" "$sets/hf-step1" hf1.mth
judge an_index_is_a_base_for_all restores "$sets/hf-step2" "$sets/hf-step1/model.safetensors.index.json" "$sets/hf-step1"
judge shards_of_another_format_are_a_base restores "$sets/hf-step2" "$sets/bin" "$sets/hf-step1"
judge a_dcp_directory_restores_against_the_one_before restores "$sets/dcp-step2" "$sets/dcp-step1" dcp1.mth

judge a_directory_is_verified_with_all_that_is_in_it sh -c \
    "'$mithril' verify packed -b dcp1.mth | grep -c original | grep -qx 2 && mkdir hollow && ! '$mithril' verify hollow"

# Laws of sizes are judged under a spec that stays what it is.
spec=seed
tensors_that_moved_find_their_counterparts() {
    rm -rf alone
    "$mithril" compress -q -p $spec -o alone "$sets/hf-step2" && restores "$sets/hf-step2" "$sets/hf-step1" hf1.mth &&
        for shard in packed/model-*.mth; do
            [ "$(wc -c <"$shard")" -lt $(($(wc -c <"alone/${shard#packed/}") * 3 / 4)) ] || return 1
        done
}
judge tensors_that_moved_find_their_counterparts tensors_that_moved_find_their_counterparts

tensors_of_dcp_find_their_counterparts() {
    restores "$sets/dcp-step2" "$sets/dcp-step1" dcp1.mth &&
        "$mithril" info packed/__0_0.distcp.mth -b "$sets/dcp-step1" | grep -q 'base .* 1[0-9] of its tensors'
}
judge tensors_of_dcp_find_their_counterparts tensors_of_dcp_find_their_counterparts

# Each step of a chain against the packed one before it.
chains_restore() {
    rm -rf p2 p3 b2 b3
    "$mithril" compress -q -o p2 -b hf1.mth "$sets/hf-step2" && "$mithril" compress -q -o p3 -b p2 -b hf1.mth "$sets/hf-step1" &&
        "$mithril" decompress -q -o b3 -b p2 -b hf1.mth p3 && diff -r "$sets/hf-step1" b3 &&
        "$mithril" verify -q p3/*.mth p3/model.safetensors.index.json.mth -b p2 -b hf1.mth &&
        ! "$mithril" decompress -q -o b4 -b p2 p3
}
judge chains_of_directories_restore chains_restore

# Directories as two bases: the second is the older one, or that which the first needs and then the older one.
a_second_directory_is_an_older_base() {
    for set in hf dcp; do
        rm -rf two one three back b4
        "$mithril" compress -q -o two -b "$sets/$set-step2" -b "$sets/$set-step1" "$sets/$set-step1" &&
            "$mithril" compress -q -o one -b "$sets/$set-step2" "$sets/$set-step1" &&
            "$mithril" info "$(find two -name '[m_]*.mth' | sort | head -n 1)" | grep -q 'older ' &&
            "$mithril" decompress -q -o back -b "$sets/$set-step2" -b "$sets/$set-step1" two && diff -r "$sets/$set-step1" back &&
            ! "$mithril" decompress -q -o b4 -b "$sets/$set-step2" two && rm -rf b4 back &&
            "$mithril" decompress -q -o back -b "$sets/$set-step2" -b "$sets/$set-step1" one && diff -r "$sets/$set-step1" back &&
            "$mithril" verify two -b "$sets/$set-step2" -b ${set}1.mth && "$mithril" info two -b "$sets/$set-step2" -b ${set}1.mth &&
            "$mithril" compress -q -o three -b ${set}2.mth -b "$sets/$set-step1" "$sets/$set-step1" && rm -rf back &&
            "$mithril" decompress -q -o back -b "$sets/$set-step2" -b ${set}1.mth three && diff -r "$sets/$set-step1" back || return 1
        rm -rf p2 three back
        "$mithril" compress -q -o p2 -b ${set}1.mth "$sets/$set-step2" &&
            "$mithril" compress -q -o three -b p2 -b ${set}1.mth -b "$sets/$set-step1" "$sets/$set-step1" &&
            "$mithril" decompress -q -o back -b p2 -b ${set}1.mth -b ${set}1.mth three && diff -r "$sets/$set-step1" back || return 1
    done
}
judge a_second_directory_is_an_older_base a_second_directory_is_an_older_base

an_index_brings_its_shards() {
    rm -rf one two three
    cp -r "$sets/hf-step1" one
    "$mithril" compress -q one/model.safetensors.index.json && [ "$(find one -name '*.mth' | wc -l)" = 3 ] &&
        "$mithril" compress -q -o two one/model.safetensors.index.json && "$mithril" decompress -q -o three two && diff -r "$sets/hf-step1" three
}
judge an_index_brings_its_shards an_index_brings_its_shards

an_index_here_brings_its_shards_here() (
    rm -rf here
    cp -r "$sets/hf-step1" here && cd here &&
        "$mithril" compress -q model.safetensors.index.json && [ "$(find . -name '*.mth' | wc -l)" = 3 ]
)
judge an_index_here_brings_its_shards_here an_index_here_brings_its_shards_here

what_is_named_twice_is_done_once() {
    rm -rf one
    cp -r "$sets/hf-step1" one
    "$mithril" compress -q one/* && [ "$(find one -name '*.mth' | wc -l)" = 3 ]
}
judge what_is_named_twice_is_done_once what_is_named_twice_is_done_once

a_missing_shard_is_told_and_the_others_are_done() {
    rm -rf one
    cp -r "$sets/hf-step1" one
    rm one/model-00001-of-00002.safetensors
    "$mithril" compress -q one/model.safetensors.index.json 2>err
    [ $? = 6 ] && [ "$(wc -l <err)" = 1 ] && grep -q 'one/model-00001-of-00002.safetensors: No such file' err && [ -f one/model-00002-of-00002.safetensors.mth ]
}
judge a_missing_shard_is_told_and_the_others_are_done a_missing_shard_is_told_and_the_others_are_done

json_that_is_no_index_is_a_file_like_any_other() {
    rm -rf one
    mkdir one
    echo '{"a": 1}' >one/x.index.json
    "$mithril" compress -q one/x.index.json 2>err && [ "$(wc -l <err)" = 1 ] && grep -q 'no weight_map' err && [ -f one/x.index.json.mth ]
}
judge json_that_is_no_index_is_a_file_like_any_other json_that_is_no_index_is_a_file_like_any_other

# What trainers write beside the shards, in directories of their own.
whole_trees_restore_against_whole_trees() {
    rm -rf old new packed back
    for tree in old new; do
        mkdir -p $tree/sub
        cp "$sets/../torch/torch2-training.ckpt" $tree/optimizer.pt
        echo '{"hidden_size": 16}' >$tree/config.json
    done
    cp "$sets"/hf-step1/* old && cp "$sets"/hf-step2/* new && cp -r "$sets/dcp-step1" old/sub/state && cp -r "$sets/dcp-step2" new/sub/state
    cp "$sets/bin/pytorch_model-00001-of-00002.bin" new/fresh.bin && cp "$sets/../torch/torch2-dtypes.bin" new/new.pt
    "$mithril" compress -q -p $spec -o packed -b old new 2>err && "$mithril" decompress -q -o back -b old packed && diff -r new back &&
        "$mithril" compress -q -f -p $spec -o alone.mth new/optimizer.pt && [ "$(wc -c <packed/optimizer.pt.mth)" -lt $(($(wc -c <alone.mth) * 7 / 8)) ] &&
        grep -q 'new/new.pt: none of its tensors is in the base' err
}
judge whole_trees_restore_against_whole_trees whole_trees_restore_against_whole_trees

extracts_the_same_from() {
    "$mithril" extract -q -f "$1" -n "$3" -o a.safetensors && "$mithril" extract -q -f "$2" -n "$3" -o b.safetensors && cmp a.safetensors b.safetensors
}
last=model.layers.2.mlp.weight
judge extract_reads_a_directory extracts_the_same_from "$sets/hf-step1" "$sets/hf-step1/model-00002-of-00002.safetensors" $last
judge extract_reads_an_index extracts_the_same_from "$sets/hf-step1/model.safetensors.index.json" "$sets/bin" $last
judge extract_reads_a_directory_of_containers extracts_the_same_from hf1.mth "$sets/hf-step1" $last
judge extract_reads_a_distcp_container_by_name extracts_the_same_from dcp2.mth/__0_0.distcp.mth "$sets/dcp-step2" optim.state.first.weight.exp_avg

# Of a container in a directory, against the directory of its base.
extract_finds_the_base_in_a_directory() {
    rm -rf packed
    "$mithril" compress -q -o packed -b "$sets/hf-step1" "$sets/hf-step2" &&
        extracts_the_same_from "$sets/hf-step2" "$sets/hf-step2/model.safetensors.index.json" $last &&
        "$mithril" extract -q -f packed -b hf1.mth -n $last -o c.safetensors && cmp a.safetensors c.safetensors &&
        "$mithril" extract -q -f packed/model-00003-of-00003.safetensors.mth -b hf1.mth -n $last -o c.safetensors && cmp a.safetensors c.safetensors &&
        cp "$sets/../torch/torch2-training.ckpt" new-state.pt && mkdir -p before && cp new-state.pt before &&
        "$mithril" compress -q -b before new-state.pt && "$mithril" extract -q -f new-state.pt.mth -b before -n model.embed.weight -o d.safetensors &&
        "$mithril" info new-state.pt.mth -b before | grep -q model.embed.weight
}
judge extract_finds_the_base_in_a_directory extract_finds_the_base_in_a_directory

outputs_spare_the_files_of_the_base() {
    rm -rf packed base
    cp -r "$sets/hf-step1" base
    "$mithril" compress -q -o packed -b base "$sets/hf-step2" || return 1
    cp packed/model-00001-of-00003.safetensors.mth packed/model-00001-of-00002.safetensors.mth
    "$mithril" decompress -q -f -b base -o base/model-00001-of-00002.safetensors packed/model-00001-of-00002.safetensors.mth 2>err
    [ $? = 1 ] && grep -q 'is a file of the base' err && diff -r base "$sets/hf-step1"
}
judge outputs_spare_the_files_of_the_base outputs_spare_the_files_of_the_base

tells_the_same_of() {
    "$mithril" info "$1" | tail -n +2 >a && "$mithril" info "$2" | tail -n +2 >b && cmp a b && grep -q "$3" a
}
judge info_reads_an_index_as_the_directory tells_the_same_of "$sets/hf-step1" "$sets/hf-step1/model.safetensors.index.json" lm_head.weight
judge info_reads_containers_as_their_files tells_the_same_of dcp1.mth "$sets/dcp-step1" model.first.weight

bench_takes() {
    "$mithril" bench -q --rounds 1 -p seed -p balanced --json rows "$@" >table && grep -q "$cells cells verified, 0 failed" table
}
cells=2
judge bench_takes_a_directory_as_one_checkpoint bench_takes "$sets/dcp-ranks"
judge bench_takes_a_pair_of_sets bench_takes "$sets/hf-step2" -b hf1.mth
cells=4
mkdir run && cp -r "$sets/hf-step1" run/step-9 && cp -r "$sets/hf-step2" run/step-10
judge bench_takes_directories_of_steps bench_takes run

the_second_step_has_the_first_as_base() {
    grep -q '"dataset":"run/step-10",.*"base":"run/step-9"' rows
}
judge directories_of_steps_are_paired_in_step_order the_second_step_has_the_first_as_base

info_reads_containers_against_their_base() {
    rm -rf packed
    "$mithril" compress -q -o packed -b "$sets/hf-step1" "$sets/hf-step2" && "$mithril" info packed -b "$sets/hf-step1" | tail -n +2 >a &&
        "$mithril" info "$sets/hf-step2" -b "$sets/hf-step1" | tail -n +2 >b && cmp a b
}
judge info_reads_containers_against_their_base info_reads_containers_against_their_base

one_line() {
    want=$1
    shift
    if "$mithril" "$@" >out 2>err; then return 1; fi
    [ "$(wc -l <err)" = 1 ] && [ ! -s out ] && grep -q "$want" err
}
mkdir none && cp "$sets/sets.json" none
judge a_directory_of_nothing_gives_info_one_line one_line 'no \*.index.json, no shards' info none
judge a_directory_of_nothing_gives_bench_one_line one_line 'neither a checkpoint of several files nor a run of steps' bench none
judge a_directory_of_nothing_gives_extract_one_line one_line 'a directory without a checkpoint' extract none -n a -o x
judge bases_are_files_or_directories one_line 'directories and files do not go together' compress "$sets/hf-step2" -o x -b hf1.mth -b "$sets/sets.json"

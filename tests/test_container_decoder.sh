#!/bin/sh
# What compress writes is what docs/container.md says: a decoder in Python, written from the documents alone, restores it, and
# refuses damage. One law a spec and kind of file. Skipped where there is no Python or it finds no libzstd.
set -u
cd "$(dirname "$0")/.." || exit 1
mithril=${MITHRIL:-build/mithril}
export PYTHONDONTWRITEBYTECODE=1
if ! python3 -c 'import sys; sys.path.insert(0, "tests/decoder"); import decode, stream_codecs; stream_codecs.libzstd()' 2>/dev/null; then
    printf '[ RUN      ] a_decoder_of_the_documents\n[  SKIPPED ] a_decoder_of_the_documents: needs python3 and libzstd\n'
    exit 0
fi
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

# decodes SPEC FILE [BASE [OLDER]]: with the sizes of chunks in $chunks; of 4 KiB there are several bundles.
chunks=4KiB
decodes() {
    for chunk in $chunks; do
        rm -f "$dir/packed" "$dir/back"
        if [ $# -eq 4 ]; then
            "$mithril" compress -q -f --chunk "$chunk" -p "$1" -b "$3" -b "$4" -o "$dir/packed" "$2" &&
                python3 tests/decoder/decode.py "$dir/packed" "$dir/back" "$3" "$4" && cmp "$2" "$dir/back" || return 1
        elif [ $# -eq 3 ]; then
            "$mithril" compress -q -f --chunk "$chunk" -p "$1" -b "$3" -o "$dir/packed" "$2" &&
                python3 tests/decoder/decode.py "$dir/packed" "$dir/back" "$3" && cmp "$2" "$dir/back" || return 1
        else
            "$mithril" compress -q -f --chunk "$chunk" -p "$1" -o "$dir/packed" "$2" &&
                python3 tests/decoder/decode.py "$dir/packed" "$dir/back" && cmp "$2" "$dir/back" || return 1
        fi
    done
}

fixtures=tests/fixtures/torch
for spec in store zstd:level=1 byte-group+zstd exponent-split+zstd/store exponent-split+byte-group+zstd//store/bit-shuffle+zlib \
    exponent-split+rans/store byte-group+rans:aim=size exponent-split+tiers/store byte-group+tiers \
    bit-shuffle+xz:level=1 byte-group:width=3+bzip2; do
    for file in $fixtures/torch2-dtypes.bin $fixtures/torch2-views.pt; do
        judge "${spec}_on_$(basename "$file")_decodes" decodes "$spec" "$file"
    done
done

# Three tensors of two steps of a training.
run=datasets/tiny-gpt/finetune-1e-5/finetune-1e-5-step
for step in 100 101; do
    "$mithril" extract -q -o "$dir/$step" -n transformer.wpe.weight -n transformer.h.0.mlp.c_fc.bias \
        -n transformer.ln_f.bias $run-000$step.safetensors
done
for spec in delta-xor+store delta-sub+byte-group+zstd delta-ulp+byte-group+zstd delta-xor+exponent-split+zstd/store \
    byte-group+zstd:prefix=yes ulp-rans byte-group+ulp-rans fast balanced max; do
    judge "${spec}_against_a_base_decodes" decodes "$spec" "$dir/101" "$dir/100"
done
chunks='4KiB 1MiB'
for spec in ulp-rans fast balanced max; do
    judge "${spec}_in_large_chunks_decodes" decodes "$spec" "$dir/101" "$dir/100"
done
for step in 2000 2001 2010; do
    "$mithril" extract -q -o "$dir/$step" -n transformer.h.0.mlp.c_fc.weight -n transformer.h.0.mlp.c_fc.bias \
        datasets/tiny-gpt/pretrain/pretrain-step-00$step.safetensors
done
judge two_bases_decode decodes balanced "$dir/2010" "$dir/2001" "$dir/2000"
judge two_bases_of_other_places_decode decodes balanced "$dir/2010" "$dir/2001" \
    datasets/tiny-gpt/pretrain/pretrain-step-002000.safetensors
judge a_copy_of_its_base_decodes decodes delta-xor+store "$dir/101" "$dir/101"

# Tensors that are others, or otherwise, than in the base; and the other way round.
chunks='16KiB 1MiB'
for kind in renamed reshaped grown shrunk F32 F16; do
    python3 tests/decoder/make_variant.py $kind "$dir/101" "$dir/variant"
    judge "${kind}_tensors_decode" decodes balanced "$dir/variant" "$dir/100"
    judge "tensors_that_were_${kind}_decode" decodes balanced "$dir/100" "$dir/variant"
done

# Training states a step apart: moments, predictions and copies; and one alone.
for kind in bf16 fp32; do
    states=tests/fixtures/states/adamw-$kind
    for chunks in 16KiB 1MiB; do
        judge "a_step_of_adamw_of_${kind}_gradients_decodes_in_$chunks" decodes balanced "$states-12.pt" "$states-11.pt"
    done
done
judge ten_steps_of_adamw_decode decodes balanced "tests/fixtures/states/adamw-bf16-21.pt" "tests/fixtures/states/adamw-bf16-11.pt"
for name in sgd nesterov adagrad rmsprop rmsprop-momentum rmsprop-centered amsgrad adam-l2 accumulated fp16 \
    adamw-1.12 adam-l2-bf16 sgd-bf16 rmsprop-bf16 adagrad-bf16 \
    adamw-groups adam-l2-groups sgd-groups rmsprop-groups adagrad-groups; do
    judge "a_step_of_${name}_decodes" decodes balanced "tests/fixtures/states/$name-12.pt" "tests/fixtures/states/$name-11.pt"
done
# Tensors that are parts of others: the golden containers of them have families of parts, and both decoders restore the same.
golden=tests/golden/containers
restores_parts() {
    rm -f "$dir/back" "$dir/python"
    "$mithril" decompress -q ${2:+-b "$2"} -o "$dir/back" "$golden/$1.mth" &&
        python3 tests/decoder/decode.py "$golden/$1.mth" "$dir/python" ${2:+"$2"} && cmp "$dir/python" "$dir/back" &&
        python3 - "$golden/$1.mth" ${2:+"$2"} <<'END'
import sys
sys.path.insert(0, "tests/decoder")
import decode
data, *bases = [open(path, "rb").read() for path in sys.argv[1:]]
members = {(n_elems, *member) for n_elems, _, family in decode.Container(data, bases).layout for member in family}
fused, flat = 50, 50 + 4 * 1920
# Elements, offset, width: q, k and v in the fused matrix and on their own; layers in the flat buffer, gaps between, and rounded.
for part in ((1536, fused, 2), (192, fused + 3072, 2), (192, fused + 3456, 2), (1536, fused + 3840, 2), (1100, flat, 4),
             (70, flat + 4608, 4), (300, flat + 5120, 4), (1100, flat + 6400, 2), (70, flat + 8600, 2), (300, flat + 8740, 2)):
    assert part in members, f"{part} is none of {sorted(members)}"
END
}
judge golden_parts_of_tensors_decode restores_parts slices
cp "$dir/back" "$dir/parts"
judge golden_parts_of_tensors_decode_against_a_base restores_parts slices_against_a_base "$dir/parts"

restores_rounded() {
    "$mithril" decompress -q -f -o "$dir/back" "$golden/$1.mth" &&
        python3 tests/decoder/decode.py "$golden/$1.mth" "$dir/python" && cmp "$dir/python" "$dir/back"
}
judge what_chance_rounded_decodes restores_rounded chances
judge what_chance_rounded_before_decodes restores_rounded rounded_by_chance
judge copies_decode decodes balanced "$states-12.pt"

# What is lossy restores to the same by both decoders. Of the table of wpe, and alone and against the step before.
quantizes_alike() {
    rm -f "$dir/packed" "$dir/back" "$dir/python"
    "$mithril" compress -q --lossy --chunk "$chunk" -p "check-n-run:$1" ${2:+-b "$2"} -o "$dir/packed" "$dir/rows.safetensors" &&
        "$mithril" decompress -q ${2:+-b "$2"} -o "$dir/back" "$dir/packed" &&
        python3 tests/decoder/decode.py "$dir/packed" "$dir/python" ${2:+"$2"} && cmp "$dir/python" "$dir/back" &&
        ! cmp -s "$dir/back" "$dir/rows.safetensors"
}
python3 - "$dir/rows.safetensors" "$dir/rows_before.safetensors" <<'END'
import json, random, struct, sys
random.seed(1)
rows, columns = 500, 24
before = [random.gauss(0, 0.1) for _ in range(rows * columns)]
after = [x + 0.01 if i // columns % 9 == 4 else x for i, x in enumerate(before)]
after[7 * columns] = float("nan")
for path, values in zip(sys.argv[1:], (after, before)):
    data = struct.pack(f"<{len(values)}f", *values)
    head = json.dumps({"emb": {"dtype": "F32", "shape": [rows, columns], "data_offsets": [0, len(data)]}}).encode()
    open(path, "wb").write(struct.pack("<Q", len(head)) + head + data)
END
for chunk in 4KiB 1MiB; do
    for quantizer in symmetric asymmetric k-means adaptive; do
        for bits in 2 3 8; do
            [ "$quantizer$bits" = k-means8 ] && continue
            judge "rows_by_${quantizer}_in_${bits}_bits_decode_alike_in_$chunk" quantizes_alike "quantizer=$quantizer:bits=$bits"
        done
    done
    judge "changed_rows_decode_alike_in_$chunk" quantizes_alike bits=4 "$dir/rows_before.safetensors"
done

# Every width, steps of every size, odd values, rows of which few changed, more than a block.
chunks='16KiB 4MiB'
python3 tests/decoder/make_pair.py "$dir/before" "$dir/after"
judge steps_of_every_size_in_every_width_decode decodes ulp-rans "$dir/after" "$dir/before"

chunks='4KiB 1MiB'
: >"$dir/empty"
printf x >"$dir/one"
judge an_empty_file_decodes decodes store "$dir/empty"
judge a_file_of_one_byte_decodes decodes zstd "$dir/one"

# More than 4096 bundles: two pages of the index.
head -c 16780000 /dev/zero >"$dir/long"
chunks=4KiB
judge two_pages_of_the_index_decode decodes zstd:level=1 "$dir/long"

refuses_damage() {
    "$mithril" compress -q -f -p delta-xor+byte-group+zstd --chunk 16KiB -b "$dir/100" -o "$dir/packed" "$dir/101" &&
        python3 - "$dir/packed" "$dir/100" <<'END'
import sys
sys.path.insert(0, "tests/decoder")
import decode
data, base = open(sys.argv[1], "rb").read(), open(sys.argv[2], "rb").read()
assert decode.Container(data, [base]).out
for bit in list(range(0, 8 * len(data), 1999)) + list(range(8 * len(data) - 192, 8 * len(data), 23)):
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    for candidate in (bytes(damaged), data[:bit // 8]):
        try:
            decode.Container(candidate, [base])
        except decode.Bad:
            continue
        sys.exit(f"bit {bit} passes")
END
}
judge damage_is_refused refuses_damage

#!/bin/sh
# Prove that a codec is one new file and one line: add one to a copy of the tree and run the conformance suite there. It must pass;
# and it must fail when the codec is broken, which shows that the suite ran on it.
# usage: add_codec_check.sh      (CC, JOBS from the environment)
set -eu
# Of a make that may have called: its options are not for the makes below.
unset MAKEFLAGS MFLAGS MAKELEVEL

here=$(cd "$(dirname "$0")/.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
jobs=${JOBS:-$(nproc 2>/dev/null || echo 2)}

cd "$here"
tar -cf - Makefile base codecs transforms formats pipeline harness datasets/*.[ch] examples tests scripts | tar -xf - -C "$copy"
cd "$copy"

# The new file.
cat >codecs/run_length.c <<'C'
/* run-length: runs of equal bytes as (length - 1, byte) pairs. */
#include "codecs/codec.h"

static size_t bound(const int64_t *options, size_t src_bytes)
{
    (void)options;
    return src_bytes >= SIZE_MAX / 2 ? 0 : 2 * src_bytes + 1; /* 0 would say that it can not be done */
}

static int create(const int64_t *options, unsigned sides, struct mth_memory *memory, void **state)
{
    (void)options, (void)sides, (void)memory;
    *state = NULL;
    return MTH_OK;
}

static void destroy(void *state)
{
    (void)state;
}

static int encode(void *state, struct mth_encode_job *job)
{
    (void)state;
    size_t n_out = 0;
    for (size_t i = 0, n; i < job->src.n_bytes; i += n) {
        for (n = 1; n < 256 && i + n < job->src.n_bytes && job->src.data[i + n] == job->src.data[i]; n++)
            ;
        if (job->dst_capacity - n_out < 2)
            return MTH_ERR_CAPACITY;
        job->dst[n_out++] = (uint8_t)(n - 1);
        job->dst[n_out++] = job->src.data[i];
    }
    job->out = (struct mth_bytes){job->dst, n_out};
    return MTH_OK;
}

static int decode(void *state, struct mth_decode_job *jobs, size_t n_jobs)
{
    (void)state;
    for (size_t j = 0; j < n_jobs; j++) {
        struct mth_bytes src = jobs[j].src;
        size_t n_out = 0;
        for (size_t i = 0; i < src.n_bytes; i += 2) {
            size_t n = (size_t)src.data[i] + 1;
            if (i + 1 == src.n_bytes || n > jobs[j].dst_bytes - n_out)
                return MTH_ERR_CORRUPT;
            while (n--)
                jobs[j].dst[n_out++] = src.data[i + 1];
        }
        if (n_out != jobs[j].dst_bytes)
            return MTH_ERR_CORRUPT;
    }
    return MTH_OK;
}

const struct mth_codec mth_codec_run_length = {
    .abi = MTH_CODEC_ABI,
    .wire_version = 1,
    .name = "run-length",
    .summary = "runs of equal bytes",
    .bound = bound,
    .create = create,
    .destroy = destroy,
    .encode = encode,
    .decode = decode,
};
C
# The one line.
echo 'MTH_CODEC(run_length)' >>codecs/codecs.def

# The suite names its tests "CODEC LAW", and runs those whose name contains its argument.
suite() {
    make --no-print-directory -j"$jobs" OPT=-O1 BUILD=build build/tests/test_codecs build/examples/plugin_range0.so >build.log 2>&1 || {
        tail -n 20 build.log | sed "s/^/    /"
        echo "not ok a_copy_with_a_codec_more_builds"
        exit 1
    }
    ./build/tests/test_codecs 'run-length ' >"$1" 2>&1
}

law=conformance_suite_passes_on_a_codec_of_one_file_and_one_line
if suite whole.log && [ "$(grep -c '^\[       OK \] run-length ' whole.log)" -ge 10 ]; then
    echo "ok $law"
else
    tail -n 40 whole.log | sed "s/^/    /"
    echo "not ok $law"
    exit 1
fi

# Break it: long runs lose a byte's value.
sed 's/src\.data\[i + 1\];/(uint8_t)(src.data[i + 1] ^ (n == 100));/' codecs/run_length.c >broken.c
if cmp -s broken.c codecs/run_length.c; then
    echo "not ok the_codec_can_be_broken"
    exit 1
fi
mv broken.c codecs/run_length.c
if suite broken.log || ! grep -q '^\[  FAILED  \] run-length round_trips' broken.log; then
    echo "not ok conformance_suite_fails_when_that_codec_is_broken"
    exit 1
fi
echo "ok conformance_suite_fails_when_that_codec_is_broken"

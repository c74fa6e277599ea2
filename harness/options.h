/*
 * The command line: one table of options for all commands, so that an option means the same everywhere.
 *
 * A command says as data which options it takes; parsing, help and errors follow from that.
 */
#ifndef MTH_HARNESS_OPTIONS_H
#define MTH_HARNESS_OPTIONS_H

#include "base/dtype.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a command takes; -h and --version come with every command. */
enum mth_takes {
    MTH_TAKES_PIPELINE = 1 << 0,   /* -p, --pipeline SPEC; --lossy */
    MTH_TAKES_PIPELINES = 1 << 1,  /* the same, any number of times */
    MTH_TAKES_PARTIAL = 1 << 2,    /* --partial; reports and compare take it too */
    MTH_TAKES_THREADS = 1 << 3,    /* -t, --threads N */
    MTH_TAKES_OUTPUT = 1 << 4,     /* -o, --output FILE */
    MTH_TAKES_FORCE = 1 << 5,      /* -f, --force */
    MTH_TAKES_NAME = 1 << 6,       /* -n, --name TENSOR */
    MTH_TAKES_DTYPE = 1 << 7,      /* --dtype TYPE */
    MTH_TAKES_JSON = 1 << 8,       /* --json FILE */
    MTH_TAKES_EXTENSIONS = 1 << 9, /* --plugin FILE, --define NAME=SPEC */
    MTH_TAKES_CHUNK = 1 << 10,     /* --chunk SIZE */
    MTH_TAKES_MANIFEST = 1 << 11,  /* --manifest FILE */
    MTH_TAKES_MATRIX = 1 << 12,    /* --matrix FILE */
    MTH_TAKES_ROUNDS = 1 << 13,    /* --rounds N, --seconds S, --seed N */
    MTH_TAKES_REQUIRE = 1 << 14,   /* --require EXPR */
    MTH_TAKES_REPORTS =
        1 << 15, /* --markdown, --csv, --latex, --html, --figure, --formats, --status, --readme FILE */
    MTH_TAKES_HYPERFINE = 1 << 16, /* --hyperfine FILE */
    MTH_TAKES_QUIET = 1 << 17,     /* -q, --quiet */
    MTH_TAKES_CHAIN = 1 << 18,     /* -b, --base FILE, again for the base of the base */
    MTH_TAKES_MEMORY = 1 << 19,    /* --memory LIMIT */
    MTH_TAKES_ESTIMATE = 1 << 20,  /* --estimate, --no-verify */
    MTH_TAKES_NAMES = 1 << 21,     /* -n, --name TENSOR, any number of times; --rows BEGIN:END */
    MTH_TAKES_FILES = 1 << 22,     /* --files DIR */
    MTH_TAKES_PEERS = 1 << 23,     /* --peer NAME=COMMAND, any number of times; --peer-limit S */
    MTH_TAKES_POLICY = 1 << 24,    /* --policy POLICY */
    MTH_TAKES_POLICIES = 1 << 25,  /* the same, any number of times */
    MTH_TAKES_STEP = 1 << 26,      /* --step N */
    MTH_TAKES_KEEP = 1 << 27,      /* --keep RULES */
    MTH_TAKES_DRY_RUN = 1 << 28,   /* --dry-run */
    /* --cache, --paced, --parts, --resident, --latency, --scaling, --strict, --rerun, --shard, ... */
    MTH_TAKES_BENCH = 1 << 29,
    MTH_TAKES_COMPARE = 1 << 30 /* --run, --sizes, --seconds, --seed, --margins, --markdown FILE */
};
#define MTH_TAKES_EXPLORE \
    (UINT32_C(1) << 31) /* --budget TIME, --prefer RULE, --seed, --cache; no enumerator has room for it */

struct mth_command_line {
    const char *name;    /* in messages; NULL: argv[0] */
    const char *usage;   /* what follows "usage: mithril ", one line */
    const char *summary; /* what the command does, lines without the last newline */
    const char *notes;   /* printed behind the options, or NULL */
    uint32_t takes;      /* enum mth_takes */
    size_t min_operands;
    size_t max_operands; /* SIZE_MAX for any number */
};

/* Borrowed from argv. */
struct mth_words {
    const char **items;
    size_t n_items;
};

/* What was asked for; NULL, 0 and false where nothing was, unless said otherwise. */
struct mth_options {
    struct mth_words operands;
    struct mth_words pipelines;
    struct mth_words peers;
    struct mth_words policies;
    struct mth_words plugins;
    struct mth_words definitions;
    const char *keep;
    uint64_t step;    /* when has_step */
    const char *base; /* the first of bases */
    struct mth_words bases;
    const char *output;
    struct mth_words names;
    const char *name; /* the first of names */
    const char *json;
    const char *manifest;
    const char *matrix;
    const char *require;
    const char *files;
    const char *markdown;
    const char *csv;
    const char *figure;
    const char *latex;
    const char *html;
    const char *formats;
    const char *status;
    const char *readme;
    const char *hyperfine;
    const char *margins;
    enum mth_dtype dtype; /* MTH_N_DTYPES when not given */
    size_t threads;       /* 1 .. 4096 */
    size_t chunk_bytes;   /* a power of two, 4 KiB .. 1 GiB; 0 when not given */
    size_t memory_bytes;  /* 0: no limit */
    size_t cache_bytes;   /* 0: as large as it is */
    size_t rounds;
    double seconds;        /* -1 when not given */
    double budget_seconds; /* 0 when not given */
    const char *prefer;
    double peer_seconds; /* -1 when not given */
    uint64_t seed;
    bool has_seed;
    uint64_t rows_begin; /* of the first dimension, when has_rows */
    uint64_t rows_end;
    bool has_rows;
    bool has_step;
    bool dry_run;
    bool lossy;
    bool force;
    bool quiet;
    bool estimate;
    bool no_verify;
    bool sizes;
    bool run;
    bool paced;
    bool parts;
    bool resident;
    bool latency;
    bool scaling;
    bool strict;
    const char *one_pass; /* "compress", "decompress" */
    const char *container;
    const char *rerun;
    const char *shard;
    bool partial;
};

/*
 * Parse a command's arguments, load the plug-ins and define the specs they name.
 *
 * Shape     argv[0] is the command's name; options and operands in any order, `--` ends the options
 * Errors    false when the command is over: help or the version was printed (exit_code 0), or one line said
 * what is wrong (exit_code is what to return). Nothing is then to be freed.
 */
bool mth_options_parse(const struct mth_command_line *command, int argc, char **argv,
                       struct mth_options *options, int *exit_code);
void mth_options_free(struct mth_options *options);

#endif

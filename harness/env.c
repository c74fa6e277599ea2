/* The row of kind `env`; see env.h. What Linux tells in files is read from there, all else through POSIX. */
#include "harness/env.h"

#include "base/cpu.h"
#include "base/hash.h"
#include "base/pool.h"
#include "pipeline/mithril.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The Makefile says how this was built; other builds need not. */
#ifndef MTH_BUILD_FLAGS
#define MTH_BUILD_FLAGS NULL
#endif
#ifndef MTH_BUILD_COMMIT
#define MTH_BUILD_COMMIT NULL
#endif

#ifndef MTH_BUILD_DIFF
#define MTH_BUILD_DIFF NULL
#endif

#if defined(__clang__)
#define MTH_BUILD_COMPILER __VERSION__ /* begins with its name */
#elif defined(__GNUC__)
#define MTH_BUILD_COMPILER "gcc " __VERSION__
#else
#define MTH_BUILD_COMPILER NULL
#endif

enum { MAX_CACHES = 10, TEXT_BYTES = 256 };

/* The first line of a small file, without its newline; NULL when there is none. */
static const char *first_line(const char *path, char line[TEXT_BYTES])
{
    FILE *file = fopen(path, "r");
    if (!file)
        return NULL;
    char *got = fgets(line, TEXT_BYTES, file);
    fclose(file);
    if (!got)
        return NULL;
    line[strcspn(line, "\n")] = '\0';
    return line;
}

/* The value behind the first line that starts with key: "model name\t: X" -> X. */
static const char *value_of(const char *path, const char *key, char line[TEXT_BYTES])
{
    FILE *file = fopen(path, "r");
    if (!file)
        return NULL;
    const char *value = NULL;
    size_t n_key = strlen(key);
    while (!value && fgets(line, TEXT_BYTES, file)) {
        if (strncmp(line, key, n_key) != 0)
            continue;
        char *p = line + n_key;
        p += strspn(p, " \t");
        if (*p != ':' && *p != '=')
            continue;
        p++;
        p += strspn(p, " \t\"");
        p[strcspn(p, "\"\n")] = '\0';
        value = p;
    }
    fclose(file);
    return value;
}

struct cache {
    unsigned level;
    char type[16];
    uint64_t n_bytes;
};

static size_t read_caches(struct cache caches[MAX_CACHES])
{
    size_t n = 0;
    for (int i = 0; i < MAX_CACHES; i++) {
        char path[96], line[TEXT_BYTES];
        struct cache *cache = &caches[n];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/level", i);
        if (!first_line(path, line))
            break;
        cache->level = (unsigned)strtoul(line, NULL, 10);
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/type", i);
        snprintf(cache->type, sizeof cache->type, "%.15s", first_line(path, line) ? line : "Unified");
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", i);
        if (!first_line(path, line))
            continue;
        char *unit;
        cache->n_bytes = strtoull(line, &unit, 10);
        cache->n_bytes <<= *unit == 'K' ? 10 : *unit == 'M' ? 20 : 0;
        n += cache->n_bytes > 0;
    }
    return n;
}

size_t mth_env_llc_bytes(void)
{
    enum { MOST_CACHE_BYTES = 64 << 20 };
    struct cache caches[MAX_CACHES];
    size_t n = read_caches(caches);
    const struct cache *last = NULL;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(caches[i].type, "Instruction") != 0 && (!last || caches[i].level > last->level))
            last = &caches[i];
    }
    if (last)
        return (size_t)last->n_bytes;
#ifdef _SC_LEVEL3_CACHE_SIZE
    static const int names[] = {_SC_LEVEL4_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE, _SC_LEVEL2_CACHE_SIZE};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        long n_bytes = sysconf(names[i]);
        /* In a virtual machine this is what all sockets of the host have together; no one core reaches that much. */
        if (n_bytes > 0)
            return (size_t)n_bytes < MOST_CACHE_BYTES ? (size_t)n_bytes : (size_t)MOST_CACHE_BYTES;
    }
#endif
    return 0;
}

static void put_count(struct mth_json_writer *w, const char *key, int64_t count)
{
    if (count > 0)
        mth_json_int(w, key, count);
    else
        mth_json_null(w, key);
}

static void put_processor(struct mth_json_writer *w)
{
    char line[TEXT_BYTES];
    const char *model = value_of("/proc/cpuinfo", "model name", line);
    mth_json_string(w, "cpu_model", model ? model : value_of("/proc/cpuinfo", "Model", line));
    put_count(w, "cpus_online", sysconf(_SC_NPROCESSORS_ONLN));
    put_count(w, "cpus_allowed", (int64_t)mth_pool_processors());
    const char *cores = value_of("/proc/cpuinfo", "cpu cores", line);
    put_count(w, "cores_per_socket", cores ? strtol(cores, NULL, 10) : 0);
    const char *smt = first_line("/sys/devices/system/cpu/smt/active", line);
    if (smt)
        mth_json_bool(w, "smt", smt[0] == '1');
    else
        mth_json_null(w, "smt");

    struct cache caches[MAX_CACHES];
    size_t n_caches = read_caches(caches);
    mth_json_begin_array(w, "caches");
    for (size_t i = 0; i < n_caches; i++) {
        mth_json_begin_object(w, NULL);
        mth_json_uint(w, "level", caches[i].level);
        mth_json_string(w, "type", caches[i].type);
        mth_json_uint(w, "bytes", caches[i].n_bytes);
        mth_json_end(w);
    }
    mth_json_end(w);
    put_count(w, "llc_bytes", (int64_t)mth_env_llc_bytes());

    char features[64];
    mth_cpu_describe(mth_cpu_features(), features, sizeof features);
    mth_json_string(w, "cpu_features", features);
    mth_json_string(w, "cpu_disabled", getenv("MTH_DISABLE_CPU"));
    mth_json_string(w, "governor", first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", line));
    mth_json_string(w, "boost", first_line("/sys/devices/system/cpu/cpufreq/boost", line));
    /* x86 has a bit for it, but a line of flags is longer than a line here: search the file for the word. */
    FILE *file = fopen("/proc/cpuinfo", "r");
    bool is_x86 = false, has_hypervisor = false;
    char piece[4096];
    while (file && fgets(piece, sizeof piece, file)) {
        is_x86 |= strncmp(piece, "flags", 5) == 0;
        has_hypervisor |= strncmp(piece, "flags", 5) == 0 && strstr(piece, " hypervisor") != NULL;
    }
    if (file)
        fclose(file);
    if (is_x86)
        mth_json_bool(w, "virtualised", has_hypervisor);
    else
        mth_json_null(w, "virtualised");
}

static void put_system(struct mth_json_writer *w)
{
    char line[TEXT_BYTES];
    struct utsname name;
    bool named = uname(&name) == 0;
    long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    put_count(w, "memory_bytes", pages > 0 && page_bytes > 0 ? (int64_t)pages * page_bytes : 0);
    put_count(w, "page_bytes", page_bytes);
    mth_json_string(w, "huge_pages", first_line("/sys/kernel/mm/transparent_hugepage/enabled", line));
    mth_json_string(w, "cpu_quota", first_line("/sys/fs/cgroup/cpu.max", line));
    mth_json_string(w, "memory_quota", first_line("/sys/fs/cgroup/memory.max", line));
    mth_json_string(w, "kernel", named ? name.release : NULL);
    mth_json_string(w, "system", named ? name.sysname : NULL);
    mth_json_string(w, "machine", named ? name.machine : NULL);
    mth_json_string(w, "os", value_of("/etc/os-release", "PRETTY_NAME", line));
#ifdef _CS_GNU_LIBC_VERSION
    mth_json_string(w, "libc", confstr(_CS_GNU_LIBC_VERSION, line, sizeof line) ? line : NULL);
#else
    mth_json_null(w, "libc");
#endif
}

/* A build outside of a git repository has an empty commit. */
static const char *known(const char *text)
{
    return text && *text ? text : NULL;
}

static void put_build(struct mth_json_writer *w)
{
    mth_json_string(w, "version", MTH_VERSION);
    mth_json_string(w, "commit", known(MTH_BUILD_COMMIT));
    mth_json_string(w, "dirty_diff", known(MTH_BUILD_DIFF));
    mth_json_string(w, "compiler", MTH_BUILD_COMPILER);
    mth_json_string(w, "build_flags", known(MTH_BUILD_FLAGS));
    mth_json_begin_object(w, "libraries");
    const struct mth_codec *codec;
    for (size_t i = 0; (codec = mth_codec_at(i)) != NULL; i++) {
        if (codec->library)
            mth_json_string(w, codec->name, codec->library());
    }
    mth_json_end(w);
    mth_json_uint(w, "gib_bytes", UINT64_C(1) << 30);
}

static void put_row(struct mth_json_writer *w, const char *key, const char *id)
{
    mth_json_begin_object(w, key);
    mth_json_string(w, "kind", "env");
    mth_json_int(w, "schema", 1);
    mth_json_string(w, "env_id", id);
    put_processor(w);
    put_system(w);
    put_build(w);
    mth_json_end(w);
}

void mth_env_row(struct mth_json_writer *writer, const char *key)
{
    char id[MTH_ENV_ID_BYTES];
    mth_env_id(id);
    put_row(writer, key, id);
}

static void put_build_row(struct mth_json_writer *w)
{
    mth_json_begin_object(w, NULL);
    put_build(w);
    mth_json_end(w);
}

/* XXH3-64 of what was written. */
static void identify(struct mth_json_writer *w, char id[MTH_ENV_ID_BYTES])
{
    const char *text;
    size_t n_bytes;
    if (mth_json_writer_text(w, &text, &n_bytes) != MTH_OK) {
        text = "";
        n_bytes = 0;
    }
    snprintf(id, MTH_ENV_ID_BYTES, "%016" PRIx64, mth_hash64(text, n_bytes, 0));
}

void mth_env_id(char id[MTH_ENV_ID_BYTES])
{
    struct mth_json_writer w;
    mth_json_writer_init(&w);
    put_row(&w, NULL, NULL);
    identify(&w, id);
    mth_json_writer_free(&w);
}

void mth_env_build_id(char id[MTH_ENV_ID_BYTES])
{
    struct mth_json_writer w;
    mth_json_writer_init(&w);
    put_build_row(&w);
    identify(&w, id);
    mth_json_writer_free(&w);
}

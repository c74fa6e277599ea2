/* Pairing the cells of two measurements, and judging their sizes; see compare.h. */
#include "harness/compare.h"

#include "harness/require.h"
#include "harness/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char required_names[] = "ratio, gib_s, compress_gib_s, decompress_gib_s, compress_pct_memcpy, "
                                     "decompress_pct_memcpy, heap_ratio";

/* ---- the same cell in another measurement ---- */

/* Sizes of peers are theirs, and what a spec can not do has none. */
static bool counts(const struct mth_report_cell *cell)
{
    return mth_report_is_compress(cell) && !cell->unsupported && strncmp(cell->spec, "peer:", 5) != 0;
}

/* By hash where both have one: paths differ from checkout to checkout, and the name of a file is not its content. */
static bool same_data(const char *hash, const char *name, const char *other_hash, const char *other_name)
{
    return hash && other_hash ? strcmp(hash, other_hash) == 0 : mth_text_same(name, other_name);
}

static bool same_scope(const struct mth_report_group *a, const struct mth_report_group *b)
{
    return !a->base == !b->base && !a->older == !b->older && a->threads == b->threads &&
           a->raw_bytes == b->raw_bytes && same_data(a->hash, a->dataset, b->hash, b->dataset) &&
           (!a->base || same_data(a->base_hash, a->base, b->base_hash, b->base)) &&
           (!a->older || same_data(a->older_hash, a->older, b->older_hash, b->older));
}

/* The counterpart of a cell that no other cell has taken yet; of several the one of the same machine and name. */
static const struct mth_report_cell *counterpart(const struct mth_report *rows,
                                                 const struct mth_report_group *group,
                                                 const struct mth_report_cell *cell, const bool *taken)
{
    const struct mth_report_cell *found = NULL;
    int found_likeness = -1;
    for (size_t i = 0; i < rows->n_cells; i++) {
        const struct mth_report_cell *other = &rows->cells[i];
        const struct mth_report_group *other_group = &rows->groups[other->group];
        if (taken[i] || !counts(other) || !mth_text_same(other->spec, cell->spec) ||
            !same_scope(group, other_group))
            continue;
        int likeness = 2 * mth_text_same(group->env_id, other_group->env_id) +
                       mth_text_same(group->dataset, other_group->dataset);
        if (likeness > found_likeness) {
            found = other;
            found_likeness = likeness;
        }
    }
    return found;
}

static const struct mth_report_env *env_of(const struct mth_report *rows,
                                           const struct mth_report_group *group)
{
    for (size_t i = 0; i < rows->n_envs; i++) {
        if (mth_text_same(rows->envs[i].env_id, group->env_id))
            return &rows->envs[i];
    }
    return NULL;
}

/* ---- what can not be compared ---- */

static int check_machine(const struct mth_report_env *old_env, const struct mth_report_env *new_env,
                         struct mth_error *err)
{
    static const char advice[] = "speeds can not be compared; --sizes looks at sizes alone";
    if (!old_env || !new_env)
        return mth_error_set(err, MTH_ERR_LIMIT, "rows without their env row: the machine is not known; %s",
                             advice);
    if (!mth_text_same(old_env->cpu_model, new_env->cpu_model))
        return mth_error_set(err, MTH_ERR_LIMIT, "different machines (%.40s, then %.40s): %s",
                             old_env->cpu_model ? old_env->cpu_model : "unknown",
                             new_env->cpu_model ? new_env->cpu_model : "unknown", advice);
    if (!mth_text_same(old_env->cpu_features, new_env->cpu_features))
        return mth_error_set(err, MTH_ERR_LIMIT, "different machines (features %.40s, then %.40s): %s",
                             old_env->cpu_features ? old_env->cpu_features : "unknown",
                             new_env->cpu_features ? new_env->cpu_features : "unknown", advice);
    if (old_env->cpus_allowed != new_env->cpus_allowed || old_env->llc_bytes != new_env->llc_bytes ||
        !mth_text_same(old_env->machine, new_env->machine))
        return mth_error_set(err, MTH_ERR_LIMIT,
                             "different machines (%" PRId64 " processors with %" PRId64
                             " bytes of last-level cache, then %" PRId64 " with %" PRId64 "): %s",
                             old_env->cpus_allowed, old_env->llc_bytes, new_env->cpus_allowed,
                             new_env->llc_bytes, advice);
    return MTH_OK;
}

static const char *library_version(const struct mth_report_env *env, const char *codec)
{
    const char *version = NULL;
    struct mth_error err;
    if (env && env->libraries.value)
        (void)mth_json_get_string(&env->libraries, codec, MTH_JSON_OPTIONAL, &version, &err);
    return version;
}

/* Does a codec of the spec stand on a library whose version changed? Tells it in the note. */
static bool library_changed(struct mth_compare_cell *cell, const struct mth_report_env *old_env,
                            const struct mth_report_env *new_env)
{
    const char *spec = cell->new_cell[0]->spec_resolved ? cell->new_cell[0]->spec_resolved : "";
    while (*spec) {
        char name[64];
        size_t n = strcspn(spec, "+/,:@");
        if (n > 0 && n < sizeof name) {
            memcpy(name, spec, n);
            name[n] = '\0';
            const char *before = library_version(old_env, name), *now = library_version(new_env, name);
            if (before && now && strcmp(before, now) != 0) {
                snprintf(cell->note, sizeof cell->note, "%.90s, then %.90s", before, now);
                return true;
            }
        }
        spec += n + (spec[n] != '\0');
    }
    return false;
}

/* ---- a pair of cells ---- */

static void judge_size(struct mth_compare_cell *cell, const struct mth_report_env *old_env,
                       const struct mth_report_env *new_env)
{
    const struct mth_report_cell *before = cell->old_cell[0], *now = cell->new_cell[0];
    if (before->verified && !now->verified) {
        cell->outcome = MTH_SIZE_FAILED;
        snprintf(cell->note, sizeof cell->note, "%.190s", now->error ? now->error : "does not restore");
        return;
    }
    if (!before->verified) {
        cell->outcome = now->verified ? MTH_SIZE_ADDED : MTH_SIZE_SAME;
        snprintf(cell->note, sizeof cell->note, "%s",
                 now->verified ? "did not restore before" : "restores in neither");
        return;
    }
    if (before->stored_bytes == now->stored_bytes) {
        cell->outcome = MTH_SIZE_SAME;
        return;
    }
    if (library_changed(cell, old_env, new_env)) {
        cell->outcome = MTH_SIZE_LIBRARY;
        return;
    }
    double change_pct = 100 * fabs((double)now->stored_bytes / (double)before->stored_bytes - 1);
    cell->outcome = change_pct <= cell->margin.size_pct ? MTH_SIZE_TOLERATED : MTH_SIZE_CHANGED;
    if (!mth_text_same(before->spec_resolved, now->spec_resolved))
        snprintf(cell->note, sizeof cell->note, "the spec means something else: %.70s, then %.70s",
                 before->spec_resolved ? before->spec_resolved : "?",
                 now->spec_resolved ? now->spec_resolved : "?");
    else if (before->chunk_bytes != now->chunk_bytes)
        snprintf(cell->note, sizeof cell->note, "chunks of %" PRId64 " bytes, then of %" PRId64,
                 before->chunk_bytes, now->chunk_bytes);
}

static void compare_speeds(struct mth_compare_cell *cell)
{
    for (size_t p = 0; p < MTH_COMPARE_PHASES; p++) {
        const struct mth_report_cell *before = cell->old_cell[p], *now = cell->new_cell[p];
        struct mth_compare_speed *speed = &cell->speeds[p];
        if (!before || !now || before->median_ns <= 0 || now->median_ns <= 0)
            continue;
        speed->known = true;
        speed->old_ns = before->median_ns;
        speed->new_ns = now->median_ns;
        speed->change_pct = 100 * (now->median_ns / before->median_ns - 1);
        speed->overlap = before->ci_lo_ns <= now->ci_hi_ns && now->ci_lo_ns <= before->ci_hi_ns;
    }
}

/* ---- requirements ---- */

static bool required_value(const void *subject, const char *name, size_t n_name, double *value)
{
    static const struct mth_report_cell none = {0};
    const struct mth_compare_cell *cell = subject;
    const struct mth_report_cell *compress = cell->new_cell[0] ? cell->new_cell[0] : &none;
    const struct mth_report_cell *decompress = cell->new_cell[1] ? cell->new_cell[1] : &none;
    int64_t heap = compress->heap_peak_bytes > decompress->heap_peak_bytes ? compress->heap_peak_bytes
                                                                           : decompress->heap_peak_bytes;
    double raw_bytes = cell->group ? (double)cell->group->raw_bytes : 0;
    const struct mth_quantity known[] = {
        {"ratio", compress->ratio},
        {"gib_s", fmin(compress->gib_s_lo, decompress->gib_s_lo)},
        {"compress_gib_s", compress->gib_s_lo},
        {"decompress_gib_s", decompress->gib_s_lo},
        {"compress_pct_memcpy", compress->pct_memcpy},
        {"decompress_pct_memcpy", decompress->pct_memcpy},
        {"heap_ratio", raw_bytes > 0 ? (double)heap / raw_bytes : 0},
    };
    return mth_quantity_find(known, sizeof known / sizeof known[0], name, n_name, value);
}

int mth_compare_check_require(const char *expression, struct mth_error *err)
{
    const struct mth_compare_cell nothing = {0};
    *err = (struct mth_error){0};
    (void)mth_require_meets(expression, required_value, &nothing, required_names, err);
    return err->status;
}

static int check_requirements(struct mth_compare *compare, struct mth_compare_cell *cell,
                              struct mth_error *err)
{
    const char *const terms[] = {compare->require, cell->margin.require};
    *err = (struct mth_error){0};
    for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++) {
        if (!terms[i] || mth_require_meets(terms[i], required_value, cell, required_names, err))
            continue;
        if (err->status)
            return err->status;
        cell->unmet = terms[i];
    }
    compare->n_unmet += cell->unmet != NULL;
    return MTH_OK;
}

/* ---- all of them ---- */

/* Why is there no counterpart? The same name may stand before other data. */
static void explain_missing(const struct mth_compare *compare, struct mth_compare_cell *cell)
{
    for (size_t i = 0; i < compare->new_rows->n_groups; i++) {
        const struct mth_report_group *group = &compare->new_rows->groups[i];
        if (!mth_text_same(group->dataset, cell->group->dataset) || !group->base != !cell->group->base)
            continue;
        if (group->raw_bytes != cell->group->raw_bytes ||
            !same_data(group->hash, group->dataset, cell->group->hash, cell->group->dataset))
            snprintf(cell->note, sizeof cell->note, "%s", "the data of this name are others");
        else if (group->base &&
                 !same_data(group->base_hash, group->base, cell->group->base_hash, cell->group->base))
            snprintf(cell->note, sizeof cell->note, "%s", "the base is another");
        else if (!group->older != !cell->group->older)
            snprintf(cell->note, sizeof cell->note, "%s",
                     group->older ? "it has an older base now" : "it has no older base now");
        else if (group->older &&
                 !same_data(group->older_hash, group->older, cell->group->older_hash, cell->group->older))
            snprintf(cell->note, sizeof cell->note, "%s", "the older base is another");
    }
}

static int add_old(struct mth_compare *compare, const struct mth_report_cell *before, bool *taken,
                   struct mth_error *err)
{
    const struct mth_report *old_rows = compare->old_rows, *new_rows = compare->new_rows;
    const struct mth_report_group *group = &old_rows->groups[before->group];
    const struct mth_report_cell *now = counterpart(new_rows, group, before, taken);
    struct mth_compare_cell *cell = &compare->cells[compare->n_cells++];
    cell->old_cell[0] = before;
    cell->old_cell[1] = mth_report_other_phase(old_rows, before);
    cell->group = group;
    if (!now) {
        cell->margin = mth_margin_of(compare->margins, group->dataset, before->spec);
        cell->outcome = MTH_SIZE_MISSING;
        explain_missing(compare, cell);
        return MTH_OK;
    }
    taken[now - new_rows->cells] = true;
    cell->new_cell[0] = now;
    cell->new_cell[1] = mth_report_other_phase(new_rows, now);
    cell->group = &new_rows->groups[now->group];
    cell->margin = mth_margin_of(compare->margins, cell->group->dataset, before->spec);
    const struct mth_report_env *old_env = env_of(old_rows, group), *new_env = env_of(new_rows, cell->group);
    if (!compare->sizes_only && !mth_text_same(group->env_id, cell->group->env_id)) {
        int status = check_machine(old_env, new_env, err);
        if (status)
            return status;
    }
    judge_size(cell, old_env, new_env);
    if (!compare->sizes_only)
        compare_speeds(cell);
    return check_requirements(compare, cell, err);
}

static int add_new(struct mth_compare *compare, const struct mth_report_cell *now, struct mth_error *err)
{
    struct mth_compare_cell *cell = &compare->cells[compare->n_cells++];
    cell->group = &compare->new_rows->groups[now->group];
    cell->new_cell[0] = now;
    cell->new_cell[1] = mth_report_other_phase(compare->new_rows, now);
    cell->margin = mth_margin_of(compare->margins, cell->group->dataset, now->spec);
    cell->outcome = now->verified ? MTH_SIZE_ADDED : MTH_SIZE_FAILED;
    if (!now->verified)
        snprintf(cell->note, sizeof cell->note, "%.190s", now->error ? now->error : "does not restore");
    return check_requirements(compare, cell, err);
}

int mth_compare_cells(struct mth_compare *compare, struct mth_error *err)
{
    const struct mth_report *old_rows = compare->old_rows, *new_rows = compare->new_rows;
    bool *taken = calloc(new_rows->n_cells + 1, sizeof *taken);
    compare->cells = calloc(old_rows->n_cells + new_rows->n_cells + 1, sizeof *compare->cells);
    int status = taken && compare->cells ? MTH_OK : mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    for (size_t i = 0; !status && i < old_rows->n_cells; i++) {
        if (counts(&old_rows->cells[i]))
            status = add_old(compare, &old_rows->cells[i], taken, err);
    }
    for (size_t i = 0; !status && i < new_rows->n_cells; i++) {
        if (counts(&new_rows->cells[i]) && !taken[i])
            status = add_new(compare, &new_rows->cells[i], err);
    }
    for (size_t i = 0; !status && i < compare->n_cells; i++)
        compare->counts[compare->cells[i].outcome]++;
    free(taken);
    return status;
}

void mth_compare_free(struct mth_compare *compare)
{
    free(compare->cells);
    compare->cells = NULL;
    compare->n_cells = 0;
}

static size_t count_verdicts(const struct mth_compare *compare, enum mth_speed_verdict verdict)
{
    size_t n = 0;
    for (size_t i = 0; i < compare->n_cells; i++) {
        for (size_t p = 0; p < MTH_COMPARE_PHASES; p++)
            n += compare->cells[i].speeds[p].paired && compare->cells[i].speeds[p].verdict == verdict;
    }
    return n;
}

void mth_compare_conclude(struct mth_compare *compare)
{
    const size_t *n = compare->counts;
    size_t n_compared = n[MTH_SIZE_SAME] + n[MTH_SIZE_TOLERATED] + n[MTH_SIZE_CHANGED] + n[MTH_SIZE_FAILED];
    size_t n_slower = count_verdicts(compare, MTH_SPEED_REGRESSED);
    size_t n_unsure = count_verdicts(compare, MTH_SPEED_INCONCLUSIVE);
    char *reason = compare->reason;
    size_t room = sizeof compare->reason;
    compare->result = MTH_COMPARE_REGRESSED;
    if (n[MTH_SIZE_FAILED])
        snprintf(reason, room, "%zu cells do not restore their checkpoint", n[MTH_SIZE_FAILED]);
    else if (n[MTH_SIZE_CHANGED])
        snprintf(reason, room, "%zu sizes changed", n[MTH_SIZE_CHANGED]);
    else if (compare->n_unmet)
        snprintf(reason, room, "%zu cells do not meet what is required", compare->n_unmet);
    else if (n_slower)
        snprintf(reason, room, "%zu phases became slower", n_slower);
    else
        compare->result = MTH_COMPARE_INCONCLUSIVE;
    if (compare->result == MTH_COMPARE_REGRESSED)
        return;
    if (n_compared == 0)
        snprintf(reason, room, "no cell is in both");
    else if (n[MTH_SIZE_MISSING])
        snprintf(reason, room, "%zu cells are missing", n[MTH_SIZE_MISSING]);
    else if (compare->paired && compare->n_blocks < MTH_MIN_BLOCKS)
        snprintf(reason, room,
                 "there was time for %zu of at least %d blocks: give it more --seconds, or fewer cells",
                 compare->n_blocks, MTH_MIN_BLOCKS);
    else if (n_unsure)
        snprintf(reason, room, "%zu phases can not be told from noise: more --seconds, or a quieter machine",
                 n_unsure);
    else
        compare->result = MTH_COMPARE_OK;
}

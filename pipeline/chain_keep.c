/* Dropping steps: which stay, and which of those have to be coded again because they need one that goes. */
#include "pipeline/chain.h"

#include "base/checked.h"

#include <stdio.h>
#include <string.h>

/* A number at *at, which is then behind it. */
static bool take_number(const char **at, uint64_t *out)
{
    uint64_t value = 0;
    const char *begin = *at;
    for (; **at >= '0' && **at <= '9'; ++*at)
        if (!mth_u64_mul(value, 10, &value) || !mth_u64_add(value, (uint64_t)(**at - '0'), &value))
            return false;
    *out = value;
    return *at > begin;
}

struct rule {
    uint64_t first, second;
    size_t position, n_steps;
    const struct mth_chain_step *step;
};

static bool keeps_last(const struct rule *rule)
{
    return rule->n_steps - rule->position <= rule->first;
}

static bool keeps_first(const struct rule *rule)
{
    return rule->position < rule->first;
}

static bool keeps_every(const struct rule *rule)
{
    return rule->step->number % rule->first == 0;
}

static bool keeps_step(const struct rule *rule)
{
    return rule->step->number == rule->first;
}

static bool keeps_range(const struct rule *rule)
{
    return rule->step->number >= rule->first && rule->step->number <= rule->second;
}

static bool keeps_full(const struct rule *rule)
{
    return !rule->step->has_base;
}

static const struct {
    const char *name;
    size_t n_numbers;
    bool may_be_zero;
    bool (*keeps)(const struct rule *rule);
} rule_kinds[] = {
    {"last", 1, false, keeps_last}, {"first", 1, false, keeps_first}, {"every", 1, false, keeps_every},
    {"step", 1, true, keeps_step},  {"range", 2, true, keeps_range},  {"full", 0, true, keeps_full},
};
enum { N_RULE_KINDS = sizeof rule_kinds / sizeof rule_kinds[0] };

/* The kind of the rule at *at, which is then behind it; N_RULE_KINDS where it is none. */
static size_t take_rule(const char **at, struct rule *rule)
{
    size_t n_name = strcspn(*at, ":,"), kind = 0;
    while (kind < N_RULE_KINDS &&
           (strlen(rule_kinds[kind].name) != n_name || memcmp(rule_kinds[kind].name, *at, n_name) != 0))
        kind++;
    if (kind == N_RULE_KINDS)
        return kind;
    *at += n_name;
    for (size_t i = 0; i < rule_kinds[kind].n_numbers; i++) {
        uint64_t *number = i ? &rule->second : &rule->first;
        if (**at != ':')
            return N_RULE_KINDS;
        ++*at;
        if (!take_number(at, number) || (*number == 0 && !rule_kinds[kind].may_be_zero))
            return N_RULE_KINDS;
    }
    return **at == '\0' || **at == ',' ? kind : N_RULE_KINDS;
}

int mth_chain_keep(const struct mth_chain *chain, const char *rules, bool *kept, struct mth_error *err)
{
    const char *at = rules;
    for (;;) {
        struct rule rule = {.n_steps = chain->n_steps};
        const char *begin = at;
        size_t kind = take_rule(&at, &rule);
        if (kind == N_RULE_KINDS)
            return mth_error_set(
                err, MTH_ERR_USAGE,
                "'%.*s' keeps nothing known: last:N, first:N, every:K, step:N, range:A:B, full, with "
                "commas between",
                (int)mth_size_min(strcspn(begin, ","), 60), begin);
        for (size_t i = 0; i < chain->n_steps; i++) {
            rule.position = i;
            rule.step = &chain->steps[i];
            kept[i] = kept[i] || rule_kinds[kind].keeps(&rule);
        }
        if (*at == '\0')
            return MTH_OK;
        at++;
    }
}

size_t mth_chain_plan_drop(const struct mth_chain *chain, const bool *kept, struct mth_chain_move *moves)
{
    bool on_full = chain->policy.rule == MTH_CHAIN_ONE_SHOT || chain->policy.rule == MTH_CHAIN_INTERMITTENT;
    size_t n_moves = 0, before = chain->n_steps, full = chain->n_steps;
    for (size_t i = 0; i < chain->n_steps; i++) {
        const struct mth_chain_step *step = &chain->steps[i];
        bool is_full = !step->has_base;
        if (!kept[i])
            continue;
        size_t own = mth_chain_base_of(chain, i), older = mth_chain_base_of(chain, own);
        bool loses_base = !is_full && !kept[own];
        if (loses_base || (step->has_older && !kept[older])) {
            size_t base = !loses_base ? own : on_full ? full : before;
            moves[n_moves++] = (struct mth_chain_move){.step = i, .base = base, .older = chain->n_steps};
            is_full = base == chain->n_steps;
        }
        before = i;
        full = is_full ? i : full;
    }
    return n_moves;
}

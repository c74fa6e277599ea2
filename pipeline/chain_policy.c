/* Which step a new one is coded against: the policies; docs/chain.md states the rule of each and its source. */
#include "pipeline/chain.h"

#include "base/checked.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    bool takes_every;
} rules[MTH_N_CHAIN_RULES] = {
    [MTH_CHAIN_FULL] = {"full", true},
    [MTH_CHAIN_CONSECUTIVE] = {"consecutive", false},
    [MTH_CHAIN_ONE_SHOT] = {"one-shot", true},
    [MTH_CHAIN_INTERMITTENT] = {"intermittent", false},
};

static bool parse_every(const char *text, uint64_t *every)
{
    static const char prefix[] = ":every=";
    uint64_t value = 0;
    if (strncmp(text, prefix, sizeof prefix - 1) != 0)
        return false;
    const char *p = text + sizeof prefix - 1;
    if (*p < '1' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++)
        if (!mth_u64_mul(value, 10, &value) || !mth_u64_add(value, (uint64_t)(*p - '0'), &value))
            return false;
    *every = value;
    return *p == '\0';
}

int mth_chain_policy_parse(const char *text, struct mth_chain_policy *policy, struct mth_error *err)
{
    size_t n = strcspn(text, ":");
    for (size_t i = 0; i < MTH_N_CHAIN_RULES; i++) {
        if (strlen(rules[i].name) != n || memcmp(rules[i].name, text, n) != 0)
            continue;
        *policy =
            (struct mth_chain_policy){.rule = (enum mth_chain_rule)i, .every = i == MTH_CHAIN_FULL ? 1 : 0};
        if (text[n] == '\0' || (rules[i].takes_every && parse_every(text + n, &policy->every)))
            return MTH_OK;
        break;
    }
    return mth_error_set(err, MTH_ERR_USAGE,
                         "'%.40s' is no policy: full, full:every=K, consecutive, one-shot, one-shot:every=K, "
                         "intermittent",
                         text);
}

const char *mth_chain_policy_text(const struct mth_chain_policy *policy, char out[MTH_CHAIN_POLICY_BYTES])
{
    bool is_plain = policy->every == 0 || (policy->rule == MTH_CHAIN_FULL && policy->every == 1);
    if (is_plain)
        snprintf(out, MTH_CHAIN_POLICY_BYTES, "%s", rules[policy->rule].name);
    else
        snprintf(out, MTH_CHAIN_POLICY_BYTES, "%s:every=%" PRIu64, rules[policy->rule].name, policy->every);
    return out;
}

/*
 * Whether the next of i + 1 steps behind a full one should be full again: when the history of increments, begun anew with a
 * full one, costs no more than as many increments of the last one's size.
 *
 * Source    Eisenman et al., Check-N-Run, NSDI 2022, the intermittent policy; differs in sizes, which are those of containers
 * Example   a full one of 100, increments 20, 30, 60: 100 + 110 <= 4 * 60, the next one is full
 */
static bool predicts_full(const struct mth_chain *chain, size_t full, size_t end)
{
    uint64_t begun_anew = chain->steps[full].stored_bytes, gone_on;
    size_t n_increments = end - full - 1;
    if (n_increments == 0)
        return false;
    for (size_t i = full + 1; i < end; i++)
        begun_anew += chain->steps[i].stored_bytes;
    if (!mth_u64_mul(chain->steps[end - 1].stored_bytes, (uint64_t)n_increments + 1, &gone_on))
        return true;
    return begun_anew <= gone_on;
}

size_t mth_chain_choose(const struct mth_chain *chain, uint64_t number)
{
    const struct mth_chain_policy *policy = &chain->policy;
    size_t end = chain->n_steps, full;
    while (end > 0 && chain->steps[end - 1].number >= number)
        end--;
    if (end == 0)
        return chain->n_steps;
    for (full = end - 1; chain->steps[full].has_base;)
        full--;
    if (policy->every && end - full >= policy->every)
        return chain->n_steps;
    switch (policy->rule) {
    case MTH_CHAIN_INTERMITTENT:
        return predicts_full(chain, full, end) ? chain->n_steps : full;
    case MTH_CHAIN_ONE_SHOT:
        return full;
    default:
        return end - 1;
    }
}

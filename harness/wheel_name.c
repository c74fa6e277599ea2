/* The names of wheels; see wheel_name.h. */
#include "harness/wheel_name.h"

#include "base/status.h"

#include <string.h>

static int add(struct mth_wheel_options *options, const char *name, const char *value)
{
    if (options->n + 2 > MTH_WHEEL_MAX_OPTIONS)
        return MTH_ERR_USAGE;
    options->argv[options->n++] = name;
    options->argv[options->n++] = value;
    return MTH_OK;
}

/* Cut the last tag off a name: what stands behind its last dash. NULL when there is none. */
static char *cut_tag(char *name)
{
    char *dash = strrchr(name, '-');
    if (!dash || !dash[1])
        return NULL;
    *dash = '\0';
    return dash + 1;
}

int mth_wheel_options(const char *wheel, struct mth_wheel_options *options)
{
    static const char extension[] = ".whl";
    size_t n_name = strlen(wheel), n_extension = sizeof extension - 1;
    options->n = 0;
    if (n_name <= n_extension || n_name >= sizeof options->tags ||
        strcmp(wheel + n_name - n_extension, extension) != 0)
        return MTH_ERR_USAGE;
    memcpy(options->tags, wheel, n_name - n_extension);
    options->tags[n_name - n_extension] = '\0';
    char *platform = cut_tag(options->tags), *abi = platform ? cut_tag(options->tags) : NULL;
    char *python = abi ? cut_tag(options->tags) : NULL;
    if (!python || strlen(python) < 3 || !strchr(options->tags, '-'))
        return MTH_ERR_USAGE;
    if (strcmp(abi, "none") == 0 && strcmp(platform, "any") == 0)
        return MTH_OK;
    /* cp311 is an implementation and a version; of several the first will do. */
    memcpy(options->implementation, python, 2);
    options->implementation[2] = '\0';
    python[strcspn(python, ".")] = '\0';
    int status = add(options, "--implementation", options->implementation);
    if (!status)
        status = add(options, "--python-version", python + 2);
    if (!status)
        status = add(options, "--abi", abi);
    for (char *rest, *tag = strtok_r(platform, ".", &rest); tag && !status; tag = strtok_r(NULL, ".", &rest))
        status = add(options, "--platform", tag);
    return status;
}

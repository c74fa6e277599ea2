/* `mithril list`: transforms, codecs, presets and formats, from their descriptors. */
#include "harness/command.h"

#include "harness/options.h"
#include "harness/text.h"
#include "pipeline/mithril.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* What stands behind these positions came from plug-ins. */
struct built_in {
    size_t n_transforms;
    size_t n_codecs;
};

static struct built_in count_built_in(void)
{
    struct built_in n = {0};
    while (mth_transform_at(n.n_transforms))
        n.n_transforms++;
    while (mth_codec_at(n.n_codecs))
        n.n_codecs++;
    return n;
}

static void print_options(const struct mth_option *options, size_t n_options)
{
    for (size_t i = 0; i < n_options; i++) {
        const struct mth_option *option = &options[i];
        printf("      :%s=", option->name);
        if (option->words) {
            for (int64_t value = option->min; value <= option->max; value++)
                printf("%s%s", value > option->min ? "|" : "", option->words[value - option->min]);
            printf(" (default %s)", option->words[option->default_value - option->min]);
        } else {
            printf("%" PRId64 "..%" PRId64 " (default %" PRId64 ")", option->min, option->max,
                   option->default_value);
        }
        printf(" %s\n", option->help);
    }
}

static void print_transforms(const struct built_in *built_in)
{
    const struct mth_transform *transform;
    printf("transforms: elements -> streams, each of which may have a branch of its own\n");
    for (size_t i = 0; (transform = mth_transform_at(i)) != NULL; i++) {
        printf("  %-15s %s", transform->name, transform->summary);
        if (transform->n_references)
            printf("; needs a base");
        if (transform->max_streams > 1)
            printf("; up to %zu streams", transform->max_streams);
        printf("%s\n", i >= built_in->n_transforms ? " [plug-in]" : "");
        print_options(transform->options, transform->n_options);
    }
}

static void print_codecs(const struct built_in *built_in)
{
    const struct mth_codec *codec;
    printf("codecs: a stream -> fewer bytes\n");
    for (size_t i = 0; (codec = mth_codec_at(i)) != NULL; i++) {
        printf("  %-15s %s", codec->name, codec->summary);
        if (codec->library)
            printf(" [%s]", codec->library());
        printf("%s\n", i >= built_in->n_codecs ? " [plug-in]" : "");
        print_options(codec->options, codec->n_options);
    }
}

static void print_presets(const struct built_in *built_in)
{
    (void)built_in;
    const struct mth_preset *preset;
    printf("presets: specs with a name\n");
    for (size_t i = 0; (preset = mth_preset_at(i)) != NULL; i++) {
        printf("  %-15s %s\n", preset->name, preset->summary);
        if (preset->source)
            printf("      follows %s\n", preset->source);
        printf("      alone           %s\n", preset->spec ? preset->spec : "none: it needs a base");
        printf("      against a base  %s\n", preset->delta ? preset->delta : "none");
        if (preset->spec_with_options) {
            printf("      with options *  %s\n", preset->spec_with_options);
            printf("      against a base  %s\n", preset->delta_with_options);
        }
    }
}

static void print_formats(const struct built_in *built_in)
{
    (void)built_in;
    const struct mth_format *format;
    printf("formats: checkpoint files\n");
    for (size_t i = 0; (format = mth_format_at(i)) != NULL; i++)
        printf("  %-15s %s\n", format->name, format->summary);
}

static void put_options(struct mth_json_writer *w, const struct mth_option *options, size_t n_options)
{
    mth_json_begin_array(w, "options");
    for (size_t i = 0; i < n_options; i++) {
        const struct mth_option *option = &options[i];
        mth_json_begin_object(w, NULL);
        mth_json_string(w, "name", option->name);
        mth_json_string(w, "help", option->help);
        if (option->words) {
            mth_json_begin_array(w, "words");
            for (int64_t value = option->min; value <= option->max; value++)
                mth_json_string(w, NULL, option->words[value - option->min]);
            mth_json_end(w);
            mth_json_string(w, "default", option->words[option->default_value - option->min]);
        } else {
            mth_json_int(w, "min", option->min);
            mth_json_int(w, "max", option->max);
            mth_json_int(w, "default", option->default_value);
        }
        mth_json_end(w);
    }
    mth_json_end(w);
}

static void put_transforms(struct mth_json_writer *w, const struct built_in *built_in)
{
    const struct mth_transform *transform;
    mth_json_begin_array(w, "transforms");
    for (size_t i = 0; (transform = mth_transform_at(i)) != NULL; i++) {
        mth_json_begin_object(w, NULL);
        mth_json_string(w, "name", transform->name);
        mth_json_string(w, "summary", transform->summary);
        mth_json_uint(w, "wire_version", transform->wire_version);
        mth_json_bool(w, "plugin", i >= built_in->n_transforms);
        mth_json_uint(w, "max_streams", transform->max_streams);
        mth_json_begin_array(w, "references");
        for (size_t r = 0; r < transform->n_references; r++)
            mth_json_string(w, NULL, transform->references[r].name);
        mth_json_end(w);
        put_options(w, transform->options, transform->n_options);
        mth_json_end(w);
    }
    mth_json_end(w);
}

static void put_codecs(struct mth_json_writer *w, const struct built_in *built_in)
{
    const struct mth_codec *codec;
    mth_json_begin_array(w, "codecs");
    for (size_t i = 0; (codec = mth_codec_at(i)) != NULL; i++) {
        mth_json_begin_object(w, NULL);
        mth_json_string(w, "name", codec->name);
        mth_json_string(w, "summary", codec->summary);
        mth_json_uint(w, "wire_version", codec->wire_version);
        mth_json_bool(w, "plugin", i >= built_in->n_codecs);
        mth_json_string(w, "library", codec->library ? codec->library() : NULL);
        mth_json_bool(w, "takes_context", (codec->flags & MTH_CODEC_CONTEXT) != 0);
        mth_json_bool(w, "has_models", codec->models != NULL);
        put_options(w, codec->options, codec->n_options);
        mth_json_end(w);
    }
    mth_json_end(w);
}

static void put_presets(struct mth_json_writer *w, const struct built_in *built_in)
{
    (void)built_in;
    const struct mth_preset *preset;
    mth_json_begin_array(w, "presets");
    for (size_t i = 0; (preset = mth_preset_at(i)) != NULL; i++) {
        mth_json_begin_object(w, NULL);
        mth_json_string(w, "name", preset->name);
        mth_json_string(w, "summary", preset->summary);
        mth_json_string(w, "source", preset->source);
        mth_json_string(w, "spec", preset->spec);
        mth_json_string(w, "delta", preset->delta);
        if (preset->spec_with_options) {
            mth_json_string(w, "spec_with_options", preset->spec_with_options);
            mth_json_string(w, "delta_with_options", preset->delta_with_options);
        }
        mth_json_end(w);
    }
    mth_json_end(w);
}

static void put_formats(struct mth_json_writer *w, const struct built_in *built_in)
{
    (void)built_in;
    const struct mth_format *format;
    mth_json_begin_array(w, "formats");
    for (size_t i = 0; (format = mth_format_at(i)) != NULL; i++) {
        mth_json_begin_object(w, NULL);
        mth_json_string(w, "name", format->name);
        mth_json_string(w, "summary", format->summary);
        mth_json_end(w);
    }
    mth_json_end(w);
}

static const struct {
    const char *name;
    void (*print)(const struct built_in *built_in);
    void (*put)(struct mth_json_writer *w, const struct built_in *built_in);
} sections[] = {
    {"transforms", print_transforms, put_transforms},
    {"codecs", print_codecs, put_codecs},
    {"presets", print_presets, put_presets},
    {"formats", print_formats, put_formats},
};
enum { N_SECTIONS = sizeof sections / sizeof sections[0] };

static bool is_wanted(const char *asked, size_t section)
{
    return !asked || strcmp(asked, sections[section].name) == 0;
}

static int list_json(const char *asked, const struct built_in *built_in, const char *path,
                     struct mth_error *err)
{
    struct mth_json_writer w;
    mth_json_writer_init(&w);
    mth_json_begin_object(&w, NULL);
    mth_json_string(&w, "kind", "list");
    mth_json_int(&w, "schema", 1);
    mth_json_string(&w, "version", MTH_VERSION);
    for (size_t i = 0; i < N_SECTIONS; i++)
        if (is_wanted(asked, i))
            sections[i].put(&w, built_in);
    mth_json_end(&w);
    return mth_text_put_json(&w, path, err);
}

int mth_cmd_list(int argc, char **argv)
{
    static const struct mth_command_line line = {
        .usage = "list [transforms|codecs|presets|formats] [OPTION...]",
        .summary =
            "Lists what a pipeline can be made of: names, options with their ranges and defaults, libraries.",
        .notes = "A spec joins stages with +, gives each stream of a transform a branch with /, and options "
                 "with a colon:\n"
                 "  exponent-split+zstd:level=3/store",
        .takes = MTH_TAKES_JSON | MTH_TAKES_EXTENSIONS,
        .max_operands = 1,
    };
    struct mth_options options;
    struct mth_error err;
    int exit_code;
    struct built_in built_in = count_built_in();
    if (!mth_options_parse(&line, argc, argv, &options, &exit_code))
        return exit_code;
    const char *asked = options.operands.n_items ? options.operands.items[0] : NULL;
    const char *json = options.json;
    mth_options_free(&options);
    bool known = !asked;
    for (size_t i = 0; i < N_SECTIONS; i++)
        known |= is_wanted(asked, i);
    if (!known) {
        mth_error_set(&err, MTH_ERR_USAGE,
                      "there is no list of '%.80s', only of transforms, codecs, presets, formats", asked);
        return mth_command_fail(&err);
    }
    if (json)
        return list_json(asked, &built_in, json, &err) ? mth_command_fail(&err) : MTH_EXIT_OK;
    for (size_t i = 0, n = 0; i < N_SECTIONS; i++) {
        if (!is_wanted(asked, i))
            continue;
        if (n++ > 0)
            printf("\n");
        sections[i].print(&built_in);
    }
    return MTH_EXIT_OK;
}

/*
 * Laws of downloading a dataset, against a server of our own: what is not the file never takes its place, and what the
 * manifest does not pin is pinned by the first fetch.
 */
#include "harness/child.h"
#include "harness/command.h"
#include "harness/dataset_get.h"
#include "harness/datasets.h"
#include "harness/file_digest.h"
#include "harness/wheel_name.h"
#include "tests/support/http_server.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The least that begins like safetensors: the header's length, 8, and a header. */
static const char good[] = "\x08\0\0\0\0\0\0\0{}      weights";
static const char changed[] = "\x08\0\0\0\0\0\0\0{}      WEIGHTS";
static const char page[] = "<!DOCTYPE html><html>Please sign in</html>";
enum { MTH_N_GOOD = sizeof good - 1, MTH_N_PAGE = sizeof page - 1 };

#define MTH_FILE_PATH "build/datasets/remote/model.safetensors"

/* A temporary root with a manifest of one dataset of one file, and a server that has it. */
struct scene {
    char *root;
    struct http_answer answers[2];
    struct http_server *server;
    struct mth_manifest *manifest;
    const struct mth_dataset *dataset;
    struct mth_error err;
    size_t n_lines;
};

static void count_line(const void *arg, const char *line)
{
    ++*(size_t *)(uintptr_t)arg;
    assert_null(strchr(line, '\n'));
}

static bool installed(const char *program)
{
    const char *const argv[] = {program, "--version", NULL};
    return mth_child_run(argv, NULL, 0, NULL) == MTH_OK;
}

static void load(struct scene *scene)
{
    char path[512];
    snprintf(path, sizeof path, "%s/datasets/manifest.json", scene->root);
    mth_manifest_free(scene->manifest);
    if (mth_manifest_load(path, &scene->manifest, &scene->err))
        fail_msg("%s", scene->err.text);
    scene->dataset = mth_manifest_dataset_find(scene->manifest, "remote");
    assert_non_null(scene->dataset);
}

/* pins: the members bytes, xxh3 and sha256 with a comma behind them, or nothing. */
static void write_manifest(const struct scene *scene, const char *pins)
{
    char text[1024];
    int n = snprintf(text, sizeof text,
                     "{\"schema\":1,\"datasets\":[{\"id\":\"remote\",\"class\":\"user\",\"title\":\"t\","
                     "\"licence\":\"l\",\"source\":{\"kind\":\"hub\",\"repo\":\"owner/name\"},"
                     "\"files\":[{%s\"path\":\"" MTH_FILE_PATH "\",\"revision\":\"main\","
                     "\"remote\":\"model.safetensors\"}],"
                     "\"checkpoints\":[{\"id\":\"remote\",\"file\":\"" MTH_FILE_PATH "\"}]}]}",
                     pins);
    temp_dir_write(scene->root, "datasets/manifest.json", text, (size_t)n);
}

static void open_scene(struct scene *scene, const char *pins)
{
    if (!installed("curl"))
        skip();
    *scene = (struct scene){.root = temp_dir_create()};
    scene->answers[0] = (struct http_answer){.path = "/owner/name/resolve/main/model.safetensors",
                                             .status = 200,
                                             .body = good,
                                             .n_body = MTH_N_GOOD};
    scene->answers[1] =
        (struct http_answer){.path = "/elsewhere", .status = 200, .body = good, .n_body = MTH_N_GOOD};
    scene->server = http_server_start(scene->answers, 2);
    setenv("HF_ENDPOINT", http_server_url(scene->server), 1);
    /* Nothing of the user's may come between curl and the server. */
    setenv("no_proxy", "*", 1);
    setenv("CURL_HOME", scene->root, 1);
    write_manifest(scene, pins);
    load(scene);
}

static void close_scene(struct scene *scene)
{
    http_server_stop(scene->server);
    mth_manifest_free(scene->manifest);
    temp_dir_destroy(scene->root);
}

static int fetch(struct scene *scene, bool force)
{
    const struct mth_dataset_reporter reporter = {.report = count_line, .arg = &scene->n_lines};
    scene->err.text[0] = '\0';
    return mth_dataset_fetch(scene->dataset, force, &reporter, &scene->err);
}

static void assert_file(const struct scene *scene, const char *content)
{
    size_t n;
    char *found = temp_dir_read(scene->root, MTH_FILE_PATH, &n);
    assert_non_null(found);
    assert_int_equal(n, MTH_N_GOOD);
    assert_memory_equal(found, content, MTH_N_GOOD);
    free(found);
}

/* The fetch fails as it should, in one line that holds a text, and nothing is left of it. */
static void assert_refused(struct scene *scene, int status, const char *text)
{
    assert_int_equal(fetch(scene, false), status);
    assert_int_equal(scene->err.status, status);
    if (!strstr(scene->err.text, text))
        fail_msg("'%s' is not in: %s", text, scene->err.text);
    assert_int_equal(temp_dir_count(scene->root, "build"), 0);
}

static void fetch_downloads_records_and_then_leaves_alone(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, "");
    assert_false(mth_manifest_entry_find(scene.manifest, "remote")->present);
    if (fetch(&scene, false))
        fail_msg("%s", scene.err.text);
    assert_file(&scene, good);
    assert_int_equal(temp_dir_count(scene.root, "build"), 2); /* the file and its record */
    assert_int_equal(http_server_requests(scene.server), 1);
    assert_int_equal(scene.n_lines, 2);

    load(&scene);
    const struct mth_dataset_entry *entry = mth_manifest_entry_find(scene.manifest, "remote");
    assert_true(entry->present);
    assert_true(entry->file->recorded);
    assert_int_equal(entry->n_bytes, MTH_N_GOOD);
    struct mth_file_digest digest;
    assert_int_equal(mth_file_digest(entry->path, true, &digest, &scene.err), 0);
    assert_string_equal(entry->xxh3, digest.xxh3);
    assert_string_equal(entry->file->sha256, digest.sha256);
    assert_int_equal(fetch(&scene, false), 0);
    assert_int_equal(http_server_requests(scene.server), 1);
    close_scene(&scene);
}

static void fetch_follows_a_redirect(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, "");
    scene.answers[0].status = 302;
    scene.answers[0].location = "/elsewhere";
    scene.answers[0].n_body = 0;
    if (fetch(&scene, false))
        fail_msg("%s", scene.err.text);
    assert_file(&scene, good);
    assert_int_equal(http_server_requests(scene.server), 2);
    close_scene(&scene);
}

static void fetch_refuses_what_is_not_there(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, "");
    scene.answers[0].status = 404;
    assert_refused(&scene, MTH_ERR_LIBRARY, "404");
    close_scene(&scene);
}

static void fetch_refuses_a_truncated_body(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, "");
    scene.answers[0].n_missing = 100;
    assert_refused(&scene, MTH_ERR_LIBRARY, "remote: cannot download http://127.0.0.1");
    close_scene(&scene);
}

static void fetch_refuses_a_web_page_in_place_of_a_checkpoint(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, "");
    scene.answers[0].body = page;
    scene.answers[0].n_body = MTH_N_PAGE;
    assert_refused(&scene, MTH_ERR_FORMAT, "no safetensors file");
    scene.answers[0].n_body = 0;
    assert_refused(&scene, MTH_ERR_FORMAT, "no safetensors file");
    close_scene(&scene);
}

static void fetch_refuses_another_size_or_hash_than_is_pinned(void **state)
{
    (void)state;
    static const char format[] = "\"bytes\":%d,\"xxh3\":\"%032d\",\"sha256\":\"%064d\",";
    char pins[256];
    struct scene scene;
    snprintf(pins, sizeof pins, format, MTH_N_GOOD, 0, 0);
    open_scene(&scene, pins);
    assert_refused(&scene, MTH_ERR_CHECKSUM, "XXH3-128");
    snprintf(pins, sizeof pins, format, MTH_N_GOOD + 1, 0, 0);
    write_manifest(&scene, pins);
    load(&scene);
    assert_refused(&scene, MTH_ERR_CHECKSUM, "bytes");
    /* A hub that sends more than is pinned is cut off. */
    snprintf(pins, sizeof pins, format, MTH_N_GOOD - 1, 0, 0);
    write_manifest(&scene, pins);
    load(&scene);
    assert_refused(&scene, MTH_ERR_LIBRARY, "cannot download");
    close_scene(&scene);
}

static void fetch_refuses_another_sha256_than_is_pinned(void **state)
{
    (void)state;
    struct scene scene;
    struct mth_digest xxh3 = mth_hash128(good, MTH_N_GOOD);
    char hex[MTH_DIGEST_HEX_BYTES], pins[256];
    mth_digest_hex(&xxh3, hex);
    snprintf(pins, sizeof pins, "\"bytes\":%d,\"xxh3\":\"%s\",\"sha256\":\"%064d\",", MTH_N_GOOD, hex, 0);
    open_scene(&scene, pins);
    assert_refused(&scene, MTH_ERR_CHECKSUM, "SHA-256");
    close_scene(&scene);
}

static void fetch_refuses_content_that_changed_since_the_first(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, "");
    assert_int_equal(fetch(&scene, false), 0);
    load(&scene);
    scene.answers[0].body = changed;
    assert_int_equal(fetch(&scene, true), MTH_ERR_CHECKSUM);
    assert_non_null(strstr(scene.err.text, "the first fetch recorded"));
    assert_non_null(strstr(scene.err.text, "delete"));
    assert_file(&scene, good);
    assert_int_equal(temp_dir_count(scene.root, "build"), 2);
    /* The record outlives the file. */
    char path[512];
    snprintf(path, sizeof path, "%s/" MTH_FILE_PATH, scene.root);
    assert_int_equal(remove(path), 0);
    assert_int_equal(fetch(&scene, false), MTH_ERR_CHECKSUM);
    assert_int_equal(temp_dir_count(scene.root, "build"), 1);
    close_scene(&scene);
}

static void fetch_replaces_a_damaged_file(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, "");
    assert_int_equal(fetch(&scene, false), 0);
    load(&scene);
    temp_dir_write(scene.root, MTH_FILE_PATH, changed, MTH_N_GOOD);
    if (fetch(&scene, false))
        fail_msg("%s", scene.err.text);
    assert_file(&scene, good);
    assert_int_equal(http_server_requests(scene.server), 2);
    close_scene(&scene);
}

static void an_interrupted_fetch_leaves_nothing(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, "");
    scene.answers[0].interrupts = true;
    scene.answers[0].n_missing = 1;
    assert_refused(&scene, MTH_ERR_CANCELLED, "interrupted");
    assert_int_equal(mth_exit_code(MTH_ERR_CANCELLED), 130);
    close_scene(&scene);
}

static void fetch_refuses_an_endpoint_that_is_no_url(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, "");
    setenv("HF_ENDPOINT", "file:///etc", 1);
    assert_refused(&scene, MTH_ERR_USAGE, "HF_ENDPOINT");
    assert_int_equal(http_server_requests(scene.server), 0);
    close_scene(&scene);
}

/* ---- wheels ---- */

/* Makes a wheel with the member pkg/model.safetensors; false where there is no Python with pip. */
static bool make_wheel(const struct scene *scene, const char *path)
{
    static const char program[] =
        "import sys, zipfile\n"
        "z = zipfile.ZipFile(sys.argv[1], 'w')\n"
        "z.writestr('pkg/model.safetensors', open(sys.argv[2], 'rb').read())\n"
        "d = 'mithril_test_model-1.0.dist-info/'\n"
        "z.writestr(d + 'METADATA', 'Metadata-Version: 2.1\\nName: mithril-test-model\\nVersion: 1.0\\n')\n"
        "z.writestr(d + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: "
        "py3-none-any\\n')\n"
        "z.writestr(d + 'RECORD', '')\n"
        "z.close()\n";
    char source[512];
    snprintf(source, sizeof source, "%s/source", scene->root);
    const char *const pip[] = {"python3", "-m", "pip", "--version", NULL};
    const char *const make[] = {"python3", "-c", program, path, source, NULL};
    temp_dir_write(scene->root, "source", good, MTH_N_GOOD);
    return mth_child_run(pip, NULL, 0, NULL) == MTH_OK && mth_child_run(make, NULL, 0, NULL) == MTH_OK;
}

static void write_wheel_manifest(const struct scene *scene, const char *wheel_sha256, const char *sha256,
                                 const char *member)
{
    struct mth_digest xxh3 = mth_hash128(good, MTH_N_GOOD);
    char hex[MTH_DIGEST_HEX_BYTES], text[2048];
    mth_digest_hex(&xxh3, hex);
    int n = snprintf(text, sizeof text,
                     "{\"schema\":1,\"datasets\":[{\"id\":\"remote\",\"class\":\"user\",\"title\":\"t\","
                     "\"licence\":\"l\",\"source\":{\"kind\":\"pypi\",\"package\":\"mithril-test-model\","
                     "\"version\":\"1.0\",\"wheel\":\"mithril_test_model-1.0-py3-none-any.whl\","
                     "\"wheel_sha256\":\"%s\"},\"files\":[{\"path\":\"" MTH_FILE_PATH "\",\"bytes\":%d,"
                     "\"xxh3\":\"%s\",\"sha256\":\"%s\",\"member\":\"%s\"}]}]}",
                     wheel_sha256, MTH_N_GOOD, hex, sha256, member);
    temp_dir_write(scene->root, "datasets/manifest.json", text, (size_t)n);
}

static void fetch_takes_a_member_of_a_wheel_whose_hash_is_pinned(void **state)
{
    (void)state;
    struct scene scene = {.root = temp_dir_create()};
    char wheel[512], file[512];
    struct mth_file_digest of_wheel, of_file;
    snprintf(wheel, sizeof wheel, "%s/mithril_test_model-1.0-py3-none-any.whl", scene.root);
    snprintf(file, sizeof file, "%s/source", scene.root);
    if (!make_wheel(&scene, wheel)) {
        temp_dir_destroy(scene.root);
        skip();
    }
    setenv("PIP_NO_INDEX", "1", 1);
    setenv("PIP_FIND_LINKS", scene.root, 1);
    setenv("PIP_CONFIG_FILE", "/dev/null", 1);
    assert_int_equal(mth_file_digest(wheel, true, &of_wheel, &scene.err), 0);
    assert_int_equal(mth_file_digest(file, true, &of_file, &scene.err), 0);

    write_wheel_manifest(&scene, of_file.sha256, of_file.sha256, "pkg/model.safetensors");
    load(&scene);
    assert_refused(&scene, MTH_ERR_LIBRARY, "cannot download mithril_test_model-1.0-py3-none-any.whl");
    write_wheel_manifest(&scene, of_wheel.sha256, of_file.sha256, "pkg/other.safetensors");
    load(&scene);
    assert_refused(&scene, MTH_ERR_FORMAT, "holds no file pkg/other.safetensors");
    write_wheel_manifest(&scene, of_wheel.sha256, of_wheel.sha256, "pkg/model.safetensors");
    load(&scene);
    assert_refused(&scene, MTH_ERR_CHECKSUM, "SHA-256");

    write_wheel_manifest(&scene, of_wheel.sha256, of_file.sha256, "pkg/model.safetensors");
    load(&scene);
    if (fetch(&scene, false))
        fail_msg("%s", scene.err.text);
    assert_file(&scene, good);
    assert_int_equal(temp_dir_count(scene.root, "build"), 1);
    mth_manifest_free(scene.manifest);
    temp_dir_destroy(scene.root);
}

/* A wheel built for a system that this is not comes all the same, and the one of another release beside it. */
static void fetch_takes_wheels_of_other_systems_and_releases(void **state)
{
    (void)state;
    static const char program[] =
        "import sys, zipfile\n"
        "for version, tag in ('1.0', 'cp27-cp27m-win32'), ('2.0', 'py3-none-any'):\n"
        "    z = zipfile.ZipFile('%s/mithril_test_model-%s-%s.whl' % (sys.argv[1], version, tag), 'w')\n"
        "    z.writestr('pkg/model.safetensors', open(sys.argv[1] + '/source-' + version, 'rb').read())\n"
        "    d = 'mithril_test_model-%s.dist-info/' % version\n"
        "    z.writestr(d + 'METADATA', 'Metadata-Version: 2.1\\nName: mithril-test-model\\nVersion: %s\\n' "
        "% version)\n"
        "    z.writestr(d + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: "
        "%s\\n' % tag)\n"
        "    z.writestr(d + 'RECORD', '')\n"
        "    z.close()\n";
    static const char other_path[] = "build/datasets/remote/other.safetensors";
    struct scene scene = {.root = temp_dir_create()};
    const char *const pip[] = {"python3", "-m", "pip", "--version", NULL};
    const char *const make[] = {"python3", "-c", program, scene.root, NULL};
    temp_dir_write(scene.root, "source-1.0", good, MTH_N_GOOD);
    temp_dir_write(scene.root, "source-2.0", changed, MTH_N_GOOD);
    if (mth_child_run(pip, NULL, 0, NULL) || mth_child_run(make, NULL, 0, NULL)) {
        temp_dir_destroy(scene.root);
        skip();
    }
    setenv("PIP_NO_INDEX", "1", 1);
    setenv("PIP_FIND_LINKS", scene.root, 1);
    setenv("PIP_CONFIG_FILE", "/dev/null", 1);
    static const char *const names[] = {"mithril_test_model-1.0-cp27-cp27m-win32.whl", "source-1.0",
                                        "mithril_test_model-2.0-py3-none-any.whl", "source-2.0"};
    struct mth_file_digest digests[4];
    for (size_t i = 0; i < 4; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", scene.root, names[i]);
        assert_int_equal(mth_file_digest(path, true, &digests[i], &scene.err), 0);
    }
    char text[4096];
    int n =
        snprintf(text, sizeof text,
                 "{\"schema\":1,\"datasets\":[{\"id\":\"remote\",\"class\":\"user\",\"title\":\"t\","
                 "\"licence\":\"l\",\"source\":{\"kind\":\"pypi\",\"package\":\"mithril-test-model\","
                 "\"version\":\"1.0\",\"wheel\":\"%s\",\"wheel_sha256\":\"%s\"},"
                 "\"files\":[{\"path\":\"" MTH_FILE_PATH "\",\"bytes\":%d,\"xxh3\":\"%s\",\"sha256\":\"%s\","
                 "\"member\":\"pkg/model.safetensors\"},"
                 "{\"path\":\"%s\",\"bytes\":%d,\"xxh3\":\"%s\",\"sha256\":\"%s\","
                 "\"member\":\"pkg/model.safetensors\",\"version\":\"2.0\",\"wheel\":\"%s\","
                 "\"wheel_sha256\":\"%s\"}]}]}",
                 names[0], digests[0].sha256, MTH_N_GOOD, digests[1].xxh3, digests[1].sha256, other_path,
                 MTH_N_GOOD, digests[3].xxh3, digests[3].sha256, names[2], digests[2].sha256);
    assert_true(n > 0 && (size_t)n < sizeof text);
    temp_dir_write(scene.root, "datasets/manifest.json", text, (size_t)n);
    load(&scene);
    if (fetch(&scene, false))
        fail_msg("%s", scene.err.text);
    assert_file(&scene, good);
    size_t n_other;
    char *other = temp_dir_read(scene.root, other_path, &n_other);
    assert_non_null(other);
    assert_int_equal(n_other, MTH_N_GOOD);
    assert_memory_equal(other, changed, MTH_N_GOOD);
    free(other);
    mth_manifest_free(scene.manifest);
    temp_dir_destroy(scene.root);
}

static void a_wheels_name_says_what_pip_must_be_told(void **state)
{
    (void)state;
    static const char *const not_wheels[] = {"",
                                             ".whl",
                                             "a.whl",
                                             "a-1-py3-none-any.zip",
                                             "py3-none-any.whl",
                                             "a-1-py3-none-.whl",
                                             "a-1--none-any.whl"};
    static const char *const wanted[] = {
        "--implementation", "cp",           "--python-version", "311",  "--abi", "abi3",
        "--platform",       "linux_x86_64", "--platform",       "win32"};
    struct mth_wheel_options options;
    for (size_t i = 0; i < sizeof not_wheels / sizeof not_wheels[0]; i++)
        assert_int_equal(mth_wheel_options(not_wheels[i], &options), MTH_ERR_USAGE);
    assert_int_equal(mth_wheel_options("a_b-1.0-py2.py3-none-any.whl", &options), MTH_OK);
    assert_int_equal(options.n, 0);
    assert_int_equal(mth_wheel_options("a-1.0-7-cp311.cp312-abi3-linux_x86_64.win32.whl", &options), MTH_OK);
    assert_int_equal(options.n, sizeof wanted / sizeof wanted[0]);
    for (size_t i = 0; i < options.n; i++)
        assert_string_equal(options.argv[i], wanted[i]);
}

/* ---- children ---- */

static void a_child_gives_its_output_and_says_why_it_failed(void **state)
{
    (void)state;
    struct mth_error err;
    char out[8];
    const char *const prints[] = {"sh", "-c", "echo 0123456789; echo noise >&2", NULL};
    const char *const fails[] = {"sh", "-c", "echo first >&2; echo the reason >&2; exit 3", NULL};
    const char *const absent[] = {"mithril-no-such-program", NULL};
    /* More than a pipe holds on both, so that a reader of one of them only would wait for ever. */
    const char *const floods[] = {
        "sh", "-c",
        "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo 0123456789012345678901234567890123456789; "
        "echo 0123456789012345678901234567890123456789 >&2; done",
        NULL};
    assert_int_equal(mth_child_run(prints, out, sizeof out, &err), 0);
    assert_string_equal(out, "0123456");
    assert_int_equal(mth_child_run(fails, NULL, 0, &err), MTH_ERR_LIBRARY);
    assert_string_equal(err.text, "sh failed with exit code 3: the reason");
    assert_int_equal(mth_child_run(absent, NULL, 0, &err), MTH_ERR_NOT_FOUND);
    assert_string_equal(err.text, "mithril-no-such-program is not installed");
    assert_int_equal(mth_child_run(floods, NULL, 0, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fetch_downloads_records_and_then_leaves_alone),
        cmocka_unit_test(fetch_follows_a_redirect),
        cmocka_unit_test(fetch_refuses_what_is_not_there),
        cmocka_unit_test(fetch_refuses_a_truncated_body),
        cmocka_unit_test(fetch_refuses_a_web_page_in_place_of_a_checkpoint),
        cmocka_unit_test(fetch_refuses_another_size_or_hash_than_is_pinned),
        cmocka_unit_test(fetch_refuses_another_sha256_than_is_pinned),
        cmocka_unit_test(fetch_refuses_content_that_changed_since_the_first),
        cmocka_unit_test(fetch_replaces_a_damaged_file),
        cmocka_unit_test(an_interrupted_fetch_leaves_nothing),
        cmocka_unit_test(fetch_refuses_an_endpoint_that_is_no_url),
        cmocka_unit_test(fetch_takes_a_member_of_a_wheel_whose_hash_is_pinned),
        cmocka_unit_test(fetch_takes_wheels_of_other_systems_and_releases),
        cmocka_unit_test(a_wheels_name_says_what_pip_must_be_told),
        cmocka_unit_test(a_child_gives_its_output_and_says_why_it_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

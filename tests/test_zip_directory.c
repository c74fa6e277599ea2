/* Laws of the zip directory: what torch.save and others write is found, what contradicts itself is refused. */
#include "formats/zip_directory.h"

#include "base/checked.h"
#include "tests/support/crc32.h"
#include "tests/support/guard.h"
#include "tests/support/zip_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct listing {
    struct mth_memory *memory;
    struct mth_zip_directory directory;
    struct mth_error err;
    int status;
};

/* Reads the directory of bytes that end at a page without access; whatever comes out must be sound. */
static void list(struct listing *listing, const void *bytes, size_t n_bytes)
{
    uint8_t *copy = guard_alloc(n_bytes);
    struct mth_source source;
    if (n_bytes)
        memcpy(copy, bytes, n_bytes);
    *listing = (struct listing){.memory = mth_memory_create(0)};
    mth_source_memory("test.zip", (struct mth_bytes){copy, n_bytes}, &source);
    listing->status = mth_zip_directory_read(&source, listing->memory, &listing->directory, &listing->err);
    guard_free(copy, n_bytes);
    const struct mth_zip_directory *d = &listing->directory;
    for (size_t i = 0; i < d->n_members; i++) {
        const struct mth_zip_member *member = &d->members[i];
        assert_true(member->data_offset <= n_bytes && member->n_bytes <= n_bytes - member->data_offset);
        assert_int_equal(strlen(mth_zip_name(d, member)), member->n_name);
        assert_ptr_equal(mth_zip_find(d, mth_zip_name(d, member), member->n_name), member);
    }
    if (listing->status == MTH_OK)
        return;
    assert_int_not_equal(listing->status, MTH_ERR_INTERNAL);
    assert_int_equal(listing->err.status, listing->status);
    assert_memory_equal(listing->err.text, "test.zip: ", 10);
    assert_int_equal(mth_memory_current(listing->memory), 0);
}

static void unlist(struct listing *listing)
{
    if (listing->status == MTH_OK)
        mth_zip_directory_free(&listing->directory);
    assert_int_equal(mth_memory_current(listing->memory), 0);
    mth_memory_destroy(listing->memory);
}

/* Reads an archive that must be fine, and frees it. */
static void list_and_free(struct listing *listing, struct mth_buffer file)
{
    list(listing, file.data, file.n_bytes);
    if (listing->status)
        print_error("%s\n", listing->err.text);
    assert_int_equal(listing->status, MTH_OK);
    free(file.data);
}

static void refused(const void *bytes, size_t n_bytes, int status, const char *words)
{
    struct listing listing;
    list(&listing, bytes, n_bytes);
    if (listing.status != status || !strstr(listing.err.text, words))
        print_error("wanted %s and '%s', got %s: %s\n", mth_status_name(status), words,
                    mth_status_name(listing.status), listing.err.text);
    assert_int_equal(listing.status, status);
    assert_non_null(strstr(listing.err.text, words));
    unlist(&listing);
}

static void refused_and_freed(struct mth_buffer file, const char *words)
{
    refused(file.data, file.n_bytes, MTH_ERR_FORMAT, words);
    free(file.data);
}

static const char text[] = "some text of forty bytes, more or less..";

/* Three members: as torch.save writes them, as zip does, and one that is empty. */
static struct mth_buffer small_archive(bool is_zip64, const char *comment)
{
    struct zip_builder builder = {.is_zip64 = is_zip64};
    zip_builder_store(&builder, "archive/data.pkl", text, sizeof text);
    zip_builder_add(
        &builder,
        &(struct zip_member){.name = "archive/data/0", .data = text, .n_bytes = 7, .is_zip64 = is_zip64});
    zip_builder_store(&builder, "archive/data/1", NULL, 0);
    return zip_builder_finish(&builder, comment);
}

static void members_are_found_where_their_data_is(void **state)
{
    (void)state;
    /* All that a member may have, in every combination. */
    for (unsigned options = 0; options < 32; options++) {
        struct zip_builder builder = {.is_zip64 = options & 1};
        struct zip_member member = {.name = "a/b", .data = text, .n_bytes = sizeof text};
        member.is_zip64 = options & 2;
        member.flags = options & 4 ? 8 : 0;
        member.n_padding = options & 8 ? 40 : 0;
        member.has_no_descriptor_signature = options & 16;
        zip_builder_add(&builder, &(struct zip_member){.name = "first", .data = text, .n_bytes = 3});
        zip_builder_add(&builder, &member);
        zip_builder_add(&builder, &(struct zip_member){.name = "last/"});
        struct mth_buffer file = zip_builder_finish(&builder, NULL);
        struct listing listing;
        list(&listing, file.data, file.n_bytes);
        assert_int_equal(listing.status, MTH_OK);
        assert_int_equal(listing.directory.n_members, 3);
        const struct mth_zip_member *found = mth_zip_find(&listing.directory, "a/b", 3);
        assert_non_null(found);
        assert_true(found->is_stored);
        assert_int_equal(found->n_bytes, sizeof text);
        assert_memory_equal(file.data + found->data_offset, text, sizeof text);
        uint32_t crc = crc32_more(0, (const uint8_t *)text, sizeof text);
        assert_int_equal(found->crc32, crc);
        assert_int_equal(mth_load32(file.data + found->central_crc_offset), crc);
        assert_true(found->central_crc_offset >= listing.directory.offset);
        assert_int_equal(mth_load32(file.data + found->local_crc_offset), crc);
        assert_int_equal(found->local_crc_offset > found->data_offset, options & 4 ? 1 : 0);
        assert_null(mth_zip_find(&listing.directory, "a/c", 3));
        assert_null(mth_zip_find(&listing.directory, "a/", 2));
        unlist(&listing);
        free(file.data);
    }
}

static void what_is_compressed_or_encrypted_is_not_stored(void **state)
{
    (void)state;
    struct zip_builder builder = {0};
    zip_builder_add(&builder,
                    &(struct zip_member){.name = "deflated", .data = text, .n_bytes = 9, .method = 8});
    zip_builder_add(&builder,
                    &(struct zip_member){.name = "encrypted", .data = text, .n_bytes = 9, .flags = 1});
    struct listing listing;
    list_and_free(&listing, zip_builder_finish(&builder, NULL));
    assert_false(listing.directory.members[0].is_stored);
    assert_false(listing.directory.members[1].is_stored);
    unlist(&listing);
}

static void a_comment_of_any_length_and_content_is_passed_over(void **state)
{
    (void)state;
    struct listing listing;
    list_and_free(&listing,
                  small_archive(false, "PK\5\6 looks like an end record, but its comment is too long"));
    assert_int_equal(listing.directory.n_members, 3);
    unlist(&listing);
    char *comment = malloc(UINT16_MAX + 1);
    assert_non_null(comment);
    memset(comment, 'c', UINT16_MAX);
    comment[UINT16_MAX] = '\0';
    list_and_free(&listing, small_archive(true, comment));
    assert_int_equal(listing.directory.n_members, 3);
    unlist(&listing);
    free(comment);
}

static void an_empty_archive_has_no_members(void **state)
{
    (void)state;
    struct zip_builder builder = {0};
    struct listing listing;
    list_and_free(&listing, zip_builder_finish(&builder, NULL));
    assert_int_equal(listing.directory.n_members, 0);
    assert_null(mth_zip_find(&listing.directory, "", 0));
    unlist(&listing);
}

static void more_members_than_16_bits_count_are_found(void **state)
{
    (void)state;
    enum { N = 70000 };
    struct zip_builder builder = {.is_zip64 = true};
    char name[24];
    for (unsigned i = 0; i < N; i++) {
        snprintf(name, sizeof name, "m/%u", i);
        zip_builder_add(&builder, &(struct zip_member){.name = name, .data = &i, .n_bytes = sizeof i});
    }
    struct listing listing;
    list_and_free(&listing, zip_builder_finish(&builder, NULL));
    assert_int_equal(listing.directory.n_members, N);
    for (unsigned i = 0; i < N; i += 997) {
        int n = snprintf(name, sizeof name, "m/%u", i);
        assert_ptr_equal(mth_zip_find(&listing.directory, name, (size_t)n), &listing.directory.members[i]);
    }
    /* What the header promises: 64 bytes, a name, 16 bytes of table a member, and places while they are compared. */
    assert_true(mth_memory_peak(listing.memory) < N * (64 + 12 + 16 + 16) + (1 << 20));
    unlist(&listing);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    for (int is_zip64 = 0; is_zip64 < 2; is_zip64++) {
        struct mth_buffer file = small_archive(is_zip64, NULL);
        for (size_t n = 0; n < file.n_bytes; n++) {
            struct listing listing;
            list(&listing, file.data, n);
            assert_int_not_equal(listing.status, MTH_OK);
            unlist(&listing);
        }
        free(file.data);
    }
}

static void every_byte_changed_gives_a_directory_or_a_line(void **state)
{
    (void)state;
    static const uint8_t changes[] = {1, 2, 4, 8, 16, 32, 64, 128, 255};
    for (int is_zip64 = 0; is_zip64 < 2; is_zip64++) {
        struct mth_buffer file = small_archive(is_zip64, "comment");
        for (size_t i = 0; i < file.n_bytes * sizeof changes; i++) {
            struct listing listing;
            file.data[i / sizeof changes] ^= changes[i % sizeof changes];
            list(&listing, file.data, file.n_bytes);
            file.data[i / sizeof changes] ^= changes[i % sizeof changes];
            unlist(&listing);
        }
        free(file.data);
    }
}

static void what_is_no_archive_is_refused(void **state)
{
    (void)state;
    refused("", 0, MTH_ERR_TRUNCATED, "too early for a zip archive");
    refused("PK\3\4", 4, MTH_ERR_TRUNCATED, "too early");
    uint8_t zeros[100] = {0};
    refused(zeros, sizeof zeros, MTH_ERR_TRUNCATED, "without its directory");
}

/* An archive with one number of its end record, or of a zip64 end record, replaced. */
static void refused_with(bool is_zip64, size_t from_end, size_t n_bytes, uint64_t value, int status,
                         const char *words)
{
    struct mth_buffer file = small_archive(is_zip64, NULL);
    uint8_t bytes[8];
    mth_store64(bytes, value);
    memcpy(file.data + file.n_bytes - from_end, bytes, n_bytes);
    refused(file.data, file.n_bytes, status, words);
    free(file.data);
}

static void end_records_that_lie_are_refused(void **state)
{
    (void)state;
    enum { END = 22, LOCATOR = END + 20, END64 = LOCATOR + 56 };
    refused_with(false, END - 4, 2, 1, MTH_ERR_FORMAT, "over several disks");
    refused_with(false, END - 8, 2, 2, MTH_ERR_FORMAT, "over several disks");
    refused_with(false, END - 10, 2, 2, MTH_ERR_FORMAT, "over several disks");
    refused_with(false, END - 12, 4, 0, MTH_ERR_FORMAT, "more members than");
    refused_with(false, END - 12, 4, UINT32_MAX, MTH_ERR_FORMAT, "does not lie before its end record");
    refused_with(false, END - 16, 4, UINT32_MAX, MTH_ERR_FORMAT, "does not lie before its end record");
    refused_with(false, END - 16, 4, 0, MTH_ERR_FORMAT, "no entry where one belongs");
    refused_with(true, LOCATOR - 8, 8, UINT64_MAX, MTH_ERR_FORMAT, "points outside");
    refused_with(true, LOCATOR - 8, 8, 0, MTH_ERR_FORMAT, "no zip64 end record");
    refused_with(true, END64 - 24, 8, UINT64_MAX, MTH_ERR_FORMAT, "over several disks");
    refused_with(true, END64 - 40, 8, UINT64_MAX, MTH_ERR_FORMAT, "does not lie before");
    refused_with(true, END64 - 48, 8, UINT64_MAX, MTH_ERR_FORMAT, "does not lie before");
    /* A billion members in a file that has room for three. */
    struct mth_buffer file = small_archive(true, NULL);
    mth_store64(file.data + file.n_bytes - END64 + 24, 1000000000);
    mth_store64(file.data + file.n_bytes - END64 + 32, 1000000000);
    struct listing listing;
    list(&listing, file.data, file.n_bytes);
    assert_int_equal(listing.status, MTH_ERR_FORMAT);
    assert_true(mth_memory_peak(listing.memory) < 256 << 10);
    unlist(&listing);
    free(file.data);
}

static void entries_that_lie_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at, n_bytes; /* in the first entry of the directory */
        uint64_t value;
        const char *words;
    } lies[] = {
        {0, 4, 0, "no entry where one belongs"},
        {20, 4, 7, "in another size than its own"},
        {24, 4, 7, "in another size than its own"},
        {28, 2, 0, "a member without a name"},
        {42, 4, UINT32_MAX - 1, "begins outside of the archive"},
        {42, 4, 1, "no member where the central directory says"},
        {34, 2, 3, "does not parse"},
        {46, 1, 'b', "another name than the central directory gives it"},
        {50, 1, 0, "a NUL in it"},
    };
    struct mth_buffer file = small_archive(false, NULL);
    struct listing listing;
    list(&listing, file.data, file.n_bytes);
    size_t central = (size_t)listing.directory.offset;
    unlist(&listing);
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        uint8_t bytes[8], kept[8];
        mth_store64(bytes, lies[i].value);
        memcpy(kept, file.data + central + lies[i].at, lies[i].n_bytes);
        memcpy(file.data + central + lies[i].at, bytes, lies[i].n_bytes);
        refused(file.data, file.n_bytes, MTH_ERR_FORMAT, lies[i].words);
        memcpy(file.data + central + lies[i].at, kept, lies[i].n_bytes);
    }
    /* Both sizes, so that they agree: the member would end behind the directory. */
    mth_store32(file.data + central + 20, 1 << 20);
    mth_store32(file.data + central + 24, 1 << 20);
    refused(file.data, file.n_bytes, MTH_ERR_FORMAT, "ends outside of the archive");
    /* A local header whose name and extra field reach out. */
    mth_store32(file.data + central + 20, sizeof text);
    mth_store32(file.data + central + 24, sizeof text);
    mth_store16(file.data + 28, UINT16_MAX);
    refused(file.data, file.n_bytes, MTH_ERR_FORMAT, "ends outside of the archive");
    free(file.data);
}

/* The numbers of a zip64 field have 64 bits. */
static void zip64_fields_that_lie_are_refused(void **state)
{
    (void)state;
    for (size_t field = 0; field < 3; field++) {
        struct zip_builder builder = {.is_zip64 = true};
        zip_builder_add(&builder, &(struct zip_member){
                                      .name = "a", .data = text, .n_bytes = sizeof text, .is_zip64 = true});
        size_t extra = builder.file.n_bytes + 46 + 1;
        struct mth_buffer file = zip_builder_finish(&builder, NULL);
        file.data[extra + 4 + 8 * field + 4] = 1;
        refused_and_freed(file, field < 2 ? "in another size than its own" : "begins outside of the archive");
    }
    struct zip_builder builder = {.is_zip64 = true};
    zip_builder_add(&builder,
                    &(struct zip_member){.name = "a", .data = text, .n_bytes = 9, .is_zip64 = true});
    size_t extra = builder.file.n_bytes + 46 + 1;
    struct mth_buffer file = zip_builder_finish(&builder, NULL);
    mth_store16(file.data + extra + 2, 16);
    refused(file.data, file.n_bytes, MTH_ERR_FORMAT, "does not parse");
    mth_store16(file.data + extra + 2, 25);
    refused_and_freed(file, "does not parse");
}

static void a_name_twice_is_refused(void **state)
{
    (void)state;
    struct zip_builder builder = {0};
    zip_builder_store(&builder, "a/data.pkl", text, 5);
    zip_builder_store(&builder, "a/data/0", text, 6);
    zip_builder_store(&builder, "a/data.pkl", text, 7);
    refused_and_freed(zip_builder_finish(&builder, NULL), "'a/data.pkl' is there twice");
    builder = (struct zip_builder){0};
    zip_builder_add(&builder,
                    &(struct zip_member){.name = "a", .local_name = "b", .data = text, .n_bytes = 5});
    refused_and_freed(zip_builder_finish(&builder, NULL), "another name than");
}

/* A member whose data is a whole archive entry: two entries of the directory that share it. */
static void members_that_share_bytes_are_refused(void **state)
{
    (void)state;
    struct zip_builder inner = {0}, builder = {0};
    zip_builder_add(&inner, &(struct zip_member){.name = "inside", .data = text, .n_bytes = 10});
    zip_builder_add(&builder, &(struct zip_member){
                                  .name = "outside", .data = inner.file.data, .n_bytes = inner.file.n_bytes});
    size_t inside_at = builder.file.n_bytes - inner.file.n_bytes;
    mth_store32(inner.central.data + 42, (uint32_t)inside_at);
    zip_builder_bytes(&builder.central, inner.central.data, inner.central.n_bytes);
    builder.n_members++;
    refused_and_freed(zip_builder_finish(&builder, NULL), "two members share bytes");
    free(inner.file.data);
    free(inner.central.data);
}

/* In any order of the directory. */
static void the_order_of_the_directory_does_not_matter(void **state)
{
    (void)state;
    struct zip_builder builder = {0};
    zip_builder_add(&builder, &(struct zip_member){.name = "a", .data = text, .n_bytes = 10});
    size_t n_first = builder.central.n_bytes;
    zip_builder_add(&builder, &(struct zip_member){.name = "b", .data = text, .n_bytes = 11});
    uint8_t first[64];
    memcpy(first, builder.central.data, n_first);
    memmove(builder.central.data, builder.central.data + n_first, n_first);
    memcpy(builder.central.data + n_first, first, n_first);
    struct listing listing;
    list_and_free(&listing, zip_builder_finish(&builder, NULL));
    assert_int_equal(listing.directory.n_members, 2);
    assert_int_equal(mth_zip_find(&listing.directory, "b", 1)->n_bytes, 11);
    unlist(&listing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_found_where_their_data_is),
        cmocka_unit_test(what_is_compressed_or_encrypted_is_not_stored),
        cmocka_unit_test(a_comment_of_any_length_and_content_is_passed_over),
        cmocka_unit_test(an_empty_archive_has_no_members),
        cmocka_unit_test(more_members_than_16_bits_count_are_found),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_byte_changed_gives_a_directory_or_a_line),
        cmocka_unit_test(what_is_no_archive_is_refused),
        cmocka_unit_test(end_records_that_lie_are_refused),
        cmocka_unit_test(entries_that_lie_are_refused),
        cmocka_unit_test(zip64_fields_that_lie_are_refused),
        cmocka_unit_test(a_name_twice_is_refused),
        cmocka_unit_test(members_that_share_bytes_are_refused),
        cmocka_unit_test(the_order_of_the_directory_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The description of a pickle: its nodes, and the words and texts that they refer to.
 *
 * A reference below 2^31 is a node's number, one above it is the whole number of its low 31 bits. Nodes have 16 bytes;
 * the items of a tuple lie one behind the other in the words, those of what grows lie in runs: [n, next run, items...].
 */
#include "formats/pickle_tree.h"

#include "base/checked.h"

#include <string.h>

enum {
    BLOCK_BYTES = 64 << 10,
    NODE_BYTES = 16,
    NODES_PER_BLOCK = BLOCK_BYTES / NODE_BYTES,
    WORDS_PER_BLOCK = BLOCK_BYTES / 4,
    RUN_HEAD_WORDS = 2,
    HAS_ENTRIES = 1 /* flag of a node */
};

#define INLINE_INT 0x80000000u

/* Words of an object, from its first one on. */
enum { OBJECT_CALLABLE, OBJECT_ARGS, OBJECT_STATE, OBJECT_FIRST_RUN, OBJECT_LAST_RUN, N_OBJECT_WORDS };

struct node {
    uint8_t kind;
    uint8_t flags;
    uint32_t n; /* as mth_pickle_length */
    union {
        int64_t integer;
        double real;
        const char *text;
        uint32_t words
            [2]; /* tuple and object: the first word; container: first and last run; persistent: the id */
    } as;
};

_Static_assert(sizeof(struct node) == NODE_BYTES, "the blocks are counted in nodes of this size");

int mth_pickle_charge(struct mth_pickle *pickle, size_t n_bytes)
{
    if (n_bytes > pickle->max_bytes - pickle->n_bytes)
        return MTH_ERR_LIMIT;
    pickle->n_bytes += n_bytes;
    return MTH_OK;
}

void mth_pickle_discharge(struct mth_pickle *pickle, size_t n_bytes)
{
    pickle->n_bytes -= n_bytes;
}

static int add_block(struct mth_pickle *pickle, struct mth_blocks *array)
{
    if (array->n_blocks == array->capacity) {
        size_t capacity = array->capacity ? array->capacity * 2 : 8;
        int status = mth_pickle_charge(pickle, (capacity - array->capacity) * sizeof *array->blocks);
        if (status)
            return status;
        void **grown = mth_memory_realloc(pickle->memory, array->blocks, capacity * sizeof *grown);
        if (!grown)
            return MTH_ERR_NO_MEMORY;
        array->blocks = grown;
        array->capacity = capacity;
    }
    int status = mth_pickle_charge(pickle, BLOCK_BYTES);
    if (status)
        return status;
    void *block = mth_memory_alloc(pickle->memory, BLOCK_BYTES);
    if (!block)
        return MTH_ERR_NO_MEMORY;
    array->blocks[array->n_blocks++] = block;
    return MTH_OK;
}

static void free_blocks(struct mth_pickle *pickle, struct mth_blocks *array)
{
    for (size_t i = 0; i < array->n_blocks; i++)
        mth_memory_free(pickle->memory, array->blocks[i]);
    mth_memory_free(pickle->memory, array->blocks);
    *array = (struct mth_blocks){0};
}

static struct node *node_at(const struct mth_pickle *pickle, uint32_t ref)
{
    return (struct node *)pickle->nodes.blocks[ref / NODES_PER_BLOCK] + ref % NODES_PER_BLOCK;
}

static uint32_t *word_at(const struct mth_pickle *pickle, uint32_t word)
{
    return (uint32_t *)pickle->words.blocks[word / WORDS_PER_BLOCK] + word % WORDS_PER_BLOCK;
}

static int add_node(struct mth_pickle *pickle, enum mth_pickle_kind kind, uint32_t n, uint32_t *ref,
                    struct node **node)
{
    struct mth_blocks *nodes = &pickle->nodes;
    if (nodes->n_items == INLINE_INT - 1)
        return MTH_ERR_LIMIT;
    if (nodes->n_items == nodes->n_blocks * NODES_PER_BLOCK) {
        int status = add_block(pickle, nodes);
        if (status)
            return status;
    }
    *ref = nodes->n_items++;
    *node = node_at(pickle, *ref);
    **node = (struct node){.kind = (uint8_t)kind, .n = n};
    return MTH_OK;
}

/* Room for n words; they lie one behind the other, across blocks too. */
static int add_words(struct mth_pickle *pickle, size_t n, uint32_t *first)
{
    struct mth_blocks *words = &pickle->words;
    if (n > UINT32_MAX - words->n_items)
        return MTH_ERR_LIMIT;
    while (words->n_items + n > words->n_blocks * WORDS_PER_BLOCK) {
        int status = add_block(pickle, words);
        if (status)
            return status;
    }
    *first = words->n_items;
    words->n_items += (uint32_t)n;
    return MTH_OK;
}

static void set_words(struct mth_pickle *pickle, uint32_t first, const uint32_t *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        *word_at(pickle, first + (uint32_t)i) = values[i];
}

int mth_pickle_tree_init(struct mth_pickle *pickle, struct mth_memory *memory, size_t max_bytes)
{
    static const struct node fixed[N_FIXED_REFS] = {[REF_NONE] = {.kind = MTH_PICKLE_NONE},
                                                    [REF_FALSE] = {.kind = MTH_PICKLE_BOOL},
                                                    [REF_TRUE] = {.kind = MTH_PICKLE_BOOL, .as.integer = 1},
                                                    [REF_EMPTY_TUPLE] = {.kind = MTH_PICKLE_TUPLE},
                                                    [REF_OPAQUE] = {.kind = MTH_PICKLE_OPAQUE}};
    *pickle = (struct mth_pickle){.memory = memory, .max_bytes = max_bytes};
    for (size_t i = 0; i < N_FIXED_REFS; i++) {
        struct node *node;
        uint32_t ref;
        int status = add_node(pickle, MTH_PICKLE_NONE, 0, &ref, &node);
        if (status)
            return status;
        *node = fixed[i];
    }
    /* Word 0 is nobody's, so that 0 is no run. */
    uint32_t word;
    return add_words(pickle, 1, &word);
}

void mth_pickle_free(struct mth_pickle *pickle)
{
    free_blocks(pickle, &pickle->nodes);
    free_blocks(pickle, &pickle->words);
    free_blocks(pickle, &pickle->text);
    pickle->n_bytes = 0;
}

int mth_pickle_add_int(struct mth_pickle *pickle, int64_t value, uint32_t *ref)
{
    if (value >= 0 && value < (int64_t)INLINE_INT - 1) {
        *ref = INLINE_INT | (uint32_t)value;
        return MTH_OK;
    }
    struct node *node;
    int status = add_node(pickle, MTH_PICKLE_INT, 0, ref, &node);
    if (!status)
        node->as.integer = value;
    return status;
}

int mth_pickle_add_float(struct mth_pickle *pickle, double value, uint32_t *ref)
{
    struct node *node;
    int status = add_node(pickle, MTH_PICKLE_FLOAT, 0, ref, &node);
    if (!status)
        node->as.real = value;
    return status;
}

int mth_pickle_add_text(struct mth_pickle *pickle, enum mth_pickle_kind kind, uint64_t n_text, char **kept,
                        uint32_t *ref)
{
    struct node *node;
    *kept = NULL;
    if (kind != MTH_PICKLE_BYTES && n_text <= MTH_PICKLE_TEXT_MAX_BYTES) {
        if (pickle->text_left < n_text + 1) {
            int status = add_block(pickle, &pickle->text);
            if (status)
                return status;
            pickle->text_left = BLOCK_BYTES;
        }
        *kept = (char *)pickle->text.blocks[pickle->text.n_blocks - 1] + BLOCK_BYTES - pickle->text_left;
        pickle->text_left -= (size_t)n_text + 1;
        (*kept)[n_text] = '\0';
    }
    int status = add_node(pickle, kind, n_text < UINT32_MAX ? (uint32_t)n_text : UINT32_MAX, ref, &node);
    if (!status)
        node->as.text = *kept;
    return status;
}

int mth_pickle_add_tuple(struct mth_pickle *pickle, const uint32_t *items, size_t n_items, uint32_t *ref)
{
    struct node *node;
    uint32_t first = 0;
    *ref = REF_EMPTY_TUPLE;
    if (n_items == 0)
        return MTH_OK;
    int status = add_words(pickle, n_items, &first);
    if (!status)
        status = add_node(pickle, MTH_PICKLE_TUPLE, (uint32_t)n_items, ref, &node);
    if (status)
        return status;
    node->as.words[0] = first;
    set_words(pickle, first, items, n_items);
    return MTH_OK;
}

int mth_pickle_add_container(struct mth_pickle *pickle, enum mth_pickle_kind kind, uint32_t *ref)
{
    struct node *node;
    int status = add_node(pickle, kind, 0, ref, &node);
    if (!status && kind == MTH_PICKLE_DICT)
        node->flags = HAS_ENTRIES;
    return status;
}

int mth_pickle_add_object(struct mth_pickle *pickle, uint32_t callable, uint32_t args, uint32_t *ref)
{
    const uint32_t words[N_OBJECT_WORDS] = {
        [OBJECT_CALLABLE] = callable, [OBJECT_ARGS] = args, [OBJECT_STATE] = REF_NONE};
    struct node *node;
    uint32_t first = 0;
    int status = add_words(pickle, N_OBJECT_WORDS, &first);
    if (!status)
        status = add_node(pickle, MTH_PICKLE_OBJECT, 0, ref, &node);
    if (status)
        return status;
    node->as.words[0] = first;
    set_words(pickle, first, words, N_OBJECT_WORDS);
    return MTH_OK;
}

int mth_pickle_add_persistent(struct mth_pickle *pickle, uint32_t id, uint32_t *ref)
{
    struct node *node;
    int status = add_node(pickle, MTH_PICKLE_PERSISTENT, 0, ref, &node);
    if (!status)
        node->as.words[0] = id;
    return status;
}

/* The two words that hold the first and the last run of a container or an object. */
static void runs_of(const struct mth_pickle *pickle, struct node *node, uint32_t **first, uint32_t **last)
{
    if (node->kind == MTH_PICKLE_OBJECT) {
        *first = word_at(pickle, node->as.words[0] + OBJECT_FIRST_RUN);
        *last = word_at(pickle, node->as.words[0] + OBJECT_LAST_RUN);
    } else {
        *first = &node->as.words[0];
        *last = &node->as.words[1];
    }
}

int mth_pickle_extend(struct mth_pickle *pickle, uint32_t ref, const uint32_t *items, size_t n_items,
                      bool are_entries)
{
    uint32_t run = 0, *first, *last;
    if (n_items == 0)
        return MTH_OK;
    struct node *node = node_at(pickle, ref);
    uint32_t n_added = (uint32_t)(are_entries ? n_items / 2 : n_items);
    if (n_added > UINT32_MAX - node->n)
        return MTH_ERR_LIMIT;
    /* An object that is both a list and a dict is none that Python makes. */
    if (node->kind == MTH_PICKLE_OBJECT && node->n > 0 && are_entries != (node->flags & HAS_ENTRIES))
        return MTH_ERR_FORMAT;
    int status = add_words(pickle, RUN_HEAD_WORDS + n_items, &run);
    if (status)
        return status;
    const uint32_t head[RUN_HEAD_WORDS] = {(uint32_t)n_items, 0};
    set_words(pickle, run, head, RUN_HEAD_WORDS);
    set_words(pickle, run + RUN_HEAD_WORDS, items, n_items);
    runs_of(pickle, node, &first, &last);
    if (*first == 0)
        *first = run;
    else
        *word_at(pickle, *last + 1) = run;
    *last = run;
    node->n += n_added;
    if (are_entries)
        node->flags |= HAS_ENTRIES;
    return MTH_OK;
}

void mth_pickle_set_state(struct mth_pickle *pickle, uint32_t ref, uint32_t state)
{
    *word_at(pickle, node_at(pickle, ref)->as.words[0] + OBJECT_STATE) = state;
}

/* ---- reading a description ---- */

enum mth_pickle_kind mth_pickle_kind(const struct mth_pickle *pickle, uint32_t ref)
{
    return ref & INLINE_INT ? MTH_PICKLE_INT : (enum mth_pickle_kind)node_at(pickle, ref)->kind;
}

bool mth_pickle_int(const struct mth_pickle *pickle, uint32_t ref, int64_t *value)
{
    enum mth_pickle_kind kind = mth_pickle_kind(pickle, ref);
    if (kind != MTH_PICKLE_INT && kind != MTH_PICKLE_BOOL)
        return false;
    *value = ref & INLINE_INT ? (int64_t)(ref & ~INLINE_INT) : node_at(pickle, ref)->as.integer;
    return true;
}

bool mth_pickle_u64(const struct mth_pickle *pickle, uint32_t ref, uint64_t *value)
{
    int64_t integer;
    if (!mth_pickle_int(pickle, ref, &integer) || integer < 0)
        return false;
    *value = (uint64_t)integer;
    return true;
}

bool mth_pickle_float(const struct mth_pickle *pickle, uint32_t ref, double *value)
{
    if (mth_pickle_kind(pickle, ref) != MTH_PICKLE_FLOAT)
        return false;
    *value = node_at(pickle, ref)->as.real;
    return true;
}

const char *mth_pickle_text(const struct mth_pickle *pickle, uint32_t ref, size_t *n_text)
{
    enum mth_pickle_kind kind = mth_pickle_kind(pickle, ref);
    if (kind != MTH_PICKLE_STRING && kind != MTH_PICKLE_GLOBAL)
        return NULL;
    *n_text = node_at(pickle, ref)->n;
    return node_at(pickle, ref)->as.text;
}

bool mth_pickle_text_is(const struct mth_pickle *pickle, uint32_t ref, const char *text)
{
    size_t n_text = 0;
    const char *own = mth_pickle_text(pickle, ref, &n_text);
    return own && n_text == strlen(text) && memcmp(own, text, n_text) == 0;
}

uint32_t mth_pickle_length(const struct mth_pickle *pickle, uint32_t ref)
{
    return ref & INLINE_INT ? 0 : node_at(pickle, ref)->n;
}

uint32_t mth_pickle_item(const struct mth_pickle *pickle, uint32_t tuple, uint32_t index)
{
    if (mth_pickle_kind(pickle, tuple) != MTH_PICKLE_TUPLE || index >= node_at(pickle, tuple)->n)
        return REF_OPAQUE;
    return *word_at(pickle, node_at(pickle, tuple)->as.words[0] + index);
}

uint32_t mth_pickle_persistent_id(const struct mth_pickle *pickle, uint32_t ref)
{
    return mth_pickle_kind(pickle, ref) == MTH_PICKLE_PERSISTENT ? node_at(pickle, ref)->as.words[0]
                                                                 : REF_OPAQUE;
}

bool mth_pickle_object(const struct mth_pickle *pickle, uint32_t ref, struct mth_pickle_object *object)
{
    if (mth_pickle_kind(pickle, ref) != MTH_PICKLE_OBJECT)
        return false;
    const struct node *node = node_at(pickle, ref);
    object->callable = *word_at(pickle, node->as.words[0] + OBJECT_CALLABLE);
    object->args = *word_at(pickle, node->as.words[0] + OBJECT_ARGS);
    object->state = *word_at(pickle, node->as.words[0] + OBJECT_STATE);
    object->has_entries = node->flags & HAS_ENTRIES;
    return true;
}

void mth_pickle_begin(const struct mth_pickle *pickle, uint32_t ref, struct mth_pickle_cursor *cursor)
{
    uint32_t *first, *last;
    *cursor = (struct mth_pickle_cursor){.pickle = pickle};
    struct node *node = ref & INLINE_INT ? NULL : node_at(pickle, ref);
    switch (mth_pickle_kind(pickle, ref)) {
    case MTH_PICKLE_TUPLE:
        cursor->word = node->as.words[0];
        cursor->left = node->n;
        break;
    case MTH_PICKLE_LIST:
    case MTH_PICKLE_SET:
    case MTH_PICKLE_DICT:
    case MTH_PICKLE_OBJECT:
        runs_of(pickle, node, &first, &last);
        cursor->next_run = *first;
        cursor->has_entries = node->flags & HAS_ENTRIES;
        break;
    default:
        break;
    }
}

bool mth_pickle_next(struct mth_pickle_cursor *cursor, uint32_t *key, uint32_t *value)
{
    while (cursor->left == 0) {
        if (cursor->next_run == 0)
            return false;
        cursor->left = *word_at(cursor->pickle, cursor->next_run);
        cursor->word = cursor->next_run + RUN_HEAD_WORDS;
        cursor->next_run = *word_at(cursor->pickle, cursor->next_run + 1);
    }
    *key = REF_NONE;
    if (cursor->has_entries) {
        *key = *word_at(cursor->pickle, cursor->word++);
        cursor->left--;
    }
    *value = *word_at(cursor->pickle, cursor->word++);
    cursor->left--;
    return true;
}

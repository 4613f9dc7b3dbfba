// SPDX-License-Identifier: Apache-2.0
// Seeded values by descriptor: extremes first, then everything mixed. See fill.h.
#include "fill.h"

#include "base/assert.h"
#include "kafka/codec.h"
#include "kafka/value.h"

struct filler {
    int16_t version;
    bool flexible;
    enum fill_kind kind;
    struct prng *prng;
    struct arena *arena;
    bool huge_done;
};

static uint64_t below(struct filler *f, uint64_t bound)
{
    return prng_below(f->prng, bound);
}

static size_t random_length(struct filler *f, size_t huge)
{
    if (f->kind == FILL_HUGE && !f->huge_done) {
        f->huge_done = true;
        return huge;
    }
    if (f->kind == FILL_MIN || f->kind == FILL_NULL || f->kind == FILL_DEFAULT)
        return 0;
    if (f->kind == FILL_MAX)
        return 130;
    return below(f, 16) == 0 ? 120 + below(f, 20) : below(f, 9);
}

static struct slice random_bytes(struct filler *f, size_t len, bool text)
{
    uint8_t *bytes = arena_alloc(f->arena, len);
    ASSERT(bytes != NULL);
    // Only valid UTF-8 survives Kafka's strings.
    for (size_t i = 0; i < len; i++)
        bytes[i] = text ? (uint8_t)('!' + below(f, 90)) : (uint8_t)prng_next(f->prng);
    for (size_t i = 0; text && i + 1 < len; i += 5)
        memcpy(bytes + i, "\xc3\xa9", 2);
    return slice_of(bytes, len);
}

// An integer of the width in bytes, as Java's generator favours the ends of the range.
static uint64_t random_number(struct filler *f, int width)
{
    uint64_t ones = width == 8 ? UINT64_MAX : (1ull << (8 * width)) - 1;
    uint64_t max = ones >> 1;
    if (f->kind == FILL_MAX)
        return max;
    if (f->kind == FILL_MIN)
        return max + 1;
    switch (below(f, 5)) {
    case 0:
        return f->kind == FILL_FULL ? 7 : 0;
    case 1:
        return max + below(f, 2);
    case 2:
        return 1 + below(f, 20);
    case 3:
        return ones - below(f, 5);
    default:
        return prng_next(f->prng) & ones;
    }
}

static void fill_number(struct filler *f, enum kafka_type type, void *at)
{
    static const uint8_t widths[] = {[KAFKA_INT8] = 1,  [KAFKA_INT16] = 2, [KAFKA_UINT16] = 2,
                                     [KAFKA_INT32] = 4, [KAFKA_INT64] = 8, [KAFKA_FLOAT64] = 8};
    if (type == KAFKA_BOOL) {
        *(bool *)at = f->kind == FILL_MAX || f->kind == FILL_FULL || (f->kind == FILL_RANDOM && below(f, 2));
    } else if (type == KAFKA_UUID) {
        for (size_t i = 0; i < sizeof(struct uuid); i++)
            ((struct uuid *)at)->bytes[i] = (uint8_t)prng_next(f->prng);
    } else if (type == KAFKA_FLOAT64) {
        // Bits of a NaN need not survive Java; plain numbers do.
        *(double *)at = (double)(int64_t)prng_next(f->prng) / 1024.0;
    } else {
        uint64_t value = random_number(f, widths[type]);
        memcpy(at, &value, widths[type]); // little-endian machines only, as the rest of millrace's tests
    }
}

static void fill_structure(struct filler *f, const struct kafka_structure *structure, void *out, int depth);

static void fill_value(struct filler *f, const struct kafka_field *field, void *at, int depth)
{
    if (field->type == KAFKA_STRUCT)
        fill_structure(f, field->structure, at, depth + 1);
    else if (field->type == KAFKA_STRING)
        *(struct slice *)at = random_bytes(f, random_length(f, INT16_MAX), true);
    else if (field->type == KAFKA_BYTES)
        *(struct slice *)at = random_bytes(f, random_length(f, 100000), false);
    else if (field->type == KAFKA_RECORDS)
        *(struct kafka_records *)at =
            (struct kafka_records){.bytes = random_bytes(f, random_length(f, 200000), false)};
    else
        fill_number(f, (enum kafka_type)field->type, at);
}

static int32_t random_count(struct filler *f, int depth)
{
    if (f->kind == FILL_MIN || f->kind == FILL_DEFAULT)
        return 0;
    if (f->kind == FILL_MAX)
        return depth == 0 ? 3 : 1;
    return f->kind == FILL_RANDOM ? (int32_t)below(f, depth < 2 ? 4 : 3) : 1;
}

static void fill_array(struct filler *f, const struct kafka_field *field, void *structure, int depth)
{
    int32_t count = random_count(f, depth);
    size_t size = kafka_value_size(field);
    uint8_t *items = arena_calloc(f->arena, (size_t)count, size);
    ASSERT(items != NULL);
    for (int32_t i = 0; i < count; i++)
        fill_value(f, field, items + (size_t)i * size, depth);
    memcpy((uint8_t *)structure + field->offset, &items, sizeof items);
    memcpy((uint8_t *)structure + field->count_offset, &count, sizeof count);
}

static void fill_null(const struct kafka_field *field, void *structure)
{
    int32_t none = -1;
    void *null = NULL;
    memcpy((uint8_t *)structure + field->offset, &null, sizeof null); // a slice's data comes first
    if (field->array)
        memcpy((uint8_t *)structure + field->count_offset, &none, sizeof none);
    else if (!field->pointer)
        *(struct slice *)((uint8_t *)structure + field->offset) = (struct slice){0};
}

static void fill_field(struct filler *f, const struct kafka_field *field, void *structure, int depth)
{
    void *at = (uint8_t *)structure + field->offset;
    bool null = f->kind == FILL_NULL || (f->kind == FILL_RANDOM && below(f, 4) == 0);
    if (null && kafka_in(field->nullable, f->version)) {
        fill_null(field, structure);
    } else if (field->array) {
        fill_array(f, field, structure, depth);
    } else if (field->pointer) {
        void *value = arena_alloc(f->arena, field->structure->size);
        ASSERT(value != NULL);
        memcpy(at, &value, sizeof value);
        fill_structure(f, field->structure, value, depth + 1);
    } else {
        fill_value(f, field, at, depth);
    }
}

static bool keep_default(struct filler *f, const struct kafka_field *field)
{
    if (!kafka_in(field->versions, f->version))
        return true;
    // A structure that is present must be filled in where null is impossible.
    if (field->pointer && !kafka_in(field->nullable, f->version))
        return false;
    // Records default to null when any version allows it.
    if (field->type == KAFKA_RECORDS && !kafka_in(field->nullable, f->version))
        return false;
    return f->kind == FILL_DEFAULT || (f->kind == FILL_RANDOM && below(f, field->tag >= 0 ? 2 : 8) == 0);
}

static void fill_tags(struct filler *f, struct kafka_tags *tags)
{
    static const uint32_t starts[] = {20, 126, 10000, INT32_MAX - 4};
    int32_t count = (int32_t)below(f, 4);
    tags->items = arena_calloc(f->arena, 4, sizeof *tags->items);
    ASSERT(tags->items != NULL);
    for (int32_t i = 0; i < count; i++)
        tags->items[tags->count++] =
            (struct kafka_tag){.tag = starts[i] + (uint32_t)below(f, 3),
                               .bytes = random_bytes(f, below(f, 4) == 0 ? 130 : below(f, 5), false)};
}

static void fill_structure(struct filler *f, const struct kafka_structure *structure, void *out, int depth)
{
    kafka_structure_defaults(structure, out);
    for (int i = 0; i < structure->field_count; i++) {
        if (!keep_default(f, &structure->fields[i]))
            fill_field(f, &structure->fields[i], out, depth);
    }
    if (f->flexible && (f->kind == FILL_MAX || (f->kind == FILL_RANDOM && below(f, 6) == 0)))
        fill_tags(f, (void *)((uint8_t *)out + structure->tags_offset));
}

void fill_message(const struct kafka_message *message, int16_t version, enum fill_kind kind,
                  struct prng *prng, struct arena *arena, void *out)
{
    struct filler f = {.version = version,
                       .flexible = kafka_in(message->flexible, version),
                       .kind = kind,
                       .prng = prng,
                       .arena = arena};
    fill_structure(&f, message->structure, out, 0);
}

// SPDX-License-Identifier: Apache-2.0
// What a client hears of every relayed API when nobody answers for its owner. Requests and answers are looked
// at by their descriptors: each request has two of everything, and whatever has a name in the answer must be
// what was asked for, with an error.
#include "node.h"

#include "apis.h"
#include "kafka/api.h"

#include <criterion/criterion.h>
#include <string.h>

static struct node node;

static void setup(void)
{
    node_start(&node);
    node_add_transactions(&node);
    node.controller.mood = node.coordinators[0].mood = node.coordinators[1].mood = FAILS;
    node.controller.failure = node.coordinators[0].failure = node.coordinators[1].failure = ST_DENIED;
}

static void teardown(void)
{
    node_stop(&node);
}

TestSuite(storage_relay_errors, .init = setup, .fini = teardown, .timeout = 120);

enum { ITEMS = 2 };

static const struct slice names[ITEMS] = {{(const uint8_t *)"a", 1}, {(const uint8_t *)"b", 1}};

static void fill(const struct kafka_structure *structure, int16_t version, int nth, uint8_t *out);

static size_t item_size(const struct kafka_field *field)
{
    switch (field->type) {
    case KAFKA_STRUCT:
        return field->structure->size;
    case KAFKA_STRING:
        return sizeof(struct slice);
    case KAFKA_UUID:
        return sizeof(struct uuid);
    case KAFKA_INT32:
        return sizeof(int32_t);
    default:
        return sizeof(int8_t);
    }
}

static void fill_array(const struct kafka_field *field, int16_t version, uint8_t *out)
{
    int32_t count = ITEMS;
    uint8_t *items = arena_calloc(&node.arena, ITEMS, item_size(field));
    memcpy(out + field->offset, &items, sizeof items);
    memcpy(out + field->count_offset, &count, sizeof count);
    for (int i = 0; i < ITEMS; i++) {
        uint8_t *item = items + (size_t)i * item_size(field);
        if (field->type == KAFKA_STRUCT)
            fill(field->structure, version, i, item);
        else if (field->type == KAFKA_STRING)
            memcpy(item, &names[i], sizeof names[i]);
    }
}

static void fill(const struct kafka_structure *structure, int16_t version, int nth, uint8_t *out)
{
    kafka_structure_defaults(structure, out);
    for (int i = 0; i < structure->field_count; i++) {
        const struct kafka_field *field = &structure->fields[i];
        if (!kafka_in(field->versions, version) || field->tag >= 0)
            continue;
        if (field->array)
            fill_array(field, version, out);
        else if (field->type == KAFKA_STRING)
            memcpy(out + field->offset, &names[nth], sizeof names[nth]);
    }
}

struct found {
    int errors, without; // error codes that are set, and that are not
    int strangers;       // names of another item
};

static bool is_error(const struct kafka_field *field)
{
    return field->type == KAFKA_INT16 && strstr(field->name, "rrorCode") != NULL &&
           strcmp(field->name, "TopicConfigErrorCode") != 0; // of what is not allowed to be seen
}

static bool is_name(const struct kafka_field *field)
{
    return strcmp(field->name, "GroupId") == 0 || strcmp(field->name, "TransactionalId") == 0 ||
           strcmp(field->name, "Name") == 0 || strcmp(field->name, "ResourceName") == 0;
}

static void look(const struct kafka_structure *structure, int16_t version, int nth, const uint8_t *at,
                 struct found *found);

static void look_at_items(const struct kafka_field *field, int16_t version, const uint8_t *at, struct found *found)
{
    int32_t count;
    const uint8_t *items;
    memcpy(&count, at + field->count_offset, sizeof count);
    memcpy(&items, at + field->offset, sizeof items);
    for (int32_t i = 0; i < count; i++)
        look(field->structure, version, i, items + (size_t)i * field->structure->size, found);
}

// nth: which item of its list it is, -1: of none.
static void look(const struct kafka_structure *structure, int16_t version, int nth, const uint8_t *at,
                 struct found *found)
{
    int16_t error;
    struct slice name;
    for (int i = 0; i < structure->field_count; i++) {
        const struct kafka_field *field = &structure->fields[i];
        if (!kafka_in(field->versions, version))
            continue;
        if (field->array && field->type == KAFKA_STRUCT) {
            look_at_items(field, version, at, found);
        } else if (is_error(field)) {
            memcpy(&error, at + field->offset, sizeof error);
            found->errors += error != KAFKA_ERR_NONE;
            found->without += error == KAFKA_ERR_NONE;
        } else if (!field->array && nth >= 0 && is_name(field)) {
            memcpy(&name, at + field->offset, sizeof name);
            found->strangers += nth >= ITEMS || !slice_equal(name, names[nth]);
        }
    }
}

static void ask_and_look(const struct api_row *row, int16_t version)
{
    const struct kafka_api *api = kafka_api(row->key);
    uint8_t *body = arena_alloc(&node.arena, api->request->structure->size);
    fill(api->request->structure, version, 0, body);
    const void *answer = ask(&node, row->key, version, body);
    cr_assert_not_null(answer, "%s version %d", api->request->name, version);
    struct found found = {0};
    look(api->response->structure, version, -1, answer, &found);
    cr_expect_gt(found.errors, 0, "%s version %d", api->request->name, version);
    cr_expect_eq(found.without, 0, "%s version %d", api->request->name, version);
    cr_expect_eq(found.strangers, 0, "%s version %d", api->request->name, version);
    if (row->route == API_SPLIT && !(row->key == KAFKA_API_OFFSET_FETCH && version < 8))
        cr_expect_eq(found.errors, ITEMS, "%s version %d", api->request->name, version);
}

static void every(enum api_route route)
{
    for (int i = 0; i < api_row_count; i++) {
        if (api_rows[i].route != route)
            continue;
        for (int16_t v = api_version_low(&api_rows[i]); v <= api_version_high(&api_rows[i]); v++)
            ask_and_look(&api_rows[i], v);
    }
}

Test(storage_relay_errors, every_group_api_says_so)
{
    every(API_GROUP);
}

Test(storage_relay_errors, every_transaction_api_says_so)
{
    every(API_TRANSACTION);
}

Test(storage_relay_errors, every_controller_api_says_so)
{
    every(API_CONTROLLER);
}

Test(storage_relay_errors, every_api_of_several_groups_says_so_of_each)
{
    every(API_SPLIT);
}

// SPDX-License-Identifier: Apache-2.0
// See chores.h.
#include "chores.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "http/json.h"
#include "tags_edit.h"

// ---- life ----

static void chore_free(struct chore *chore)
{
    cJSON_Delete(chore->body);
    schema_free(chore->schema);
    buf_fini(&chore->text);
    messages_fini(&chore->messages);
    arena_fini(&chore->arena);
    mem_free(chore);
}

struct chores *chores_new(void)
{
    struct chores *chores = mem_calloc(1, sizeof *chores);
    chores->end = &chores->first;
    map_init(&chores->by_hash, 0);
    return chores;
}

void chores_destroy(struct chores **pointer)
{
    struct chores *chores = *pointer;
    *pointer = NULL;
    if (chores == NULL)
        return;
    for (struct chore *chore = chores->first, *next; chore != NULL; chore = next) {
        next = chore->next;
        chore_free(chore);
    }
    map_fini(&chores->by_hash);
    mem_free(chores);
}

// ---- finding ----

static size_t chore_bytes(const struct chore *chore)
{
    const struct chore_input *input = &chore->input;
    size_t bytes = input->text.len + chore->wishes.len;
    for (size_t i = 0; i < input->reference_count; i++)
        bytes += input->references[i].name.len + input->references[i].text.len;
    return bytes;
}

static bool input_equal(const struct chore_input *a, const struct chore_input *b)
{
    bool equal =
        a->format == b->format && a->reference_count == b->reference_count && slice_equal(a->text, b->text);
    for (size_t i = 0; i < a->reference_count && equal; i++)
        equal = slice_equal(a->references[i].name, b->references[i].name) &&
                slice_equal(a->references[i].text, b->references[i].text);
    return equal;
}

static bool same(const struct chore *a, const struct chore *b)
{
    return a->kind == b->kind && a->form == b->form && a->fresh == b->fresh &&
           comparison_equal(a->by, b->by) && a->with == b->with && slice_equal(a->wishes, b->wishes) &&
           input_equal(&a->input, &b->input);
}

static uint64_t chore_hash(const struct chore *chore)
{
    const struct chore_input *input = &chore->input;
    const int kinds[] = {(int)chore->kind, (int)chore->form, chore->fresh, (int)chore->by.level,
                         chore->by.lenient, (int)input->format};
    uint64_t hash = hash_bytes(0, kinds, sizeof kinds);
    hash = hash_bytes(hash, input->text.data, input->text.len);
    hash = hash_bytes(hash, chore->wishes.data, chore->wishes.len);
    for (size_t i = 0; i < input->reference_count; i++) {
        hash = hash_bytes(hash, input->references[i].name.data, input->references[i].name.len);
        hash = hash_bytes(hash, input->references[i].text.data, input->references[i].text.len);
    }
    return hash;
}

static struct chore *find(const struct chores *chores, const struct chore *wanted)
{
    struct chore *chore = map_get_u64(&chores->by_hash, chore_hash(wanted));
    while (chore != NULL && !same(chore, wanted))
        chore = chore->same_hash;
    return chore;
}

// ---- noting ----

static struct slice keep(struct arena *arena, struct slice text)
{
    const char *copy = arena_strndup(arena, text.data, text.len);
    ASSERT(copy != NULL); // inputs have limits: of a body, and CALL_PARSED_MAX
    return slice_of(copy, text.len);
}

static void input_keep(struct chore *chore, const struct chore_input *input)
{
    size_t count = input->reference_count;
    struct schema_reference *references = arena_calloc(&chore->arena, count + 1, sizeof *references);
    chore->input = *input;
    chore->input.text = keep(&chore->arena, input->text);
    for (size_t i = 0; i < count; i++)
        references[i] = (struct schema_reference){.name = keep(&chore->arena, input->references[i].name),
                                                  .text = keep(&chore->arena, input->references[i].text)};
    chore->input.references = references;
}

static struct chore *note(struct call *call, const struct chore *wanted)
{
    struct chore *chore = mem_calloc(1, sizeof *chore);
    *chore = *wanted;
    arena_init(&chore->arena, SIZE_MAX);
    input_keep(chore, &wanted->input);
    chore->wishes = keep(&chore->arena, wanted->wishes);
    buf_init(&chore->text, SCHEMA_TOTAL_MAX);
    messages_init(&chore->messages);
    call->chores->bytes += chore_bytes(chore);
    chore->same_hash = map_put_u64(&call->chores->by_hash, chore_hash(chore), chore);
    *call->chores->end = chore;
    call->chores->end = &chore->next;
    return chore;
}

// ---- doing ----

static void do_body(struct chore *chore)
{
    chore->status = json_parse(chore->input.text, &chore->body, &chore->error_at);
}

static void do_parse(struct chore *chore)
{
    const struct chore_input *input = &chore->input;
    chore->status = schema_parse(input->format, input->text, input->references, input->reference_count,
                                 &chore->error, &chore->schema);
    if (chore->status == ST_OK && chore->fresh)
        chore->status = schema_validate(chore->schema, &chore->error);
    if (chore->status == ST_OK && schema_text(chore->schema, chore->form, &chore->text) != ST_OK) {
        chore->status = ST_LIMIT;
        chore->error = (struct schema_error){.code = ST_LIMIT, .text = ""};
    }
}

static void do_compare(struct chore *chore)
{
    const struct chore_input *input = &chore->input;
    struct schema *old = NULL;
    if (schema_parse(input->format, input->text, input->references, input->reference_count, &chore->error,
                     &old) != ST_OK)
        messages_add_printed(&chore->messages, "an older version cannot be read", chore->error.text);
    else
        comparison_run(chore->by, chore->with->schema, old, &chore->messages);
    schema_free(old);
}

static void do_tags(struct chore *chore)
{
    const struct tags_source source = {.format = chore->input.format,
                                       .text = chore->input.text,
                                       .schema = chore->with != NULL ? chore->with->schema : NULL};
    chore->status = chore->wishes.len == 0 ? tags_list(&source, &chore->error, &chore->text)
                                           : tags_apply(&source, chore->wishes, &chore->error, &chore->text);
}

static void run(struct chore *chore)
{
    static void (*const doing[])(struct chore *) = {[CHORE_BODY] = do_body,
                                                    [CHORE_PARSE] = do_parse,
                                                    [CHORE_COMPARE] = do_compare,
                                                    [CHORE_TAGS] = do_tags};
    doing[chore->kind](chore);
    chore->done = true;
}

void chores_work(struct chores *chores)
{
    bool fits = true;
    for (struct chore *chore = chores->first; chore != NULL && fits && !chores->stopping;
         chore = chore->next) {
        if (chore->done)
            continue; // an earlier part of the operation has gone on after it
        run(chore);
        fits = chore->messages.count == 0;
    }
}

// ---- asking ----

// Whether so many bytes more may be copied. *spot: and worked through now.
static bool may_note(struct call *call, size_t bytes, bool *spot)
{
    struct chores *chores = call->chores;
    *spot = call->spot <= call->spot_max && bytes <= call->spot_max - call->spot;
    if (bytes > CHORES_BYTES_MAX - chores->bytes) {
        call->parsed = CALL_PARSED_MAX + 1;
        return false;
    }
    return *spot || !chores->spot_only;
}

static const struct chore *ask_new(struct call *call, const struct chore *wanted)
{
    bool spot;
    size_t bytes = chore_bytes(wanted);
    if (!may_note(call, bytes, &spot))
        return NULL;
    struct chore *chore = note(call, wanted);
    if (!spot)
        return NULL;
    call->spot += bytes;
    run(chore);
    return chore;
}

static const struct chore *ask(struct call *call, const struct chore *wanted)
{
    if (call->chores == NULL)
        call->chores = chores_new();
    const struct chore *chore = find(call->chores, wanted);
    if (chore == NULL)
        chore = ask_new(call, wanted);
    bool done = chore != NULL && chore->done;
    call->later |= !done;
    return done ? chore : NULL;
}

const struct chore *chore_body(struct call *call)
{
    struct chore wanted = {.kind = CHORE_BODY, .input.text = call->body};
    return ask(call, &wanted);
}

const struct chore *chore_parse(struct call *call, const struct chore_input *input, enum schema_text form,
                                bool fresh)
{
    struct chore wanted = {.kind = CHORE_PARSE, .input = *input, .form = form, .fresh = fresh};
    return ask(call, &wanted);
}

const struct chore *chore_compare(struct call *call, const struct chore *with, struct comparison by,
                                  const struct chore_input *old)
{
    struct chore wanted = {.kind = CHORE_COMPARE, .input = *old, .with = with, .by = by};
    return ask(call, &wanted);
}

const struct chore *chore_tags(struct call *call, const struct chore_tagging *tagging)
{
    struct chore wanted = {.kind = CHORE_TAGS,
                           .input = {.format = tagging->format, .text = tagging->text},
                           .with = tagging->with,
                           .wishes = tagging->wishes};
    return ask(call, &wanted);
}

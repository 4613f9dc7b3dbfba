// SPDX-License-Identifier: Apache-2.0
// See guard_judge.h. Where a record's id is, says schema/claim.h.
#include "guard_judge.h"

#include "base/mem.h"

static const char *const parts[SCHEMA_SIDES] = {[SCHEMA_KEY] = "key", [SCHEMA_VALUE] = "value"};
static const char *const names[GUARD_REASONS] = {
    [GUARD_BARE] = "no_id",      [GUARD_HEADER] = "bad_header",      [GUARD_NOBODYS] = "unknown_id",
    [GUARD_FOREIGN] = "subject", [GUARD_SEALED] = "unusable_schema", [GUARD_PAYLOAD] = "payload"};

const char *guard_reason_name(enum guard_reason reason)
{
    return names[reason];
}

// ---- books ----

bool guard_books_full(const struct guard_books *books)
{
    for (int i = 0; i < SCHEMA_SIDES; i++)
        if (books->sides[i] != NULL && books->sides[i]->level == GUARD_FULL)
            return true;
    return false;
}

bool guard_books_dear(const struct guard_books *books)
{
    for (int i = 0; i < SCHEMA_SIDES; i++)
        if (books->sides[i] != NULL && books->sides[i]->dear)
            return true;
    return false;
}

void guard_books_ref(const struct guard_books *books)
{
    for (int i = 0; i < SCHEMA_SIDES; i++)
        guard_book_ref(books->sides[i]);
}

void guard_books_unref(struct guard_books *books)
{
    for (int i = 0; i < SCHEMA_SIDES; i++)
        guard_book_unref(&books->sides[i]);
}

// ---- judging ----

struct judge {
    const struct guard_books *books;
    const struct guard_entry *last[SCHEMA_SIDES]; // found for the record before, mostly the same again
    const struct guard_entry *last_message[SCHEMA_SIDES];
    struct guard_report *report; // NULL: nothing to tell yet
    size_t spare;
    struct buf joined; // a payload whose beginning is in a header
    int32_t record;
};

static struct guard_report *report_of(struct judge *judge)
{
    if (judge->report == NULL)
        judge->report = mem_calloc(1, sizeof *judge->report);
    return judge->report;
}

static void add_fault(struct judge *judge, const struct guard_fault *fault)
{
    struct guard_report *report = report_of(judge);
    report->bad++;
    report->by_reason[fault->reason]++;
    if (report->fault_count == GUARD_FAULTS_MAX)
        return;
    report->faults[report->fault_count] = *fault;
    report->faults[report->fault_count++].record = judge->record;
}

static void add_missing(struct judge *judge, int side, const struct guard_id *id)
{
    struct guard_report *report = report_of(judge);
    for (int i = 0; i < report->missing_count; i++)
        if (report->missing[i].side == side && memcmp(&report->missing[i].id, id, sizeof *id) == 0)
            return;
    if (report->missing_count < GUARD_MISSING_MAX)
        report->missing[report->missing_count++] = (struct guard_missing){.side = side, .id = *id};
}

static const struct guard_entry *find(struct judge *judge, int side, const struct guard_id *id)
{
    bool message = id->message[0] != '\0';
    const struct guard_entry **last = message ? &judge->last_message[side] : &judge->last[side];
    if (*last == NULL || memcmp(&(*last)->id, id, sizeof *id) != 0)
        *last = guard_book_find(judge->books->sides[side], id);
    return *last;
}

// False: the record has no such header. One that is null is one without an id.
static bool find_header(const struct record *record, int side, struct slice *value)
{
    struct record rest = *record;
    struct record_header header;
    bool found = false;
    while (record_next_header(&rest, &header))
        if (slice_is(header.key, schema_claim_headers[side])) {
            *value = header.value.data != NULL ? header.value : slice_str("");
            found = true;
        }
    return found;
}

// False: the side's part has no id, *reason says why.
static bool take_claim(const struct record *record, int side, struct slice part, struct schema_claim *claim,
                       enum guard_reason *reason)
{
    struct slice header = {0};
    bool in_header = record->header_count > 0 && find_header(record, side, &header);
    *reason = in_header ? GUARD_HEADER : GUARD_BARE;
    return schema_claim_take(header, part, claim) == ST_OK;
}

static void judge_payload(struct judge *judge, struct guard_fault *fault, const struct schema_claim *claim)
{
    struct slice payload = schema_claim_payload(claim, &judge->joined);
    struct schema_error error = {.code = ST_LIMIT,
                                 .text = "it is deeper or has more values than is looked at"};
    enum status status = schema_payload_check_many(fault->entry->schema, payload, &judge->spare);
    if (status == ST_OK)
        return;
    struct guard_report *report = report_of(judge);
    report->spent |= status == ST_LIMIT;
    fault->reason = GUARD_PAYLOAD;
    if (report->fault_count < GUARD_EXPLAINED_MAX) {
        if (status != ST_LIMIT)
            schema_payload_explain(fault->entry->schema, payload, &error);
        fault->why = mem_strdup(error.text);
    }
    add_fault(judge, fault);
}

static void judge_id(struct judge *judge, struct guard_fault *fault, const struct schema_claim *claim);

// The record's subject is named by the message that it says it is.
static void judge_message(struct judge *judge, struct guard_fault *fault, const struct schema_claim *claim)
{
    struct protobuf_index index;
    struct slice payload = schema_claim_payload(claim, &judge->joined);
    if (protobuf_index_take(&payload, &index) == ST_OK &&
        protobuf_index_text(&index, fault->id.message) == ST_OK) {
        judge_id(judge, fault, claim);
        return;
    }
    fault->reason = GUARD_PAYLOAD;
    if (report_of(judge)->fault_count < GUARD_EXPLAINED_MAX)
        fault->why = mem_strdup("it does not begin with the index of a message");
    add_fault(judge, fault);
}

static void judge_entry(struct judge *judge, struct guard_fault *fault, const struct schema_claim *claim)
{
    static const enum guard_reason reasons[] = {[GUARD_UNKNOWN] = GUARD_NOBODYS,
                                                [GUARD_UNREGISTERED] = GUARD_FOREIGN,
                                                [GUARD_UNREADABLE] = GUARD_SEALED};
    switch (fault->entry->verdict) {
    case GUARD_GOOD:
        if (fault->entry->schema != NULL)
            judge_payload(judge, fault, claim);
        return;
    case GUARD_BY_MESSAGE:
        judge_message(judge, fault, claim);
        return;
    case GUARD_SILENCE:
        report_of(judge)->silence = true;
        return;
    default:
        fault->reason = reasons[fault->entry->verdict];
        add_fault(judge, fault);
    }
}

static void judge_id(struct judge *judge, struct guard_fault *fault, const struct schema_claim *claim)
{
    fault->entry = find(judge, fault->side, &fault->id);
    if (fault->entry == NULL)
        add_missing(judge, fault->side, &fault->id);
    else
        judge_entry(judge, fault, claim);
}

// Null has no schema and is always taken: in a compacted topic it deletes the key.
static void judge_part(struct judge *judge, const struct record *record, int side)
{
    struct slice part = side == SCHEMA_KEY ? record->key : record->value;
    struct guard_fault fault = {.side = side};
    struct schema_claim claim = {.id = {{0}}};
    if (judge->books->sides[side] == NULL || part.data == NULL)
        return;
    bool claims = take_claim(record, side, part, &claim, &fault.reason);
    fault.id.schema = claim.id;
    if (claims)
        judge_id(judge, &fault, &claim);
    else
        add_fault(judge, &fault);
}

static bool stopped(const _Atomic bool *stop)
{
    return stop != NULL && *stop;
}

struct guard_report *guard_judge(const struct guard_books *books, const struct batch_header *header,
                                 struct slice records, size_t spare, const _Atomic bool *stop)
{
    struct batch_reader reader = {.header = header, .rest = records};
    struct judge judge = {.books = books, .spare = spare + GUARD_VALUES_PER_BYTE * records.len};
    struct record record;
    buf_init(&judge.joined, records.len);
    for (; !stopped(stop) && batch_next(&reader, &record) == ST_OK; judge.record++)
        for (int side = 0; side < SCHEMA_SIDES; side++)
            judge_part(&judge, &record, side);
    if (stopped(stop))
        report_of(&judge)->spent = true;
    buf_fini(&judge.joined);
    return judge.report;
}

void guard_report_free(struct guard_report **pointer)
{
    struct guard_report *report = *pointer;
    *pointer = NULL;
    for (int i = 0; report != NULL && i < report->fault_count; i++)
        mem_free(report->faults[i].why);
    mem_free(report);
}

// ---- telling ----

const char *guard_fault_text(struct arena *arena, const char *topic, const struct guard_fault *fault)
{
    const char *part = parts[fault->side];
    char text[SCHEMA_ID_TEXT];
    const char *id = arena_printf(arena, "%s %s", schema_id_is_guid(&fault->id.schema) ? "guid" : "id",
                                  schema_id_text(&fault->id.schema, text));
    const char *subject = fault->entry != NULL && fault->entry->subject != NULL ? fault->entry->subject : "";
    const char *why = fault->entry != NULL && fault->entry->fault != NULL ? fault->entry->fault : "";
    if (id == NULL)
        return NULL;
    switch (fault->reason) {
    case GUARD_BARE:
        return arena_printf(arena, "the %s of a record of topic %s begins with no schema id", part, topic);
    case GUARD_HEADER:
        return arena_printf(arena, "the header %s of a record of topic %s is no schema id",
                            schema_claim_headers[fault->side], topic);
    case GUARD_NOBODYS:
        return arena_printf(arena, "topic %s: the %s's schema (%s) is not known to the registry", topic, part,
                            id);
    case GUARD_FOREIGN:
        return arena_printf(arena, "topic %s: no version of subject \"%s\" has the %s's schema (%s)%s%s",
                            topic, subject, part, id, *why != '\0' ? ": " : "", why);
    case GUARD_SEALED:
        return arena_printf(arena, "topic %s: the %s's schema (%s, subject \"%s\") cannot be used: %s", topic,
                            part, id, subject, why);
    default:
        return arena_printf(arena, "topic %s: the %s is not of its schema (%s, subject \"%s\")%s%s", topic,
                            part, id, subject, fault->why != NULL ? ": " : "",
                            fault->why != NULL ? fault->why : "");
    }
}

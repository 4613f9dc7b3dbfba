// SPDX-License-Identifier: Apache-2.0
// Produce, all versions: step 3 of a record's way. A batch is refused here or not at all; what is appended is
// answered when it is as durable as the client asked for: acks=all when the watermark has passed it, acks=1
// when it is flushed here, acks=0 not at all. A batch that is dear to validate goes to the pool; what comes
// later for its partition stands in line behind it. Batches that find the log's tail full wait in order for
// the next flush. The first batch of a transaction waits in that line until the transaction's coordinator has
// let it in, with what comes later of its producer. A batch with schemas that nothing is known of waits
// there, too, until a registry has told.
#include "admission.h"
#include "check.h"
#include "guard.h"
#include "handlers.h"
#include "kafka/messages/produce.h"
#include "lookup.h"
#include "partitions.h"
#include "refusal.h"
#include "refusal_past.h"
#include "refused.h"
#include "storage.h"

typedef struct kafka_produce_response_partition_produce_response answer_t;

enum {
    ZSTD_VERSION = 7,         // KIP-110
    ABORTABLE_VERSION = 11,   // KIP-890: TRANSACTION_ABORTABLE is known
    GUARD_ROUNDS_MAX = 16,    // how often a batch asks about schemas, each time about others
    ADDING_VERSION = 12,      // KIP-890: partitions are added to the transaction by what is written to them
    LEADER_HINT_VERSION = 10, // KIP-951
    OWN_MS_LEAST = 30000,     // what this node itself may take, whatever the client's timeout_ms
    NEW_LEADER_US = 10000000, // clients of the old leader come with what they have to send again
    TOPIC_ID_VERSION = 13     // KIP-516
};

struct produce;

// One partition of the request.
struct produce_item {
    struct produce *produce;
    const struct image_topic *topic; // valid while the request is taken in
    struct uuid topic_id;
    answer_t *answer;
    struct slice records; // as they were sent
    struct block *packed; // the batch packed anew, until the log has it; NULL: it is taken as it was sent
    struct batch_header header;
    struct check *check; // while it stands in line
    int16_t refused;     // by its transaction's coordinator
    int rounds;          // times it has asked about schemas
    struct wait schemas; // until it has been told of them
    bool left_line;
    struct wait wait;
};

struct produce {
    struct storage_request *request;
    struct kafka_produce_response response;
    struct timer timer;
    int16_t acks;
    int remaining; // items without an answer yet, and one while the request is taken in
    int count;
    int32_t endpoints_max; // room in the answer's node_endpoints
    struct produce_item *items;
};

static struct env *env_of(const struct produce *produce)
{
    return storage_env(produce->request->storage);
}

static void produce_end(struct produce *produce)
{
    struct storage_request *request = produce->request;
    bool failed = false;
    timer_stop(env_of(produce), &produce->timer);
    for (int i = 0; i < produce->count; i++)
        failed = failed || produce->items[i].answer->error_code != KAFKA_ERR_NONE;
    if (produce->acks != 0)
        storage_answer(request, &produce->response);
    else if (failed)
        storage_answer_close(request, "a batch sent with acks=0 was refused");
    else
        storage_answer_none(request);
}

static struct replica *item_replica(const struct produce_item *item)
{
    return partitions_find(storage_partitions(item->produce->request->storage), item->topic_id,
                           item->answer->index);
}

// Leaders have changed a moment ago.
static bool leads_since_lately(const struct replica *replica, struct env *env)
{
    return replica->state.leader_epoch > 0 && env_now_us(env) - replica->role_us < NEW_LEADER_US;
}

// What is said of a batch that does not follow the one before it (refused.h).
static int16_t out_of_order(struct produce_item *item, int64_t producer_id)
{
    struct env *env = env_of(item->produce);
#ifndef PLANTED_OUT_OF_ORDER_BEHIND_REFUSED
    if (!refused_to_repeat(item->produce->request->conn->peer, env, producer_id) &&
        !leads_since_lately(item_replica(item), env)) // it is there: it has just judged the batch
#endif
        return KAFKA_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    item->answer->error_message = slice_str("a batch before it is to be sent again first");
    return KAFKA_ERR_NOT_ENOUGH_REPLICAS;
}

static void item_set_error(struct produce_item *item, int16_t error)
{
    struct produce *produce = item->produce;
    struct batch_header header;
    item->answer->error_code = error;
    if (error == KAFKA_ERR_NONE)
        return;
    item->answer->base_offset = item->answer->log_append_time_ms = item->answer->log_start_offset = -1;
    if (batch_parse(item->records, &header) != ST_OK || header.producer_id < 0)
        return;
    if (error == KAFKA_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER)
        item->answer->error_code = out_of_order(item, header.producer_id);
    else
        refused_note(produce->request->conn->peer, env_of(produce), header.producer_id, error);
}

static void item_give_back(struct produce_item *item)
{
    checks_give_back(storage_checks(item->produce->request->storage), &item->packed);
}

// Ends one item; the last one answers the request, which is gone then.
static void item_done(struct produce_item *item, int16_t error)
{
    struct produce *produce = item->produce;
    item_give_back(item);
    item_set_error(item, error);
    if (--produce->remaining == 0)
        produce_end(produce);
}

static void item_refuse(struct produce_item *item, int16_t error, const char *why)
{
    item->answer->error_message = slice_str(why);
    item_done(item, error);
}

static void item_on_durable(struct wait *wait, enum status status)
{
    item_done(wait->context, lookup_error(status));
}

// Checks of the batch's header alone: format, size, codec.
static int16_t header_check(const struct produce_item *item, const struct replica_settings *settings,
                            const char **why)
{
    struct batch_header header;
    enum status status = batch_parse(item->records, &header);
    if (status == ST_UNSUPPORTED) {
        *why = "only record batches of format version 2 are taken";
        return KAFKA_ERR_INVALID_RECORD;
    }
    if (status == ST_OK && batch_size(&header) > (size_t)settings->message_bytes_max) {
        *why = "the record batch is larger than max.message.bytes";
        return KAFKA_ERR_MESSAGE_TOO_LARGE;
    }
    if (status == ST_OK && batch_compression(&header) == COMPRESSION_ZSTD &&
        item->produce->request->version < ZSTD_VERSION) {
        *why = "zstd needs Produce version 7 or newer";
        return KAFKA_ERR_UNSUPPORTED_COMPRESSION_TYPE;
    }
    return KAFKA_ERR_NONE; // what is wrong beyond is for batch_validate to say
}

static struct guard *guard_of(const struct produce_item *item)
{
    return storage_guard(item->produce->request->storage);
}

static struct guard_topic guard_topic_of(const struct replica *replica)
{
    return (struct guard_topic){
        .id = replica->topic_id, .name = replica->topic, .rules = &replica->settings.guard};
}

// The books in it are to be given back.
static struct check_rules rules_of(const struct produce_item *item, const struct replica *replica)
{
    const struct replica_settings *settings = &replica->settings;
    struct check_rules rules = {.batch = {.from_client = true,
                                          .header_only = settings->header_only,
                                          .key_required = settings->compacted,
                                          .log_append_time = settings->log_append_time,
                                          .now_ms = env_wall_ms(env_of(item->produce)),
                                          .before_ms = settings->before_ms_max,
                                          .after_ms = settings->after_ms_max,
                                          .limits = compress_limits_default},
                                .repack = settings->repack,
                                .codec = settings->codec,
                                .level = settings->codec_level,
                                .bytes_max = (size_t)settings->message_bytes_max};
    if (settings->guard.any) {
        struct guard_topic topic = guard_topic_of(replica);
        rules.guard = guard_books_of(guard_of(item), &topic);
    }
    return rules;
}

// What is appended: the batch packed anew, or the one sent, in the request's own block. Nobody shares either
// yet.
static struct block *item_block(const struct produce_item *item)
{
    return item->packed != NULL ? item->packed : item->produce->request->conn->block;
}

static struct slice item_batch(const struct produce_item *item)
{
    return item->packed != NULL ? block_slice(item->packed) : item->records;
}

// The batch is valid: its max timestamp is made right in place.
static void take_verdict(struct produce_item *item, const struct batch_rules *rules,
                         const struct check_result *result)
{
    struct slice batch = item_batch(item);
    uint8_t *bytes = (uint8_t *)(uintptr_t)batch.data;
    if (rules->log_append_time)
        batch_set_max_timestamp(bytes, batch.len, true, rules->now_ms);
    else if (result->verdict.max_timestamp != result->header.max_timestamp)
        batch_set_max_timestamp(bytes, batch.len, false, result->verdict.max_timestamp);
    batch_parse(batch, &item->header);
    item->answer->log_append_time_ms = rules->log_append_time ? rules->now_ms : -1;
}

static void item_append(struct produce_item *item, struct replica *replica);

// The tail has room again, or the replica stopped leading.
static void item_on_room(struct wait *wait, enum status status)
{
    struct produce_item *item = wait->context;
    struct partitions *partitions = storage_partitions(item->produce->request->storage);
    struct replica *replica = partitions_find(partitions, item->topic_id, item->answer->index);
    bool fenced;
    if (status == ST_OK)
        status = replica ? replica_lead(replica, -1, &fenced) : ST_NOT_LEADER;
    if (status != ST_OK) {
        item_done(item, lookup_error(status));
        return;
    }
    item_append(item, replica);
    partitions_flush(partitions);
}

static void item_wait(struct produce_item *item, struct replica *replica, int64_t end)
{
    struct wait_list *list = item->produce->acks == 1 ? &replica->flush_waits : &replica->commit_waits;
    int64_t reached = item->produce->acks == 1 ? log_flushed(replica->log) : replica->state.high_watermark;
    item->answer->log_start_offset = log_start(replica->log);
    item_give_back(item);
    if (item->produce->acks == 0 || reached >= end)
        item_done(item, KAFKA_ERR_NONE);
    else
        wait_add(list, &item->wait, end, item_on_durable, item);
}

static enum sequence_verdict check_sequence(const struct produce_item *item, const struct replica *replica,
                                            struct batch_place *duplicate)
{
    const struct conn_peer *peer = item->produce->request->conn->peer;
    enum sequence_verdict verdict = log_check_sequence(replica->log, &item->header, duplicate);
    if (verdict == SEQUENCE_UNKNOWN && refused_lately(peer, env_of(item->produce), item->header.producer_id))
        return SEQUENCE_OUT_OF_ORDER; // the batch before it is missing
    return verdict;
}

// Whether the batch fits the producer's transaction here. It was let in before it stood in line; what has
// waited for room since may find its transaction ended, and asks anew when it is sent again.
static int16_t transaction_error(const struct produce_item *item, const struct replica *replica)
{
    struct log_producer_view producer;
    if (item->header.producer_id < 0)
        return KAFKA_ERR_NONE;
    if (item->header.attributes & BATCH_TRANSACTIONAL)
        return admission_open(replica, &item->header) ? KAFKA_ERR_NONE : KAFKA_ERR_NOT_ENOUGH_REPLICAS;
    bool open = log_find_producer(replica->log, item->header.producer_id, &producer) &&
                producer.txn_first_offset >= 0; // of whatever epoch: its marker would be older than the batch
    return open ? KAFKA_ERR_INVALID_TXN_STATE : KAFKA_ERR_NONE; // ProducerAppendInfo.appendDataBatch
}

static void item_put(struct produce_item *item, struct replica *replica)
{
    int16_t error = transaction_error(item, replica);
    if (error != KAFKA_ERR_NONE) {
        item_done(item, error);
        return;
    }
    struct block *block = item_block(item);
    struct slice batch = item_batch(item);
    size_t from = (size_t)(batch.data - block->data);
    enum status status = replica_append(replica, block, from, batch.len, &item->header);
    if (status == ST_LIMIT) {
        replica_wait_room(replica, &item->wait, item_on_room, item);
        return;
    }
    if (status != ST_OK) {
        item_done(item, lookup_error(status));
        return;
    }
    item->answer->base_offset = item->header.base_offset;
    item_wait(item, replica, replica->state.log_end);
}

// Sequence, ISR and log decide last, right before the append; nothing comes between them.
static void item_append(struct produce_item *item, struct replica *replica)
{
    struct batch_place duplicate;
    if (replica->append_waits.first != NULL) {
        replica_wait_room(replica, &item->wait, item_on_room, item); // behind those that came before
        return;
    }
    if (item->produce->acks == -1 &&
        partition_isr_size(&replica->state) < partition_isr_needed(&replica->state)) {
        item_done(item, KAFKA_ERR_NOT_ENOUGH_REPLICAS);
        return;
    }
    switch (check_sequence(item, replica, &duplicate)) {
    case SEQUENCE_OUT_OF_ORDER:
        item_done(item, KAFKA_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
        return;
    case SEQUENCE_FENCED:
        item_done(item, KAFKA_ERR_INVALID_PRODUCER_EPOCH);
        return;
    case SEQUENCE_DUPLICATE:
        item->answer->base_offset = duplicate.base_offset;
        item_wait(item, replica, duplicate.last_offset + 1);
        return;
    case SEQUENCE_UNKNOWN:
    case SEQUENCE_APPEND:
        item_put(item, replica);
        return;
    }
}

// A batch that is in the log already was good when it came.
static bool is_duplicate(const struct replica *replica, const struct check_result *result)
{
    struct batch_place duplicate;
    return log_check_sequence(replica->log, &result->header, &duplicate) == SEQUENCE_DUPLICATE;
}

// Nothing is appended unless its schemas are known to be good. While no registry answers the client hears
// NOT_ENOUGH_REPLICAS, which every client repeats, and which none takes for a batch that may have been
// written, as with a transaction whose coordinator does not answer.
static void item_guarded(struct produce_item *item, struct replica *replica,
                         const struct guard_report *report)
{
    int64_t now_us = env_now_us(env_of(item->produce));
    if (report->bad == 0) {
        refusal_past_silence(&replica->refused, now_us);
        item_refuse(item, KAFKA_ERR_NOT_ENOUGH_REPLICAS, "no schema registry answers");
        return;
    }
    guard_count_refused(guard_of(item), report);
    refusal_schemas(item->answer, &item->produce->request->arena, replica->topic, report);
    refusal_past_schemas(&replica->refused, report->bad, item->answer->error_message, now_us);
    item_done(item, KAFKA_ERR_INVALID_RECORD);
}

static void item_checked(struct produce_item *item, struct replica *replica, const struct batch_rules *rules,
                         const struct check_result *result)
{
    if (result->status != ST_OK) {
        refusal_records(item->answer, &item->produce->request->arena, replica_name(replica), rules,
                        &result->verdict);
        item_refuse(item, refusal_error(result->status), result->verdict.why);
    } else if (item_batch(item).len > (size_t)replica->settings.segment_bytes) {
        item_refuse(item, KAFKA_ERR_RECORD_LIST_TOO_LARGE, "the record batch is larger than segment.bytes");
    } else if (item->refused != KAFKA_ERR_NONE) {
        item_refuse(item, item->refused, "the batch is not of an open transaction");
    } else if (result->guard != NULL && !is_duplicate(replica, result)) {
        item_guarded(item, replica, result->guard);
    } else {
        refusal_past_taken(&replica->refused);
        take_verdict(item, rules, result);
        item_append(item, replica);
    }
}

// ---- the line of a partition: batches in the order of their arrival, some of them on the pool ----

static int16_t refused_error(const struct produce_item *item, int16_t error)
{
    if (error == KAFKA_ERR_TRANSACTION_ABORTABLE && item->produce->request->version < ABORTABLE_VERSION)
        return KAFKA_ERR_INVALID_TXN_STATE;
    return error;
}

// What is said about the batch anyway, without a look at its transaction.
static bool known_otherwise(const struct produce_item *item, const struct replica *replica,
                            const struct check_result *result)
{
    struct batch_place duplicate;
    if (result->status != ST_OK || result->guard != NULL ||
        (result->header.attributes & BATCH_TRANSACTIONAL) == 0)
        return true;
    enum sequence_verdict verdict = log_check_sequence(replica->log, &result->header, &duplicate);
    return verdict == SEQUENCE_DUPLICATE || verdict == SEQUENCE_FENCED;
}

// False: it waits for its transaction's coordinator, or behind a batch of its producer that does.
static bool item_admitted(struct produce_item *item, struct replica *replica,
                          const struct check_result *result)
{
    const struct storage_request *request = item->produce->request;
    const struct kafka_produce_request *body = request->body;
    if (result->status == ST_OK && admission_asking(replica, result->header.producer_id))
        return false;
    if (known_otherwise(item, replica, result))
        return true;
    struct admission_ask ask = {.header = &result->header,
                                .transactional_id = body->transactional_id,
                                .add = request->version >= ADDING_VERSION};
    int16_t error = KAFKA_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    enum admission admission = ADMISSION_REFUSED;
    if (body->transactional_id.data != NULL &&
        authorise(&request->principal, OPERATION_WRITE, RESOURCE_TYPE_TRANSACTIONAL_ID,
                  body->transactional_id))
        admission = admission_check(replica, &ask, &error);
    if (admission == ADMISSION_REFUSED)
        item->refused = refused_error(item, error);
    return admission != ADMISSION_WAITS;
}

// The first that may go on; NULL: none. Nobody passes a batch that is being looked at. One that waits for its
// transaction's coordinator is passed by other producers': the answer takes as long as the end of the
// producer's former transaction, which may hang in another partition.
static struct produce_item *first_ready(struct replica *replica)
{
    for (const struct wait *at = replica->check_waits.first; at != NULL; at = at->next) {
        struct produce_item *item = at->context;
        const struct check_result *result = check_result(item->check);
        if (result == NULL || item->schemas.list != NULL)
            return NULL;
        if (item_admitted(item, replica, result))
            return item;
    }
    return NULL;
}

void storage_produce_resume(struct replica *replica)
{
    struct produce_item *item;
    while ((item = first_ready(replica)) != NULL) {
        struct check *check = item->check;
        item->check = NULL;
        item->packed = check_take_packed(check);
        wait_cancel(&item->wait);
        item_checked(item, replica, &check_rules(check)->batch, check_result(check));
        check_destroy(&check);
    }
}

void storage_produce_advance(struct replica *replica)
{
    storage_produce_resume(replica);
    partitions_flush(replica->partitions);
}

// ---- schemas that nothing is known of (guard.h) ----

static void item_on_told(struct wait *wait, enum status status);

// True: the batch waits until its schemas are known.
static bool item_asks(struct produce_item *item, struct replica *replica, const struct check_result *result)
{
    const struct guard_report *report = result->guard;
    if (item->rounds == 0 && replica->settings.guard.any)
        guard_count_batch(guard_of(item), report);
    if (report == NULL || report->bad > 0 || report->missing_count == 0 || item->rounds == GUARD_ROUNDS_MAX ||
        is_duplicate(replica, result))
        return false;
    struct guard_topic topic = guard_topic_of(replica);
    item->rounds++;
    return guard_ask(guard_of(item), &topic, report, &item->schemas, item_on_told, item);
}

static void item_on_checked(void *context)
{
    struct produce_item *item = context;
    struct replica *replica = item_replica(item); // it is there: its end ends the line
    if (!item_asks(item, replica, check_result(item->check)))
        storage_produce_advance(replica);
}

// Has the batch looked at; it is in the line and has no check.
static void item_look(struct produce_item *item, const struct check_rules *rules)
{
    struct storage_request *request = item->produce->request;
    item->check = check_new(storage_checks(request->storage), request->conn->block, item->records, rules,
                            item_on_checked, item);
}

// Looked at anew: what is known has changed, and so may have the topic's settings.
static void item_on_told(struct wait *wait, enum status status)
{
    struct produce_item *item = wait->context;
    struct replica *replica = item_replica(item);
    struct check_rules rules = rules_of(item, replica);
    struct check_result result;
    check_destroy(&item->check);
    if (check_now(item->records, &rules, &result)) {
        item->check = check_known(&rules, &result);
        item_on_checked(item);
    } else {
        item_look(item, &rules);
    }
    guard_books_unref(&rules.guard);
}

static void item_on_line_ended(struct wait *wait, enum status status)
{
    struct produce_item *item = wait->context;
    check_destroy(&item->check);
    wait_cancel(&item->schemas);
    item_done(item, lookup_error(status));
}

// Whether it needs nobody else, and nobody is before it.
static bool item_is_next(struct produce_item *item, struct replica *replica,
                         const struct check_result *result)
{
    return replica->check_waits.first == NULL && item->schemas.list == NULL &&
           item_admitted(item, replica, result);
}

static void item_validate(struct produce_item *item, struct replica *replica)
{
    struct check_rules rules = rules_of(item, replica);
    struct check_result result;
    bool known = check_now(item->records, &rules, &result);
    if (known)
        item_asks(item, replica, &result);
    if (known && item_is_next(item, replica, &result)) {
        item_checked(item, replica, &rules.batch, &result);
        guard_report_free(&result.guard);
    } else {
        wait_add(&replica->check_waits, &item->wait, 0, item_on_line_ended, item);
        if (known) {
            item->check = check_known(&rules, &result);
            storage_produce_resume(replica); // those before it may wait for nobody but their coordinators
        } else {
            item_look(item, &rules);
        }
    }
    guard_books_unref(&rules.guard);
}

// ---- a request ----

// KIP-951: where the leader is, so that the client need not ask. Told once per node.
static void tell_node(struct produce *produce, int32_t id)
{
    struct storage_request *request = produce->request;
    struct kafka_produce_response *response = &produce->response;
    struct lookup_node node;
    for (int32_t i = 0; i < response->node_endpoints_count; i++)
        if (response->node_endpoints[i].node_id == id)
            return;
    if (response->node_endpoints == NULL) {
        int32_t most = (int32_t)image_node_count(storage_image(request->storage));
        response->node_endpoints =
            kafka_structure_array(&kafka_produce_response_node_endpoint_type, &request->arena, most);
        produce->endpoints_max = response->node_endpoints != NULL ? most : 0;
    }
    if (response->node_endpoints_count == produce->endpoints_max || !lookup_node(request, id, &node))
        return;
    struct kafka_produce_response_node_endpoint *told =
        &response->node_endpoints[response->node_endpoints_count++];
    told->node_id = id;
    told->host = node.host;
    told->port = node.port;
    told->rack = node.rack;
}

static void leader_hint(struct produce_item *item, int16_t error)
{
    const struct image_partition *current = lookup_current(item->topic, item->answer->index);
    if (error != KAFKA_ERR_NOT_LEADER_OR_FOLLOWER || item->produce->request->version < LEADER_HINT_VERSION ||
        current == NULL)
        return;
    item->answer->current_leader.leader_id = current->leader;
    item->answer->current_leader.leader_epoch = current->leader_epoch;
    tell_node(item->produce, current->leader);
}

static void item_begin(struct produce_item *item, const struct lookup_topic *named)
{
    struct replica *replica = NULL;
    const char *why = NULL;
    int16_t error = lookup_topic(item->produce->request, named, OPERATION_WRITE, &item->topic);
    if (error == KAFKA_ERR_NONE && item->topic->internal) {
        item_refuse(item, KAFKA_ERR_INVALID_TOPIC_EXCEPTION, "internal topics are not written by clients");
        return;
    }
    if (error == KAFKA_ERR_NONE)
        error = lookup_leader(item->produce->request, item->topic, item->answer->index, -1, &replica);
    if (error != KAFKA_ERR_NONE) {
        leader_hint(item, error);
        item_done(item, error);
        return;
    }
    item->topic_id = item->topic->id;
    error = header_check(item, &replica->settings, &why);
    if (error != KAFKA_ERR_NONE)
        item_refuse(item, error, why);
    else
        item_validate(item, replica);
}

// Takes all of them out of whatever they wait in; then the lines go on without them.
static void items_cancel(struct produce *produce)
{
    for (int i = 0; i < produce->count; i++) {
        struct produce_item *item = &produce->items[i];
        item->left_line = item->check != NULL;
        check_destroy(&item->check);
        wait_cancel(&item->schemas);
        wait_cancel(&item->wait);
        item_give_back(item);
    }
    for (int i = 0; i < produce->count; i++)
        if (produce->items[i].left_line)
            storage_produce_resume(item_replica(&produce->items[i]));
    partitions_flush(storage_partitions(produce->request->storage));
}

static void produce_on_timeout(struct timer *timer)
{
    struct produce *produce = timer->context;
    for (int i = 0; i < produce->count; i++) {
        struct produce_item *item = &produce->items[i];
        if (item->wait.list != NULL)
            item_set_error(item, KAFKA_ERR_REQUEST_TIMED_OUT);
    }
    items_cancel(produce);
    produce_end(produce);
}

static void produce_on_cancelled(struct storage_request *request)
{
    struct produce *produce = request->held;
    items_cancel(produce);
    timer_stop(env_of(produce), &produce->timer);
    storage_answer_none(request);
}

// Lays out the answer in the request's shape. False at the arena's cap.
static bool answer_shape(struct produce *produce, const struct kafka_produce_request *body)
{
    struct arena *arena = &produce->request->arena;
    int total = 0;
    for (int i = 0; i < body->topic_data_count; i++)
        total += body->topic_data[i].partition_data_count;
    kafka_defaults(&kafka_produce_response_message, &produce->response);
    produce->response.responses = kafka_structure_array(&kafka_produce_response_topic_produce_response_type,
                                                        arena, body->topic_data_count);
    produce->response.responses_count = body->topic_data_count;
    produce->items = arena_calloc(arena, (size_t)total, sizeof *produce->items);
    if (produce->response.responses == NULL || produce->items == NULL)
        return false;
    for (int i = 0; i < body->topic_data_count; i++) {
        struct kafka_produce_response_topic_produce_response *topic = &produce->response.responses[i];
        topic->name = body->topic_data[i].name;
        topic->topic_id = body->topic_data[i].topic_id;
        topic->partition_responses_count = body->topic_data[i].partition_data_count;
        topic->partition_responses = kafka_structure_array(
            &kafka_produce_response_partition_produce_response_type, arena, topic->partition_responses_count);
        if (topic->partition_responses == NULL)
            return false;
        for (int k = 0; k < topic->partition_responses_count; k++) {
            struct produce_item *item = &produce->items[produce->count++];
            item->produce = produce;
            item->answer = &topic->partition_responses[k];
            item->answer->index = body->topic_data[i].partition_data[k].index;
            item->answer->base_offset = -1;
            item->records = body->topic_data[i].partition_data[k].records.bytes;
        }
    }
    return true;
}

// The client's time is for the other replicas, as in Kafka: who asks for none of them is not told that time is
// up when it is this node's own disk that is slow, since such a client sends the same once more.
static int64_t patience_ms(const struct produce *produce, int32_t timeout_ms)
{
    int32_t least = produce->acks == -1 ? 0 : OWN_MS_LEAST;
    return timeout_ms > least ? timeout_ms : least;
}

void storage_produce(struct storage_request *request)
{
    const struct kafka_produce_request *body = request->body;
    struct produce *produce = arena_alloc(&request->arena, sizeof *produce);
    if (produce == NULL) {
        storage_answer_close(request, "the request needs too much memory");
        return;
    }
    produce->request = request;
    produce->acks = body->acks;
    timer_init(&produce->timer, produce_on_timeout, produce);
    if (!answer_shape(produce, body)) {
        storage_answer_close(request, "the request needs too much memory");
        return;
    }
    request->held = produce;
    request->on_cancelled = produce_on_cancelled;
    produce->remaining = produce->count + 1;
    struct produce_item *item = produce->items;
    for (int i = 0; i < body->topic_data_count; i++) {
        struct lookup_topic named = {.by_id = request->version >= TOPIC_ID_VERSION,
                                     .name = body->topic_data[i].name,
                                     .id = body->topic_data[i].topic_id};
        for (int k = 0; k < body->topic_data[i].partition_data_count; k++, item++) {
            if (body->acks < -1 || body->acks > 1)
                item_done(item, KAFKA_ERR_INVALID_REQUIRED_ACKS);
            else
                item_begin(item, &named);
        }
    }
    partitions_flush(storage_partitions(request->storage));
    if (--produce->remaining == 0)
        produce_end(produce);
    else
        timer_start_ms(env_of(produce), &produce->timer, patience_ms(produce, body->timeout_ms));
}

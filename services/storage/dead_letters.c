// SPDX-License-Identifier: Apache-2.0
// See dead_letters.h. One batch of the source's log after the other: read, built on the pool, sent, sent
// again until the time is up.
#include "dead_letters.h"

#include "auto_create.h"
#include "base/mem.h"
#include "dead_batch.h"
#include "kafka/compress.h"
#include "partitions.h"
#include "protos/storage.pb-c.h"
#include "share_groups.h"
#include "storage.h"

#include <string.h>

#define TOPIC_KEY  "errors.deadletterqueue.topic.name"
#define COPY_KEY   "errors.deadletterqueue.copy.record.enable"
#define ENABLE_KEY "errors.deadletterqueue.group.enable"
#define PREFIX_KEY "errors.deadletterqueue.topic.name.prefix"
#define CREATE_KEY "errors.deadletterqueue.auto.create.topics.enable"

static const char MISSING[] = "it does not exist";

enum {
    READ_BYTES = 256 << 10,
    CALL_MS = 5000,
    RETRY_MS = 100,
    GIVE_UP_MS = 15000, // then whoever waits hears so, and it is begun anew later
    OUT_MAX = 64 << 20
};

enum dead_state { DEAD_STARTING, DEAD_READING, DEAD_BUILDING, DEAD_SENDING, DEAD_PAUSED };

struct dead_letters {
    struct job job; // first
    struct dead_letters_options options;
    enum dead_state state;
    bool cancelled;      // while it reads or builds: it is freed then
    size_t at;           // batch of the write
    int64_t offset;      // next one of its records
    struct block *bytes; // as read
    struct dead_spec spec;
    char *topic, *group; // of the spec; the pool reads them
    struct buf out;
    int64_t next;
    enum status built;
    struct timer timer;
    int64_t deadline_us;
};

static void step(struct dead_letters *letters);

static struct env *env_of(const struct dead_letters *letters)
{
    return storage_env(letters->options.office->storage);
}

static const char *setting(const struct dead_office *office, const char *group, const char *key)
{
    return share_groups_setting(storage_share_groups(office->storage), group, key);
}

// ---- the topic ----

// A setting of this node that may be altered at any time.
static const char *node_setting(const struct dead_office *office, const char *key)
{
    const struct storage *storage = office->storage;
    return image_node_config(storage_image(storage), storage_node_id(storage), key,
                             config_text(storage_config(storage), key), NULL);
}

// What is wrong with the group's topic; NULL: nothing, *topic is it.
static const char *trouble_of(const struct dead_office *office, const char *group,
                              const struct image_topic **topic)
{
    const struct image *image = storage_image(office->storage);
    const char *name = setting(office, group, TOPIC_KEY), *prefix = node_setting(office, PREFIX_KEY);
    if (strncmp(name, "__", 2) == 0)
        return "its name begins with __";
    if (strncmp(name, prefix, strlen(prefix)) != 0)
        return "its name does not begin as " PREFIX_KEY " says";
    *topic = image_topic_named(image, name);
    if (*topic == NULL || (*topic)->partition_count == 0)
        return MISSING;
    const char *enabled = image_config(image, MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC, name, ENABLE_KEY);
    return enabled != NULL && strcmp(enabled, "true") == 0 ? NULL : "its " ENABLE_KEY " is not true";
}

bool dead_letters_wanted(const struct dead_office *office, const char *group, const struct share_write *write)
{
    bool any = false;
    for (size_t i = 0; i < write->count; i++)
        any = any || write->batches[i].death != SHARE_NO_DEATH;
    return any && setting(office, group, TOPIC_KEY)[0] != '\0';
}

// ---- ends ----

static void letters_free(struct dead_letters *letters)
{
    timer_stop(env_of(letters), &letters->timer);
    block_unref(&letters->bytes);
    buf_fini(&letters->out);
    mem_free(letters->topic);
    mem_free(letters->group);
    mem_free(letters);
}

static void letters_end(struct dead_letters *letters, enum status status, const char *trouble)
{
    void (*done)(void *context, enum status status, const char *trouble) = letters->options.done;
    void *context = letters->options.context;
    if (status != ST_OK) {
        metric_inc(&letters->options.office->failed, 1);
        DIAG_WARN(
            &env_of(letters)->diag,
            "dead letters not delivered group=%s topic=%s partition=%d offset=%lld dead_letter_topic=%s "
            "error=\"%s\"",
            letters->options.group, letters->topic, letters->options.index, (long long)letters->offset,
            setting(letters->options.office, letters->options.group, TOPIC_KEY), trouble);
    }
    letters_free(letters);
    done(context, status, trouble);
}

void dead_letters_cancel(struct dead_letters **pointer)
{
    struct dead_letters *letters = *pointer;
    *pointer = NULL;
    if (letters == NULL)
        return;
    letters->cancelled = true;
    if (letters->state == DEAD_SENDING)
        rpc_cancel(storage_rpc_end(letters->options.office->storage), letters);
    if (letters->state != DEAD_READING && letters->state != DEAD_BUILDING)
        letters_free(letters);
}

// ---- sending ----

static void send(struct dead_letters *letters);

static void retry(struct dead_letters *letters, enum status why)
{
    struct env *env = env_of(letters);
    if (env_now_us(env) + RETRY_MS * 1000 >= letters->deadline_us) {
        letters_end(letters, why, status_text(why));
        return;
    }
    letters->state = DEAD_PAUSED;
    timer_start_ms(env, &letters->timer, RETRY_MS);
}

static void on_timer(struct timer *timer)
{
    struct dead_letters *letters = timer->context;
    if (letters->out.len > 0)
        send(letters);
    else
        step(letters);
}

static void on_delivered(const Millrace__Empty *reply, void *context)
{
    struct dead_letters *letters = context;
    const struct rpc_result *result = rpc_result(storage_rpc_end(letters->options.office->storage));
    letters->state = DEAD_PAUSED;
    if (reply == NULL && result->status == ST_CLOSED)
        return; // this node stops, and whoever began it
    if (reply == NULL) {
        retry(letters, result->status);
        return;
    }
    metric_inc(&letters->options.office->delivered, 1);
    buf_clear(&letters->out);
    letters->offset = letters->next;
    step(letters);
}

// A topic that may be made is waited for; nothing else is mended by waiting.
static void amiss(struct dead_letters *letters, const char *trouble)
{
    struct dead_office *office = letters->options.office;
    if (trouble != MISSING || strcmp(node_setting(office, CREATE_KEY), "true") != 0) {
        letters_end(letters, ST_NOT_FOUND, trouble);
        return;
    }
    auto_create_dead_letters(storage_auto_create(office->storage),
                             slice_str(setting(office, letters->group, TOPIC_KEY)), ENABLE_KEY);
    retry(letters, ST_NOT_FOUND);
}

static void send(struct dead_letters *letters)
{
    struct dead_office *office = letters->options.office;
    const struct image *image = storage_image(office->storage);
    const struct image_topic *topic = NULL;
    const char *trouble = trouble_of(office, letters->group, &topic);
    if (trouble != NULL) {
        amiss(letters, trouble);
        return;
    }
    int32_t index = letters->options.index % (int32_t)topic->partition_count;
    const struct image_partition *partition = image_topic_partition(topic, index);
    const struct image_node *leader = partition != NULL ? image_node(image, partition->leader) : NULL;
    struct block *batch = block_copy(buf_slice(&letters->out));
    if (batch == NULL || !image_node_live(leader, MILLRACE__ROLE__ROLE_STORAGE)) {
        block_unref(&batch);
        retry(letters, ST_NOT_LEADER);
        return;
    }
    struct uuid id = topic->id;
    Millrace__DeliverRequest request = MILLRACE__DELIVER_REQUEST__INIT;
    request.topic_id = (ProtobufCBinaryData){sizeof id.bytes, id.bytes};
    request.partition = index;
    struct rpc_options options = {.deadline_ms = CALL_MS, .payload = &batch, .payload_count = 1};
    letters->state = DEAD_SENDING;
    millrace__storage__deliver(
        rpc_on(contacts_to(&office->nodes, leader, RPC_STORAGE), &millrace__storage__descriptor, &options),
        &request, on_delivered, letters);
    block_unref(&batch);
}

// ---- building ----

static void build_run(struct job *job)
{
    struct dead_letters *letters = (struct dead_letters *)job;
    letters->built =
        dead_batch_build(&letters->spec, block_slice(letters->bytes), &letters->out, &letters->next);
}

static void next_batch(struct dead_letters *letters)
{
    letters->at++;
    letters->offset = -1;
}

static void build_done(struct job *job)
{
    struct dead_letters *letters = (struct dead_letters *)job;
    if (letters->cancelled) {
        letters_free(letters);
        return;
    }
    letters->state = DEAD_PAUSED;
    block_unref(&letters->bytes);
    if (letters->built != ST_OK) // bytes nobody can unpack: what is behind them may be in order
        metric_inc(&letters->options.office->failed, 1);
    if (letters->out.len > 0) {
        send(letters);
        return;
    }
    if (letters->next > letters->offset)
        letters->offset = letters->next;
    else
        next_batch(letters);
    step(letters);
}

static void build(struct dead_letters *letters)
{
    static const char *const causes[] = {
        [SHARE_REJECTED] = "rejected by a member of the group", [SHARE_WORN_OUT] = "delivered too often"};
    const struct share_batch *batch = &letters->options.write->batches[letters->at];
    const char *copies = setting(letters->options.office, letters->group, COPY_KEY);
    letters->spec = (struct dead_spec){.topic = letters->topic,
                                       .partition = letters->options.index,
                                       .group = letters->group,
                                       .first = letters->offset,
                                       .last = batch->last,
                                       .deliveries = batch->fate.deliveries,
                                       .cause = causes[batch->death],
                                       .copies = strcmp(copies, "true") == 0,
                                       .now_ms = env_wall_ms(env_of(letters))};
    letters->state = DEAD_BUILDING;
    letters->job = (struct job){.run = build_run, .done = build_done};
    env_submit(env_of(letters), env_of(letters)->pool, &letters->job);
}

// ---- reading ----

static void on_read(struct log *log, enum status status, struct piece *piece, const struct log_found *found,
                    void *context)
{
    struct dead_letters *letters = context;
    struct block *bytes = NULL;
    if (status == ST_OK && piece->len > 0 && !letters->cancelled) {
        bytes = block_copy(slice_of(piece->data, piece->len));
        status = bytes != NULL ? ST_OK : ST_NO_MEMORY;
    }
    if (piece != NULL)
        piece_release(piece);
    letters->bytes = bytes;
    if (letters->cancelled)
        letters_free(letters);
    else if (bytes != NULL)
        build(letters);
    else if (status == ST_OK || status == ST_OUT_OF_RANGE) { // the log has none of them any more
        next_batch(letters);
        letters->state = DEAD_PAUSED;
        step(letters);
    } else {
        retry(letters, status);
    }
}

// The first batches from an offset on, when they are in memory as they are. ST_AGAIN: they are not.
static enum status read_memory(struct dead_letters *letters, struct log *log, const struct log_range *range)
{
    struct piece piece;
    struct log_found found;
    int count;
    enum status status = log_read(log, range, &piece, 1, &count, &found);
    if (status != ST_OK || count == 0)
        return status;
    if (piece.file != NULL)
        status = ST_AGAIN;
    else if ((letters->bytes = block_copy(slice_of(piece.data, piece.len))) == NULL)
        status = ST_NO_MEMORY;
    piece_release(&piece);
    return status;
}

static void read_log(struct dead_letters *letters, struct replica *replica)
{
    struct log_range range = {.from = letters->offset,
                              .up_to = replica->state.high_watermark,
                              .max_bytes = READ_BYTES,
                              .min_one = true};
    if (range.from < log_start(replica->log))
        range.from = log_start(replica->log);
    letters->state = DEAD_READING;
    enum status status = read_memory(letters, replica->log, &range);
    if (status == ST_AGAIN) {
        log_read_async(replica->log, &range, on_read, letters);
    } else if (letters->bytes != NULL) {
        build(letters);
    } else if (status == ST_OK || status == ST_OUT_OF_RANGE) {
        next_batch(letters);
        letters->state = DEAD_PAUSED;
        timer_start_us(env_of(letters), &letters->timer, 0);
    } else {
        retry(letters, status);
    }
}

// ---- one batch of the write after the other ----

static void step(struct dead_letters *letters)
{
    const struct share_write *write = letters->options.write;
    for (; letters->at < write->count; next_batch(letters)) {
        const struct share_batch *batch = &write->batches[letters->at];
        if (letters->offset < 0)
            letters->offset = batch->first;
        if (batch->death != SHARE_NO_DEATH && letters->offset <= batch->last)
            break;
    }
    if (letters->at == write->count) {
        letters_end(letters, ST_OK, NULL);
        return;
    }
    struct replica *replica = partitions_find(storage_partitions(letters->options.office->storage),
                                              letters->options.topic, letters->options.index);
    if (replica == NULL || replica->log == NULL)
        letters_end(letters, ST_NOT_LEADER, status_text(ST_NOT_LEADER));
    else
        read_log(letters, replica);
}

struct dead_letters *dead_letters_begin(const struct dead_letters_options *options)
{
    struct dead_letters *letters = mem_calloc(1, sizeof *letters);
    letters->options = *options;
    struct env *env = env_of(letters);
    const struct image_topic *topic = image_topic(storage_image(options->office->storage), options->topic);
    letters->topic = mem_strdup(topic != NULL ? topic->name : "");
    letters->group = mem_strdup(options->group);
    letters->offset = -1;
    letters->deadline_us = env_now_us(env) + GIVE_UP_MS * 1000;
    buf_init(&letters->out, OUT_MAX);
    timer_init(&letters->timer, on_timer, letters);
    timer_start_us(env, &letters->timer, 0);
    return letters;
}

// ---- of a node ----

void dead_office_init(struct dead_office *office, struct storage *storage)
{
    struct env *env = storage_env(storage);
    *office = (struct dead_office){.storage = storage};
    contacts_init(&office->nodes, storage_rpc_end(storage), env_random(env));
    office->delivered = (struct metric){.name = "millrace_storage_dead_letter_batches_total",
                                        .help = "Batches written into dead-letter topics of share groups.",
                                        .kind = METRIC_COUNTER};
    office->failed = (struct metric){.name = "millrace_storage_dead_letters_failed_total",
                                     .help = "Times that records given up could not be written there.",
                                     .kind = METRIC_COUNTER};
    metric_add(env->metrics, &office->delivered);
    metric_add(env->metrics, &office->failed);
}

void dead_office_fini(struct dead_office *office)
{
    struct env *env = storage_env(office->storage);
    contacts_fini(&office->nodes);
    metric_remove(env->metrics, &office->delivered);
    metric_remove(env->metrics, &office->failed);
}

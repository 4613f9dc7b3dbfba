// SPDX-License-Identifier: Apache-2.0
// A shard of __transaction_state. See txn_shard.h.
#include "txn_shard.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/shard.h"
#include "leap.h"
#include "txn_markers.h"
#include "txn_record.h"

#include <inttypes.h>

enum { RECORD_BYTES_MAX = 12 << 20, FULL_AGAIN_MS = 100, HOLDS_MAX = 1000 };

struct txn_shard {
    struct txn_shard_options options;
    struct ledger *ledger;
    struct map cells; // by transactional id
    struct timer expiry;
    struct leap leap;
};

// ---- cells ----

static void on_cell_timer(struct timer *timer);

static struct txn_cell *cell_new(struct txn_shard *shard, struct slice id)
{
    struct txn_cell *cell = mem_calloc(1, sizeof *cell);
    cell->shard = shard;
    cell->id = block_copy(id);
    ASSERT(cell->id != NULL); // an id is at most 32 KiB
    txn_partitions_init(&cell->partitions);
    txn_markers_init(cell);
    timer_init(&cell->timer, on_cell_timer, cell);
    map_put(&shard->cells, id, cell);
    return cell;
}

static void end_holds(struct txn_cell *cell, bool again)
{
    struct txn_hold *hold = cell->holds;
    cell->holds = NULL;
    cell->hold_count = 0;
    while (hold != NULL) {
        struct txn_hold *next = hold->next;
        hold->next = NULL;
        hold->done(hold, again); // may hold again
        hold = next;
    }
}

static void cell_free(void *value)
{
    struct txn_cell *cell = value;
    timer_stop(cell->shard->options.env, &cell->timer);
    txn_markers_fini(cell);
    end_holds(cell, false);
    txn_partitions_fini(&cell->partitions);
    block_unref(&cell->id);
    mem_free(cell);
}

bool txn_cell_hold(struct txn_cell *cell, struct txn_hold *hold)
{
    if (cell->hold_count >= HOLDS_MAX)
        return false;
    struct txn_hold **at = &cell->holds;
    while (*at != NULL)
        at = &(*at)->next;
    hold->next = NULL;
    *at = hold;
    cell->hold_count++;
    return true;
}

// ---- the clock ----

// How long an open transaction may go on. The wall clock may have leapt while nobody owned the shard: never
// longer than a whole time-out from now.
static int64_t left_ms(const struct txn_cell *cell)
{
    int64_t left = cell->head.started_ms + cell->head.timeout_ms - txn_shard_wall_ms(cell->shard);
    if (left < 0)
        return 0;
    return left < cell->head.timeout_ms ? left : cell->head.timeout_ms;
}

// What the state asks for, live or after loading.
static void cell_act(struct txn_cell *cell)
{
    struct env *env = cell->shard->options.env;
    if (cell->head.state == TXN_ONGOING) {
        if (!timer_running(&cell->timer))
            timer_start_ms(env, &cell->timer, left_ms(cell));
        return;
    }
    timer_stop(env, &cell->timer);
    if (txn_ending(&cell->head))
        txn_markers_begin(cell);
}

static void time_out(struct txn_cell *cell)
{
    struct txn_shard *shard = cell->shard;
    struct txn_step step = txn_fence(&cell->head, txn_shard_wall_ms(shard));
    DIAG_INFO(&shard->options.env->diag,
              "transaction timed out transactional_id=%.*s producer_id=%" PRId64 " timeout_ms=%" PRId32,
              (int)cell->id->len, (const char *)cell->id->data, cell->head.producer_id,
              cell->head.timeout_ms);
    if (txn_shard_write(shard, block_slice(cell->id), &step, NULL) != ST_OK)
        timer_start_ms(shard->options.env, &cell->timer, FULL_AGAIN_MS);
}

static void on_cell_timer(struct timer *timer)
{
    struct txn_cell *cell = timer->context;
    if (cell->head.state == TXN_ONGOING)
        time_out(cell);
    else
        txn_markers_again(cell);
}

// ---- writing ----

static enum status append(struct txn_shard *shard, struct slice id, const struct txn_head *head,
                          const struct txn_partitions *partitions)
{
    struct buf key, value;
    buf_init(&key, RECORD_BYTES_MAX);
    buf_init(&value, RECORD_BYTES_MAX);
    enum status status = txn_record_key(id, &key);
    if (status == ST_OK)
        status = txn_record_value(head, partitions, &value);
    if (status == ST_OK)
        status = ledger_append(shard->ledger, buf_slice(&key), buf_slice(&value));
    buf_fini(&key);
    buf_fini(&value);
    return status;
}

enum status txn_shard_write(struct txn_shard *shard, struct slice id, const struct txn_step *step,
                            const struct txn_partitions *added)
{
    ASSERT(step->write);
    if (ledger_full(shard->ledger))
        return ST_AGAIN;
    struct txn_cell *cell = txn_shard_find(shard, id);
    struct txn_partitions all;
    txn_partitions_init(&all);
    if (cell != NULL && step->set != TXN_SET_CLEAR)
        txn_partitions_copy(&all, &cell->partitions);
    if (step->set == TXN_SET_ADD)
        txn_partitions_copy(&all, added);
    enum status status = ST_LIMIT;
    if (all.count <= TXN_RECORD_PARTITIONS_MAX)
        status = append(shard, id, &step->next, &all);
    txn_partitions_fini(&all);
    return status;
}

void txn_cell_marked(struct txn_cell *cell)
{
    struct txn_shard *shard = cell->shard;
    struct txn_step step = txn_complete(&cell->head, txn_shard_wall_ms(shard));
    if (txn_shard_write(shard, block_slice(cell->id), &step, NULL) != ST_OK)
        timer_start_ms(shard->options.env, &cell->timer, FULL_AGAIN_MS); // nothing is left to be marked then
    else
        end_holds(cell, true);
}

// ---- applying ----

static enum status apply(struct txn_shard *shard, struct slice id, struct slice value)
{
    struct txn_cell *cell = txn_shard_find(shard, id);
    if (value.data == NULL) {
        if (cell != NULL) {
            map_remove(&shard->cells, id);
            cell_free(cell);
        }
        return ST_OK;
    }
    struct txn_head head;
    struct txn_partitions partitions;
    txn_partitions_init(&partitions);
    enum status status = txn_record_parse(value, &head, &partitions);
    if (status != ST_OK) {
        txn_partitions_fini(&partitions);
        return status;
    }
    if (cell == NULL)
        cell = cell_new(shard, id);
    txn_partitions_fini(&cell->partitions);
    cell->head = head;
    cell->partitions = partitions;
    if (ledger_ready(shard->ledger))
        cell_act(cell);
    return ST_OK;
}

static void on_apply(void *context, int64_t timestamp_ms, struct slice key, struct slice value)
{
    struct txn_shard *shard = context;
    struct slice id;
    enum status status = txn_record_key_parse(key, &id);
    if (status == ST_OK)
        status = apply(shard, id, value);
    if (status != ST_OK) // as Kafka: told and passed over, so that one bad record does not stop every other
        DIAG_WARN(&shard->options.env->diag,
                  "record passed over topic=" SHARD_TOPIC_TRANSACTIONS " shard=%d error=\"%s\"",
                  shard->options.index, status_text(status));
}

static void on_ready(void *context)
{
    struct txn_shard *shard = context;
    struct txn_cell *cell;
    for (struct map_entry *at = NULL; txn_shard_next(shard, &at, &cell);)
#ifdef PLANTED_NEW_OWNER_LEAVES_PREPARED
        if (!txn_ending(&cell->head))
#endif
            cell_act(cell);
    DIAG_INFO(&shard->options.env->diag,
              "shard loaded topic=" SHARD_TOPIC_TRANSACTIONS " shard=%d owner_epoch=%d ids=%zu",
              shard->options.index, shard->options.owner_epoch, shard->cells.count);
}

static void on_reset(void *context)
{
    struct txn_shard *shard = context;
    shard->options.on_reset(shard->options.context, shard->ledger);
    map_clear(&shard->cells, cell_free);
}

// ---- expiry ----

static void expire(struct txn_shard *shard)
{
    int64_t now_ms = txn_shard_wall_ms(shard);
    struct txn_cell *cell;
    for (struct map_entry *at = NULL; txn_shard_next(shard, &at, &cell);) {
        if (!txn_idle(&cell->head, shard->options.settings->expiration_ms, now_ms))
            continue;
        struct buf key;
        buf_init(&key, RECORD_BYTES_MAX);
        enum status status = ledger_full(shard->ledger) ? ST_AGAIN : ST_OK;
        if (status == ST_OK)
            status = txn_record_key(block_slice(cell->id), &key);
        if (status == ST_OK)
            status = ledger_append(shard->ledger, buf_slice(&key), (struct slice){0}); // the cell is gone
        buf_fini(&key);
        if (status != ST_OK)
            return; // the rest at the next time
    }
}

static void on_expiry(struct timer *timer)
{
    struct txn_shard *shard = timer->context;
    struct env *env = shard->options.env;
    timer_start_ms(env, &shard->expiry, shard->options.settings->expiration_check_ms);
    if (txn_shard_ready(shard) && !leap_resting(&shard->leap, env, "expiry of transactional ids"))
        expire(shard);
}

// ---- life ----

struct txn_shard *txn_shard_new(const struct txn_shard_options *options)
{
    static const struct ledger_ops ops = {.apply = on_apply, .reset = on_reset, .ready = on_ready};
    struct txn_shard *shard = mem_calloc(1, sizeof *shard);
    shard->options = *options;
    map_init(&shard->cells, 0);
    leap_init(&shard->leap, options->env);
    timer_init(&shard->expiry, on_expiry, shard);
    timer_start_ms(options->env, &shard->expiry, options->settings->expiration_check_ms);
    struct ledger_config config = {
        .env = options->env,
        .rpc = options->rpc,
        .image = options->image,
        .loads = options->loads,
        .topic = SHARD_TOPIC_TRANSACTIONS,
        .partition = options->index,
        .owner = options->owner,
        .owner_epoch = options->owner_epoch,
        .metadata_offset = options->metadata_offset,
        .ops = &ops,
        .context = shard,
    };
    shard->ledger = ledger_new(&config);
    return shard;
}

void txn_shard_destroy(struct txn_shard **pointer)
{
    struct txn_shard *shard = *pointer;
    *pointer = NULL;
    timer_stop(shard->options.env, &shard->expiry);
    ledger_destroy(&shard->ledger);
    map_clear(&shard->cells, cell_free);
    map_fini(&shard->cells);
    mem_free(shard);
}

const struct txn_shard_options *txn_shard_options(const struct txn_shard *shard)
{
    return &shard->options;
}

struct ledger *txn_shard_ledger(struct txn_shard *shard)
{
    return shard->ledger;
}

bool txn_shard_ready(const struct txn_shard *shard)
{
    return ledger_ready(shard->ledger);
}

size_t txn_shard_count(const struct txn_shard *shard)
{
    return shard->cells.count;
}

bool txn_shard_has_room(const struct txn_shard *shard)
{
    return shard->cells.count < (size_t)shard->options.settings->ids_max;
}

struct txn_cell *txn_shard_find(const struct txn_shard *shard, struct slice id)
{
    return map_get(&shard->cells, id);
}

bool txn_shard_next(const struct txn_shard *shard, struct map_entry **cursor, struct txn_cell **cell)
{
    void *value;
    if (!map_next(&shard->cells, cursor, NULL, &value))
        return false;
    *cell = value;
    return true;
}

int64_t txn_shard_wall_ms(const struct txn_shard *shard)
{
    return env_wall_ms(shard->options.env);
}

// SPDX-License-Identifier: Apache-2.0
// See moves.h. A move is one state machine that looks anew at both logs at each step: whatever has happened
// to the replica's log meanwhile (truncated, begun anew, its start moved) happens to the copy next. Near the
// end the copy's directory takes the partition's name, then appends are held for the moment in which the last
// bytes are made durable. The old log is removed once it is durable that the copy counts (log_promote).
#include "moves.h"

#include "base/mem.h"
#include "lost.h"
#include "partitions_state.h"
#include "stream_in_state.h"

#include <inttypes.h>

enum {
    MOVES_AT_ONCE = 4,
    READ_BYTES = 1 << 20,
    TAIL_READ_BYTES = 256 << 10, // from memory in one turn of the loop
    PACED_BYTES = 256 << 10,     // when there is a rate
    TAIL_BYTES_MAX = 2 << 20,    // of a copy: produce needs the memory, too
    SOON_US = 20 * 1000,         // something small is under way
    FLUSH_US = 1000 * 1000,      // told by moves_durable long before
    REST_US = 1000 * 1000,       // after what may take a while to mend
    HOLD_US_MAX = 500 * 1000,    // appends wait no longer; the move is tried again
    HOLD_REST_US = 10000 * 1000, // after so long
    RETIRE_US_MAX = 5000 * 1000  // reads of the old log may take so long
};

enum { MADE = 1 }; // what made_waits wait for

enum move_state {
    MOVE_READY,
    MOVE_BUSY,     // a read, or a change of the copy, is under way
    MOVE_FLUSHING, // the copy's flush is
    MOVE_RESTING
};

struct move {
    struct moves *moves;
    struct move *next, *previous;
    struct replica *replica; // NULL: given up; freed when what is under way ends
    struct log *future;
    struct log *old; // after the exchange, until nobody reads it
    enum move_state state;
    int64_t again_us; // when it is looked at again, unless it is busy
    int64_t hold_us;  // since when the log is held, 0: it is not
    int64_t old_us;   // since when old waits
    bool made;        // the copy's directory is there, durably
    struct wait_list made_waits;
    bool installed; // the copy has the partition's name
    bool anew;      // the copy does not continue the log
    int next_dir;   // when old is gone it is to move there, -1: nowhere
};

struct moves {
    struct partitions *partitions;
    struct move *first, *last;
    struct timer timer;
    bool stopped;
    struct map preferred; // partitions_key -> index in log.dirs + 1
    struct metric m_count, m_bytes;
};

static void moves_fire(struct timer *timer);

static struct env *env_of(const struct moves *moves)
{
    return moves->partitions->options.env;
}

static int64_t now_of(const struct move *move)
{
    return env_now_us(env_of(move->moves));
}

struct moves *moves_new(struct partitions *partitions)
{
    struct moves *moves = mem_calloc(1, sizeof *moves);
    moves->partitions = partitions;
    timer_init(&moves->timer, moves_fire, moves);
    map_init(&moves->preferred, env_random(partitions->options.env));
    moves->m_count = (struct metric){.name = "millrace_storage_directory_moves",
                                     .help = "Replicas being moved between directories of this node.",
                                     .kind = METRIC_GAUGE};
    moves->m_bytes = (struct metric){.name = "millrace_storage_directory_moved_bytes_total",
                                     .help = "Record bytes copied between directories of this node."};
    metric_add(partitions->options.env->metrics, &moves->m_count);
    metric_add(partitions->options.env->metrics, &moves->m_bytes);
    return moves;
}

static void moves_soon(struct moves *moves)
{
    if (!moves->stopped)
        timer_start_us(env_of(moves), &moves->timer, 0);
}

// ---- one move ----

static struct move *move_new(struct replica *replica, struct log *future)
{
    struct moves *moves = replica->partitions->moves;
    struct move *move = mem_calloc(1, sizeof *move);
    *move = (struct move){
        .moves = moves, .replica = replica, .future = future, .previous = moves->last, .next_dir = -1};
    *(moves->last != NULL ? &moves->last->next : &moves->first) = move;
    moves->last = move;
    replica->move = move;
    log_attach(future, replica);
    metric_inc(&moves->m_count, 1);
    DIAG_INFO(&env_of(moves)->diag, "moving to another directory partition=%s from=%s to=%s end=%" PRId64,
              log_name(future), log_set_path(log_owner_set(replica->log)),
              log_set_path(log_owner_set(future)), log_end(future));
    moves_soon(moves);
    return move;
}

static void move_free(struct move *move)
{
    struct moves *moves = move->moves;
    *(move->previous != NULL ? &move->previous->next : &moves->first) = move->next;
    *(move->next != NULL ? &move->next->previous : &moves->last) = move->previous;
    metric_inc(&moves->m_count, -1);
    mem_free(move);
}

static void move_hold(struct move *move)
{
    if (move->hold_us != 0)
        return;
    move->hold_us = now_of(move);
    log_hold(move->replica->log, true);
}

// A follower whose append was refused meanwhile subscribes again; producers try again when there is room.
static void move_release(struct move *move)
{
    struct replica *replica = move->replica;
    if (move->hold_us == 0)
        return;
    move->hold_us = 0;
    if (replica->log != NULL)
        log_hold(replica->log, false);
    if (replica->link == REPLICA_WANTED)
        stream_in_wanted(replica, 0);
    partitions_room_made(replica->partitions);
}

static bool held_too_long(const struct move *move)
{
    return move->hold_us != 0 && now_of(move) - move->hold_us >= HOLD_US_MAX;
}

static void move_rest(struct move *move, int64_t us)
{
    move->state = MOVE_RESTING;
    move->again_us = now_of(move) + us;
}

// Whoever waits for a job of it finds out by the replica's absence. The old log goes when it is decided that
// it may.
static void move_end(struct move *move, struct log *goes)
{
    struct replica *replica = move->replica;
    bool undecided = move->old != NULL && move->state == MOVE_BUSY;
    move_release(move);
    wait_reached(&move->made_waits, MADE);
    replica->move = NULL;
    move->replica = NULL;
    if (!undecided)
        partitions_drop_log(replica->partitions, goes);
    if (move->state != MOVE_BUSY)
        move_free(move);
}

void moves_give_up(struct replica *replica)
{
    struct move *move = replica->move;
    if (move == NULL)
        return;
    DIAG_INFO(&env_of(move->moves)->diag, "no longer moving partition=%s", replica_name(replica));
    move_end(move, move->old != NULL ? move->old : move->future);
}

// What was under way has ended. False: the move was given up meanwhile.
static bool move_resumes(struct move *move)
{
    if (move->moves->stopped)
        return false;
    if (move->replica == NULL) {
        move_free(move);
        return false;
    }
    move->state = MOVE_READY;
    moves_soon(move->moves);
    return true;
}

// Before its turn comes, and though others are busy: whoever asked for the move waits for it.
static void on_made(struct log *log, enum status status, void *context)
{
    struct move *move = context;
    if (!move_resumes(move))
        return;
    move->made = status == ST_OK;
    if (move->made)
        wait_reached(&move->made_waits, MADE);
    else
        wait_fail(&move->made_waits, status);
}

static void move_make(struct move *move)
{
    move->state = MOVE_BUSY;
    log_truncate_fully(move->future, log_start_base(move->replica->log), on_made, move);
}

bool moves_await(struct replica *replica, struct wait *wait, wait_fn *wake, void *context)
{
    struct move *move = replica->move;
    if (move == NULL || move->made)
        return false;
    wait_add(&move->made_waits, wait, MADE, wake, context);
    return true;
}

static void on_changed(struct log *log, enum status status, void *context)
{
    (void)move_resumes(context); // if it failed the log is offline, and the next step sees that
}

// ---- that the copy is the log's beginning ----

static bool is_usable(const struct log *log)
{
    enum status status = log_status(log);
    return (status == ST_OK || status == ST_NO_SPACE) && !log_lost(log);
}

// How far the copy may agree with the log: within one leader epoch the same offset is the same record
// (KIP-101). What lies behind is cut, and the next look finds the epoch before it.
static int64_t common_end(const struct log *log, const struct log *copy)
{
    int64_t end = log_end(copy), own, other;
    int32_t last = log_last_epoch(copy), epoch;
    if (last < 0)
        return end;
    log_epoch_end(log, last, &epoch, &own);
    if (epoch < 0) { // the log was cut to an older epoch
        own = log_end(log);
        epoch = log_last_epoch(log);
    }
    if (epoch != last) {
        log_epoch_end(copy, epoch, &epoch, &other);
        own = other >= 0 && other < own ? other : own;
    }
    return own < end ? own : end;
}

static bool must_begin_anew(const struct move *move, const struct log *log)
{
    const struct log *copy = move->future;
    return move->anew || !log_has_files(copy) || log_start(copy) > log_start(log) ||
           log_end(copy) < log_start_base(log) || (log_last_epoch(log) < 0 && log_end(copy) != log_end(log));
}

// False: something was begun to make it so, and this step ends.
static bool move_fits(struct move *move)
{
    const struct log *log = move->replica->log;
    int64_t start = log_start(log), common = common_end(log, move->future);
    move->state = MOVE_BUSY;
    if (must_begin_anew(move, log)) {
        move->anew = false;
        log_truncate_fully(move->future, log_start_base(log), on_changed, move);
    } else if (common < log_end(move->future)) {
        log_truncate(move->future, common, on_changed, move);
    } else if (log_start(move->future) < start && start <= log_end(move->future)) {
        log_raise_start(move->future, start, on_changed, move);
    } else {
        move->state = MOVE_READY;
        return true;
    }
    return false;
}

// ---- copying ----

// Appends whole batches; those that do not fit in now are read again.
static void copy_take(struct move *move, struct slice bytes)
{
    struct block *block = block_copy(bytes);
    enum status status = block != NULL ? ST_OK : ST_NO_MEMORY;
    size_t at = 0;
    while (status == ST_OK && at < bytes.len) {
        struct batch_header header;
        status = batch_parse(slice_of(bytes.data + at, bytes.len - at), &header);
        if (status == ST_OK)
            status = log_append(move->future, block, at, batch_size(&header), &header);
        if (status == ST_OK)
            at += batch_size(&header);
    }
    block_unref(&block);
    throttle_charge(&move->moves->partitions->pace.moves, (int64_t)at, now_of(move));
    metric_inc(&move->moves->m_bytes, (int64_t)at);
    move->anew = status == ST_OUT_OF_RANGE || status == ST_STALE;
    if (status != ST_OK)
        move_rest(move, status == ST_LIMIT || status == ST_AGAIN ? SOON_US : REST_US);
    partitions_flush(move->moves->partitions);
}

static void copy_on_read(struct log *log, enum status status, struct piece *piece,
                         const struct log_found *found, void *context)
{
    struct move *move = context;
    if (move_resumes(move)) {
        bool current = move->replica->log == log;
        if (current && status == ST_OK && piece->len > 0)
            copy_take(move, slice_of(piece->data, piece->len));
        else if (current && (status == ST_CORRUPT || status == ST_IO))
            replica_damaged(move->replica, found->first, status);
        if (status != ST_OK && status != ST_AGAIN && status != ST_OUT_OF_RANGE)
            move_rest(move, REST_US);
    }
    if (piece != NULL)
        piece_release(piece);
}

static void copy_read(struct move *move)
{
    struct log *log = move->replica->log;
    int64_t from = log_end(move->future);
    bool paced = move->moves->partitions->pace.moves.rate != INT64_MAX;
    struct log_range range = {.from = from > log_start(log) ? from : log_start(log),
                              .up_to = log_end(log),
                              .max_bytes = paced ? PACED_BYTES : READ_BYTES,
                              .min_one = true};
    struct piece pieces[LOG_PIECES];
    struct log_found found;
    struct log_range in_memory = range;
    int count;
    in_memory.max_bytes = TAIL_READ_BYTES;
    enum status status = log_read(log, &in_memory, pieces, LOG_PIECES, &count, &found);
    if (status == ST_AGAIN || (status == ST_OK && count > 0 && pieces[0].file != NULL)) {
        move->state = MOVE_BUSY;
        log_read_async(log, &range, copy_on_read, move);
    } else if (status != ST_OK || count == 0) {
        move_rest(move, REST_US);
    }
    for (int i = 0; i < count; i++) {
        if (move->state == MOVE_READY && pieces[i].file == NULL)
            copy_take(move, slice_of(pieces[i].data, pieces[i].len));
        else if (move->state == MOVE_READY)
            break;
    }
    for (int i = 0; i < count; i++)
        piece_release(&pieces[i]);
}

static void copy_flush(struct move *move)
{
    move->state = MOVE_FLUSHING;
    move->again_us = now_of(move) + (move->hold_us != 0 ? HOLD_US_MAX : FLUSH_US);
    partitions_flush(move->moves->partitions);
}

// Of the replica's own log it is of interest at the end alone.
void moves_durable(struct replica *replica, const struct log *log)
{
    struct move *move = replica->move;
    if (move == NULL || move->state != MOVE_FLUSHING || (log == replica->log && move->hold_us == 0))
        return;
    move->state = MOVE_READY;
    moves_soon(move->moves);
}

// While appends are held no rate counts: what is missing is in memory.
static void move_copy(struct move *move)
{
    int64_t wait_us = throttle_wait_us(&move->moves->partitions->pace.moves, now_of(move));
    if (log_tail_bytes(move->future) > TAIL_BYTES_MAX)
        copy_flush(move);
    else if (wait_us > 0 && move->hold_us == 0)
        move_rest(move, wait_us < REST_US ? wait_us : REST_US); // there may be another rate by then
    else
        copy_read(move);
}

// ---- the end of a move ----

static void on_installed(struct log *log, enum status status, void *context)
{
    struct move *move = context;
    if (move_resumes(move))
        move->installed = status == ST_OK;
}

// A failed disk of the copy's directory is tried again (heal.c); until then the old log stays, and if the
// replica is gone meanwhile, the next start removes it.
static void on_decided(struct log *log, enum status status, void *context)
{
    struct move *move = context;
    struct moves *moves = move->moves;
    if (move->replica == NULL && status == ST_OK && !moves->stopped)
        partitions_drop_log(moves->partitions, move->old);
    if (!move_resumes(move) || status == ST_OK)
        return;
    move->next_dir = -1;
    wait_fail(&move->made_waits, status);
}

// From here on the copy is the replica's log. The old one stays until the reads that look at it are over.
static void move_exchange(struct move *move)
{
    struct replica *replica = move->replica;
    struct log *old = replica->log;
    DIAG_INFO(&env_of(move->moves)->diag, "moved to another directory partition=%s to=%s end=%" PRId64,
              replica_name(replica), log_set_path(log_owner_set(move->future)), log_end(old));
    move->state = MOVE_BUSY;
    log_promote(move->future, old, on_decided, move);
    log_note_high_watermark(move->future, replica->state.high_watermark);
    log_attach(old, NULL);
    replica->log = move->future;
    struct log_config config = replica_log_config(replica);
    log_configure(replica->log, &config);
    log_set_checkpoint(log_owner_set(replica->log), NULL, NULL); // what it took over is in no batch
    move->old = old;
    move->old_us = now_of(move);
    move_release(move);
    replica_durable(replica, ST_OK);
}

// No move of the start is under way: those who wait for its end are told by the log that makes it.
static bool is_quiet(const struct log *log)
{
    return log_start_saved(log) == log_start(log);
}

// What the log has and is not durable in its own directory would be missing after a crash before it is
// decided that the copy counts.
static void move_finish(struct move *move)
{
    const struct log *log = move->replica->log;
    if (!move->installed) {
        move->state = MOVE_BUSY;
        log_take_name(move->future, log, on_installed, move);
    } else if (log_flushed(log) < log_end(log)) {
        copy_flush(move);
    } else if (!is_quiet(log) || !is_quiet(move->future) || !uuid_is_zero(log_moved_from(log))) {
        move_rest(move, SOON_US);
    } else {
        move_exchange(move);
    }
}

// Nothing of the copy goes before it is the log, and all of it is durable then, whatever the topic says.
static struct log_config copy_config(const struct replica *replica)
{
    struct log_config config = replica_log_config(replica);
    config.deletes = config.compact = false;
    config.flush_before_ack = true;
    config.delete_delay_ms = 0; // its directory is to be renamed
    return config;
}

// What is read of the old log meanwhile is read again.
static void move_on(struct move *move)
{
    struct replica *replica = move->replica;
    struct moves *moves = move->moves;
    struct log_set *to = dirs_set(moves->partitions->options.dirs, move->next_dir);
    struct log_config config = copy_config(replica);
    partitions_drop_log(moves->partitions, move->old);
    move->old = NULL;
    move->next_dir = -1;
    bool there = log_owner_set(replica->log) == to;
    enum status status =
        there ? ST_OK
              : log_create_future(to, log_name(replica->log), replica->topic_id, &config, &move->future);
    if (there || status != ST_OK) {
        wait_fail(&move->made_waits, status);
        replica->move = NULL;
        move_free(move);
        return;
    }
    log_attach(move->future, replica);
    move->installed = move->anew = false;
    move_make(move);
}

static void move_retire(struct move *move)
{
    if (!log_is_decided(move->replica->log))
        move_rest(move, REST_US);
    else if (move->next_dir >= 0)
        move_on(move);
    else if (!log_is_read(move->old) || now_of(move) - move->old_us > RETIRE_US_MAX)
        move_end(move, move->old);
    else
        move_rest(move, SOON_US);
}

// ---- the steps ----

static bool is_active(const struct move *move)
{
    return move->state == MOVE_BUSY || move->state == MOVE_FLUSHING;
}

static void move_advance(struct move *move)
{
    const struct log *log = move->replica->log;
    if (!move_fits(move))
        return;
    if (move->installed && log_end(move->future) >= log_written(log))
        move_hold(move);
    if (log_end(move->future) < log_end(log))
        move_copy(move);
    else if (log_flushed(move->future) < log_end(move->future))
        copy_flush(move);
    else
        move_finish(move);
}

// Whether the move is active afterwards; it may be gone.
static bool move_step(struct move *move)
{
    struct replica *replica = move->replica;
    move->state = MOVE_READY;
    if (move->old != NULL) {
        move_retire(move);
        return false;
    }
    if (!is_usable(move->future)) {
        DIAG_ERROR(&env_of(move->moves)->diag, "cannot move to another directory partition=%s to=%s why=%s",
                   replica_name(replica), log_set_path(log_owner_set(move->future)),
                   status_text(log_status(move->future)));
        wait_fail(&move->made_waits, log_status(move->future));
        move_end(move, move->future);
        return false;
    }
    bool too_long = held_too_long(move);
    if (too_long || replica->log == NULL || !is_usable(replica->log) || replica->cutting) {
        move_release(move);
        move_rest(move, too_long ? HOLD_REST_US : REST_US);
    } else {
        move_advance(move);
    }
    return is_active(move);
}

static void moves_schedule(struct moves *moves, int active)
{
    int64_t now_us = env_now_us(env_of(moves)), next_us = INT64_MAX;
    for (const struct move *move = moves->first; move != NULL; move = move->next) {
        bool busy = move->state == MOVE_BUSY;
        if ((busy && move->hold_us == 0) || (move->state == MOVE_READY && active >= MOVES_AT_ONCE))
            continue;
        int64_t at_us = busy                        ? move->hold_us + HOLD_US_MAX
                        : move->state == MOVE_READY ? now_us
                                                    : move->again_us;
        next_us = at_us < next_us ? at_us : next_us;
    }
    if (next_us != INT64_MAX)
        timer_start_us(env_of(moves), &moves->timer, next_us > now_us ? next_us - now_us : 0);
}

// Steps of the first few that can do something; the others wait for their turn.
static void moves_fire(struct timer *timer)
{
    struct moves *moves = timer->context;
    int64_t now_us = env_now_us(env_of(moves));
    int active = 0;
    struct move *next;
    for (const struct move *move = moves->first; move != NULL; move = move->next)
        active += is_active(move);
    for (struct move *move = moves->first; move != NULL; move = next) {
        next = move->next;
        if (move->state == MOVE_BUSY && held_too_long(move))
            move_release(move); // what is under way takes its time
        bool waits = move->state == MOVE_BUSY || (move->state != MOVE_READY && move->again_us > now_us);
        if (waits || (active >= MOVES_AT_ONCE && !is_active(move)))
            continue;
        active -= is_active(move);
        active += move_step(move);
    }
    moves_schedule(moves, active);
}

// ---- beginning and end ----

enum status moves_request(struct replica *replica, int dir)
{
    const struct dirs *dirs = replica->partitions->options.dirs;
    struct log_set *to = dirs_set(dirs, dir);
    struct move *move = replica->move;
    if (!dirs_whole(dirs))
        return ST_IO;
    if (move != NULL && move->old != NULL && move->state == MOVE_BUSY) {
        move->next_dir = dir;
        move->made = false;
        return ST_OK;
    }
    if (move != NULL && (move->old != NULL || log_owner_set(move->future) != to))
        moves_give_up(replica);
    if (replica->move != NULL || log_owner_set(replica->log) == to)
        return ST_OK;
    struct log_config config = copy_config(replica);
    struct log *future;
    enum status status = log_create_future(to, log_name(replica->log), replica->topic_id, &config, &future);
    if (status == ST_OK)
        move_make(move_new(replica, future));
    return status;
}

// One whose log is in a directory that is missing now may be the only copy left: it is kept out of the way.
static void copy_found(struct moves *moves, struct log *future)
{
    struct partitions *partitions = moves->partitions;
    struct replica *replica = partitions_find(partitions, log_id(future), lost_index(log_name(future)));
    bool goes_on = replica != NULL && replica->log != NULL && replica->move == NULL && is_usable(future) &&
                   log_owner_set(replica->log) != log_owner_set(future);
    if (goes_on) {
        struct log_config config = copy_config(replica);
        log_configure(future, &config);
        move_new(replica, future)->made = true;
    } else if (replica != NULL && replica->missing) {
        partitions_keep_aside(partitions, future);
    } else {
        partitions_drop_log(partitions, future);
    }
}

void moves_start(struct moves *moves)
{
    const struct dirs *dirs = moves->partitions->options.dirs;
    struct log *next;
    for (int i = 0; i < dirs_count(dirs); i++) {
        struct log_set *set = dirs_set(dirs, i);
        for (struct log *log = set != NULL ? log_set_next_future(set, NULL) : NULL; log != NULL; log = next) {
            next = log_set_next_future(set, log);
            copy_found(moves, log);
        }
    }
}

void moves_stop(struct moves *moves)
{
    moves->stopped = true;
    timer_stop(env_of(moves), &moves->timer);
    for (struct move *move = moves->first; move != NULL; move = move->next)
        wait_fail(&move->made_waits, ST_CLOSED);
}

void moves_destroy(struct moves **pointer)
{
    struct moves *moves = *pointer;
    *pointer = NULL;
    moves_stop(moves);
    while (moves->first != NULL)
        move_free(moves->first);
    metric_remove(env_of(moves)->metrics, &moves->m_count);
    metric_remove(env_of(moves)->metrics, &moves->m_bytes);
    map_fini(&moves->preferred);
    mem_free(moves);
}

const struct log *moves_future(const struct replica *replica)
{
    const struct move *move = replica->move;
    return move != NULL && move->old == NULL ? move->future : NULL;
}

// ---- replicas to come ----

void moves_prefer(struct moves *moves, struct uuid topic, int32_t index, int dir)
{
    uint8_t key[PARTITIONS_KEY_SIZE];
    map_put(&moves->preferred, partitions_key(key, topic, index), (void *)(intptr_t)(dir + 1));
}

int moves_preferred(const struct moves *moves, struct uuid topic, int32_t index)
{
    uint8_t key[PARTITIONS_KEY_SIZE];
    return (int)(intptr_t)map_get(&moves->preferred, partitions_key(key, topic, index)) - 1;
}

void moves_unprefer(struct moves *moves, struct uuid topic, int32_t index)
{
    uint8_t key[PARTITIONS_KEY_SIZE];
    map_remove(&moves->preferred, partitions_key(key, topic, index));
}

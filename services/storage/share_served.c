// SPDX-License-Identifier: Apache-2.0
// See share_served.h. share_start.c has the beginning: reading what is kept, and where a group begins.
#include "share_served.h"

#include "base/assert.h"
#include "base/mem.h"
#include "dead_letters.h"
#include "frame.h"
#include "kafka/messages/write_share_group_state.h"
#include "partitions.h"
#include "share_groups.h"
#include "share_start.h"
#include "share_state.h"

typedef struct kafka_write_share_group_state_request write_request;
typedef struct kafka_write_share_group_state_response write_response;

enum {
    WRITE_VERSION = 1,
    ANSWER_ARENA = 64 << 10,
    PAUSE_MS = 200, // a write that failed is not made again before
    KEPT_MS = 5000  // ... nor are dead letters
};

// A write under way, or in line behind it.
struct share_written {
    struct share_write write;
    struct share_waiter *waiter; // NULL: nobody waits (any more)
    bool buried;                 // its dead letters are delivered
    struct share_written *next;
};

static void on_lock(struct timer *timer);
static void on_again(struct timer *timer);

// ---- life ----

struct share_served *share_served_new(struct share_groups *groups, struct slice group, struct block *name,
                                      const struct replica *replica)
{
    struct share_served *served = mem_calloc(1, sizeof *served);
    served->groups = groups;
    served->name = block_ref(name);
    served->group = mem_strndup((const char *)group.data, group.len);
    served->topic = replica->topic_id;
    served->index = replica->index;
    served->leader_epoch = replica->state.leader_epoch;
    timer_init(&served->lock, on_lock, served);
    timer_init(&served->again, on_again, served);
    share_start_read(served);
    return served;
}

// The waiter hears the first error when it waits for neither of its writes any more.
static void tell_waiter(struct share_written *written, int16_t error)
{
    struct share_waiter *waiter = written->waiter;
    if (waiter == NULL)
        return;
    written->waiter = NULL;
    *(waiter->written == written ? &waiter->written : &waiter->dying) = NULL;
    waiter->error = waiter->error != KAFKA_ERR_NONE ? waiter->error : error;
    if (waiter->written == NULL && waiter->dying == NULL)
        waiter->done(waiter, waiter->error);
}

static void end_written(struct share_written *written, int16_t error)
{
    tell_waiter(written, error);
    share_write_fini(&written->write);
    mem_free(written);
}

void share_waiter_cancel(struct share_waiter *waiter)
{
    if (waiter->written != NULL)
        waiter->written->waiter = NULL;
    if (waiter->dying != NULL)
        waiter->dying->waiter = NULL;
    waiter->written = waiter->dying = NULL;
}

static struct share_written *take(struct share_written **first, struct share_written **last)
{
    struct share_written *written = *first;
    *first = written->next;
    if (*first == NULL)
        *last = NULL;
    written->next = NULL;
    return written;
}

static struct share_written *take_first(struct share_served *served)
{
    served->pending--;
    return take(&served->first, &served->last);
}

static struct share_written *take_dying(struct share_served *served)
{
    served->pending--;
    return take(&served->dying, &served->last_dying);
}

void share_served_destroy(struct share_served **pointer, enum status status)
{
    struct share_served *served = *pointer;
    *pointer = NULL;
    timer_stop(share_groups_env(served->groups), &served->lock);
    timer_stop(share_groups_env(served->groups), &served->again);
    relay_cancel(&served->relay);
    dead_letters_cancel(&served->letters);
    share_start_cancel(served);
    while (served->first != NULL)
        end_written(take_first(served), KAFKA_ERR_NOT_LEADER_OR_FOLLOWER);
    while (served->dying != NULL)
        end_written(take_dying(served), KAFKA_ERR_NOT_LEADER_OR_FOLLOWER);
    wait_fail(&served->waits, status);
    if (served->state >= SHARE_STARTING)
        share_partition_fini(&served->partition);
    block_unref(&served->name);
    mem_free(served->group);
    mem_free(served);
}

bool share_served_current(const struct share_served *served, const struct replica *replica)
{
    return replica != NULL && replica->state.role == PARTITION_LEADER &&
           replica->state.leader_epoch == served->leader_epoch;
}

bool share_served_quiet(const struct share_served *served)
{
    return served->state == SHARE_READY && served->first == NULL && served->dying == NULL &&
           served->relay == NULL && served->waits.first == NULL;
}

// ---- the clock ----

static void set_clock(struct share_served *served)
{
    struct env *env = share_groups_env(served->groups);
    int64_t deadline_ms = share_partition_deadline(&served->partition);
    timer_stop(env, &served->lock);
    if (deadline_ms == INT64_MAX)
        return;
    int64_t left_us = deadline_ms * 1000 - env_now_us(env);
    timer_start_us(env, &served->lock, left_us > 0 ? left_us : 0);
}

void share_served_acquired(struct share_served *served)
{
    set_clock(served);
}

// Somebody may find something now.
static void wake(struct share_served *served)
{
    if (served->state == SHARE_READY && share_partition_room(&served->partition))
        wait_reached(&served->waits, 0);
}

void share_served_init(struct share_served *served, int64_t start)
{
    struct share_limits limits = share_groups_limits(served->groups, served->group);
    share_partition_init(&served->partition, &limits, start, env_random(share_groups_env(served->groups)));
}

void share_served_ready(struct share_served *served)
{
    served->state = SHARE_READY;
    wake(served);
}

// ---- writing ----

static void write_next(struct share_served *served);
static void put_back(struct share_served *served, struct share_written *written, int16_t error);

static int64_t now_ms(const struct share_served *served)
{
    return env_now_us(share_groups_env(served->groups)) / 1000;
}

static int16_t error_in(struct block *response)
{
    struct arena arena;
    write_response answer;
    int16_t error = KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    arena_init(&arena, ANSWER_ARENA);
    if (frame_decode(kafka_api(KAFKA_API_WRITE_SHARE_GROUP_STATE), WRITE_VERSION, response, &arena,
                     &answer) == ST_OK &&
        answer.results_count == 1 && answer.results[0].partitions_count == 1)
        error = answer.results[0].partitions[0].error_code;
    arena_fini(&arena);
    return error;
}

// Whether somebody else is in charge: a later leader, a start that was set anew, or the group is deleted.
static bool fenced(int16_t error)
{
    return error == KAFKA_ERR_FENCED_LEADER_EPOCH || error == KAFKA_ERR_FENCED_STATE_EPOCH ||
           error == KAFKA_ERR_INVALID_REQUEST || error == KAFKA_ERR_RECORD_LIST_TOO_LARGE;
}

// The write is made, or not before kept_ms.
static void settle(struct share_served *served, const struct share_write *write, int64_t kept_ms)
{
    const int64_t numbers[] = {write->number, write->dead_number};
    for (int i = 0; i < 2; i++) {
        if (numbers[i] == 0)
            continue;
        if (kept_ms == 0)
            share_partition_written(&served->partition, numbers[i]);
        else
            share_partition_kept(&served->partition, numbers[i], now_ms(served) + kept_ms);
    }
}

static void on_written(void *context, enum status status, struct block *response)
{
    struct share_served *served = context;
    served->relay = NULL;
    int16_t error = status == ST_OK ? error_in(response) : KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    if (fenced(error)) {
        share_groups_drop(served, ST_STALE);
        return;
    }
    struct share_written *written = take_first(served);
    if (error != KAFKA_ERR_NONE && written->buried) {
        put_back(served, written, error);
        return;
    }
    if (error == KAFKA_ERR_NONE)
        share_groups_over(served->groups, &written->write);
    // A lock that has ended would be written about again at once.
    settle(served, &written->write, error == KAFKA_ERR_NONE ? 0 : PAUSE_MS);
    if (served->state == SHARE_STARTING && error != KAFKA_ERR_NONE) {
        end_written(written, error);
        share_groups_drop(served, ST_LOADING);
        return;
    }
    served->state = SHARE_READY;
    set_clock(served);
    write_next(served);
    end_written(written, error);
    wake(served); // last: whoever is woken may have it dropped
}

// The request for the first write in line; NULL when memory is short.
static struct block *frame_of(const struct share_served *served)
{
    const struct share_write *write = &served->first->write;
    struct kafka_write_share_group_state_request_state_batch *batches =
        mem_calloc(write->count + 1, sizeof *batches);
    for (size_t i = 0; i < write->count; i++) {
        batches[i].first_offset = write->batches[i].first;
        batches[i].last_offset = write->batches[i].last;
        batches[i].delivery_state = (int8_t)write->batches[i].fate.state;
        batches[i].delivery_count = write->batches[i].fate.deliveries;
    }
    struct kafka_write_share_group_state_request_partition_data partition = {
        .partition = served->index,
        .state_epoch = served->state_epoch,
        .leader_epoch = served->leader_epoch,
        .start_offset = write->start_offset,
        .delivery_complete_count = write->delivery_complete,
        .state_batches = batches,
        .state_batches_count = (int32_t)write->count};
    struct kafka_write_share_group_state_request_write_state_data topic = {
        .topic_id = served->topic, .partitions = &partition, .partitions_count = 1};
    write_request request = {.group_id = slice_str(served->group), .topics = &topic, .topics_count = 1};
    struct block *frame =
        frame_encode(kafka_api(KAFKA_API_WRITE_SHARE_GROUP_STATE), WRITE_VERSION, NULL, &request);
    mem_free(batches);
    return frame;
}

static void add(struct share_written **first, struct share_written **last, struct share_written *written)
{
    *(*last != NULL ? &(*last)->next : first) = written;
    *last = written;
}

static bool wanted(const struct share_served *served, const struct share_write *write)
{
    return dead_letters_wanted(share_groups_office(served->groups), served->group, write);
}

static void bury_next(struct share_served *served);

// The dead letters of the first dying write could not be delivered: its records stay with who has them.
static void keep_dying(struct share_served *served, const char *trouble)
{
    struct share_written *written = take_dying(served);
    served->dead_tried_us = env_now_us(share_groups_env(served->groups));
    served->dead_trouble = trouble;
    settle(served, &written->write, KEPT_MS);
    set_clock(served);
    end_written(written, KAFKA_ERR_COORDINATOR_NOT_AVAILABLE);
}

// They are delivered, or not wanted any more: now it may be written that the records are over.
static void pass_dying(struct share_served *served)
{
    struct share_written *written = take_dying(served);
    share_write_finish(&served->partition, &written->write);
    add(&served->first, &served->last, written);
    served->pending++;
    write_next(served);
}

static void on_letters(void *context, enum status status, const char *trouble)
{
    struct share_served *served = context;
    served->letters = NULL;
    if (share_groups_replica(served) == NULL) { // the next leader buries what may not be buried yet
        share_groups_drop(served, ST_NOT_LEADER);
        return;
    }
    if (status != ST_OK && wanted(served, &served->dying->write)) {
        keep_dying(served, trouble);
    } else {
        served->dead_trouble = NULL;
        served->dying->buried = status == ST_OK;
        pass_dying(served);
    }
    bury_next(served);
}

// What is buried could not be written. Were its records kept like others, their letters would be delivered
// again with every try: it goes back in line, behind those that wait for theirs, and only the writing is
// repeated. Who waits is not held up by that.
static void put_back(struct share_served *served, struct share_written *written, int16_t error)
{
    add(&served->dying, &served->last_dying, written);
    served->pending++;
    write_next(served);
    bury_next(served);
    tell_waiter(written, error);
}

static void on_again(struct timer *timer)
{
    struct share_served *served = timer->context;
    while (served->dying != NULL && served->dying->buried)
        pass_dying(served);
    bury_next(served);
}

// What is given up goes to the dead-letter topic before it is over; other writes do not wait for it.
static void bury_next(struct share_served *served)
{
    if (served->dying == NULL || served->letters != NULL)
        return;
    if (served->dying->buried) {
        if (!timer_running(&served->again))
            timer_start_ms(share_groups_env(served->groups), &served->again, PAUSE_MS);
        return;
    }
    struct dead_letters_options options = {.office = share_groups_office(served->groups),
                                           .topic = served->topic,
                                           .index = served->index,
                                           .group = served->group,
                                           .write = &served->dying->write,
                                           .done = on_letters,
                                           .context = served};
    served->letters = dead_letters_begin(&options);
}

static void write_next(struct share_served *served)
{
    if (served->first == NULL || served->relay != NULL)
        return;
    if (served->first == served->lapsed) {
        share_partition_waiting(&served->partition, &served->first->write);
        served->lapsed = NULL;
    }
    struct block *frame = frame_of(served);
    ASSERT(frame != NULL); // batches are at most twice the records on their way
    served->relay = share_groups_ask(served, frame, on_written);
    block_unref(&frame);
}

// Takes over the write's batches.
static struct share_written *new_written(struct share_served *served, struct share_write *write_take)
{
    struct share_written *written = mem_calloc(1, sizeof *written);
    written->write = *write_take;
    share_write_init(write_take);
    served->pending++;
    return written;
}

// Takes over the write's batches. What is given up waits for its dead letters, if it has to, and nothing else
// does. The waiter (NULL: none) waits for both.
static void put_in_line(struct share_served *served, struct share_write *write_take,
                        struct share_waiter *waiter)
{
    struct share_waiter nobody = {0}, *who = waiter != NULL ? waiter : &nobody;
    if (wanted(served, write_take)) {
        struct share_write dead;
        share_write_split(write_take, &dead);
        share_write_finish(&served->partition, write_take); // without the dead
        who->dying = new_written(served, &dead);
        who->dying->waiter = waiter;
        add(&served->dying, &served->last_dying, who->dying);
        bury_next(served);
        if (write_take->count == 0)
            return;
    }
    who->written = new_written(served, write_take);
    who->written->waiter = waiter;
    add(&served->first, &served->last, who->written);
}

void share_served_begin(struct share_served *served, int64_t start)
{
    struct share_write write;
    share_write_init(&write);
    write.start_offset = start;
    share_served_init(served, start);
    served->state = SHARE_STARTING;
    put_in_line(served, &write, NULL);
    write_next(served);
}

// ---- what members do ----

int16_t share_served_acknowledge(struct share_served *served, struct slice member,
                                 const struct share_ack *acks, size_t count, struct share_waiter *waiter,
                                 bool *waits)
{
    struct share_write write;
    share_write_init(&write);
    *waits = false;
    int16_t error =
        share_partition_acknowledge(&served->partition, member, acks, count, now_ms(served), &write);
    if (error == KAFKA_ERR_NONE && (write.number > 0 || write.dead_number > 0)) {
        waiter->error = KAFKA_ERR_NONE;
#ifndef PLANTED_SHARE_ANSWERED_UNWRITTEN
        *waits = true;
        put_in_line(served, &write, waiter);
#else
        put_in_line(served, &write, NULL);
#endif
        write_next(served);
    }
    share_write_fini(&write);
    set_clock(served);
    return error;
}

void share_served_release(struct share_served *served, struct slice member)
{
    struct share_write write;
    if (served->state != SHARE_READY)
        return;
    share_write_init(&write);
    share_partition_release(&served->partition, member, &write);
    if (write.number > 0)
        put_in_line(served, &write, NULL);
    share_write_fini(&write);
    write_next(served);
}

// What a lock's end changes counts whether it is written or not: a new leader finds the records available
// anyway, only how often they were delivered is known better when it is. One write in line is enough for all
// locks that end before its turn, however long the share coordinator is away: it tells what waits then.
static void lapse(struct share_served *served, struct share_write *write)
{
    struct share_write dead;
    share_write_split(write, &dead);
    if (write->count > 0 && served->lapsed == NULL) {
        put_in_line(served, write, NULL);
        served->lapsed = served->last;
    }
    if (dead.count > 0)
        put_in_line(served, &dead, NULL);
    share_write_fini(&dead);
}

static void on_lock(struct timer *timer)
{
    struct share_served *served = timer->context;
    struct share_write write;
    share_write_init(&write);
    served->partition.limits = share_groups_limits(served->groups, served->group);
    share_partition_expire(&served->partition, now_ms(served), &write);
    share_groups_expired(served->groups, &write);
    lapse(served, &write);
    share_write_fini(&write);
    set_clock(served);
    write_next(served);
    wake(served);
}

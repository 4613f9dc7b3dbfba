// SPDX-License-Identifier: Apache-2.0
// Who is watched, and when groups are measured. See lag.h.
#include "base/assert.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "lag_state.h"

enum {
    GROUP_ROWS_MAX = 10000, // of one group: it is gone through in one turn of the loop
    TURN_ROWS = 500,        // gone through before others have their turn
    FRESH_US = 100000,      // a look finds what is younger good enough, unless the group has committed since
    KEY_MAX = 4 + 32767
};

// ---- rows ----

struct slice lag_topic(const struct lag_row *row)
{
    return slice_of(row->topic, row->topic_len);
}

static struct slice row_key(uint8_t key[KEY_MAX], struct slice topic, int32_t partition)
{
    store_be32(key, (uint32_t)partition);
    memcpy(key + 4, topic.data, topic.len);
    return slice_of(key, 4 + topic.len);
}

static struct lag_row *row_new(struct lag_group *group, struct slice key, struct slice topic,
                               int32_t partition)
{
    struct lag_row *row = mem_calloc(1, sizeof *row + topic.len);
    row->group = group;
    row->partition = partition;
    row->status = ST_AGAIN;
    row->figures = lag_figures_none();
    row->committed = row->complete = row->acquired = row->available = LAG_UNKNOWN;
    row->topic_len = topic.len;
    memcpy(row->topic, topic.data, topic.len);
    map_put(&group->rows, key, row);
    group->lag->row_count++;
    return row;
}

// Taken out of the group's map already.
static void row_free(struct lag_row *row)
{
    lag_unask(row);
    lag_unshow(row);
    row->group->lag->row_count--;
    mem_free(row);
}

struct lag_row *lag_row_of(struct lag_group *group, struct slice topic, int32_t partition)
{
    const struct lag *lag = group->lag;
    uint8_t key[KEY_MAX];
    if (topic.len > KEY_MAX - 4)
        return NULL;
    struct slice name = row_key(key, topic, partition);
    struct lag_row *row = map_get(&group->rows, name);
    if (row != NULL)
        return row;
    bool full =
        group->rows.count >= GROUP_ROWS_MAX || lag->row_count >= (size_t)lag->options.settings.partitions_max;
    return full ? NULL : row_new(group, name, topic, partition);
}

static void drop_gone_rows(struct lag_group *group)
{
    struct slice key;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->rows, &at, &key, &value);) {
        struct lag_row *row = value;
        if (row->pass == group->pass)
            continue;
        map_remove(&group->rows, key);
        row_free(row);
    }
}

// ---- groups ----

static struct lag_group *group_watch(struct lag *lag, struct shard_group *cell)
{
    struct lag_group *group = mem_calloc(1, sizeof *group);
    group->lag = lag;
    group->cell = cell;
    group->measured_us = -1;
    group->touched_us = env_now_us(lag->env);
    map_init(&group->rows, 0);
    group->previous = lag->last;
    *(lag->last != NULL ? &lag->last->next : &lag->first) = group;
    lag->last = group;
    lag->group_count++;
    cell->lag = group;
    return group;
}

static void tell_waits(struct lag_group *group)
{
    while (group->waits != NULL) {
        struct lag_wait *wait = group->waits;
        group->waits = wait->next;
        wait->group = NULL;
        wait->done(wait->context);
    }
}

void lag_forget(struct lag_group **pointer)
{
    struct lag_group *group = *pointer;
    if (group == NULL)
        return;
    struct lag *lag = group->lag;
    *pointer = NULL;
    share_round_cancel(&group->asking);
    group->pass++;
    drop_gone_rows(group);
    map_fini(&group->rows);
    if (lag->cursor == group)
        lag->cursor = group->next;
    *(group->previous != NULL ? &group->previous->next : &lag->first) = group->next;
    *(group->next != NULL ? &group->next->previous : &lag->last) = group->previous;
    lag->group_count--;
    tell_waits(group);
    mem_free(group);
}

// Whether there is room for another group; counts when not.
static bool has_room(struct lag *lag)
{
    if (lag->row_count < (size_t)lag->options.settings.partitions_max)
        return true;
    metric_inc(&lag->refused, 1);
    return false;
}

void lag_committed(struct lag *lag, struct shard_group *cell, int64_t commit_ms)
{
    if (lag == NULL)
        return;
    if (cell->lag != NULL) {
        cell->lag->touched_us = env_now_us(lag->env);
        cell->lag->changed = true;
    } else if (env_wall_ms(lag->env) - commit_ms < lag->options.settings.idle_ms && has_room(lag)) {
        group_watch(lag, cell);
    }
}

// Whether there is anything to measure.
static bool reads_any(const struct shard_group *cell)
{
    return cell->share != NULL ? share_group_initialized(cell->share)->count > 0 : cell->offsets.count > 0;
}

void lag_noticed(struct lag *lag, struct shard_group *cell)
{
    if (lag != NULL && cell->lag == NULL && reads_any(cell) && shard_group_members(cell) > 0 && has_room(lag))
        group_watch(lag, cell);
}

// ---- measuring ----

static void measure(struct lag_group *group, bool front);

static void group_measured(struct lag_group *group)
{
    bool again = group->again;
    group->again = false;
    group->measured_us = env_now_us(group->lag->env);
    if (again)
        measure(group, true);
    if (group->open == 0)
        tell_waits(group);
}

void lag_group_step(struct lag_group *group)
{
    ASSERT(group->open > 0);
    if (--group->open == 0)
        group_measured(group);
}

// One offset of a group: true when somebody will be asked about it.
static bool row_begin(struct lag_group *group, struct slice topic, int32_t partition,
                      const struct offset_commit *commit, bool front)
{
    struct lag_row *row = lag_row_of(group, topic, partition);
    if (row == NULL) {
        group->left_out++;
        return false;
    }
    row->pass = group->pass;
    row->committed = commit->offset;
    row->commit_ms = commit->commit_ms;
    row->asked_us = env_now_us(group->lag->env);
    return lag_ask(row, front);
}

static void ask_offsets(struct lag_group *group, bool front)
{
    const struct offsets *offsets = &group->cell->offsets;
    struct slice name;
    const struct offsets_topic *topic;
    struct offset_commit commit;
    int32_t partition;
    for (struct map_entry *at = NULL; offsets_next_topic(offsets, &at, &name, &topic);)
        for (struct map_entry *in = NULL; offsets_next(topic, &in, &partition, &commit);)
            group->open += row_begin(group, name, partition, &commit, front);
}

// Asks about everything the group reads; front: before other groups.
static void measure(struct lag_group *group, bool front)
{
    if (group->open > 0)
        return; // it is being measured
    group->pass++;
    group->left_out = 0;
    group->changed = false;
    if (group->cell->share != NULL)
        lag_share_measure(group, front);
    else
        ask_offsets(group, front);
    drop_gone_rows(group);
    if (group->open == 0)
        group_measured(group);
}

static bool idle(const struct lag_group *group)
{
    int64_t since_us = env_now_us(group->lag->env) - group->touched_us;
    return shard_group_members(group->cell) == 0 && group->waits == NULL &&
           since_us / 1000 >= group->lag->options.settings.idle_ms;
}

// Measures groups from the cursor on until others should have their turn; false: the round is over.
static bool round_step(struct lag *lag)
{
    size_t rows = 0;
    while (lag->cursor != NULL && rows < TURN_ROWS) {
        struct lag_group *group = lag->cursor;
        lag->cursor = group->next;
        if (idle(group)) {
            lag_forget(&group->cell->lag);
            continue;
        }
        rows += 1 + group->cell->offsets.count + group->rows.count;
        measure(group, false);
    }
    lag_send(lag);
    return lag->cursor != NULL;
}

static void on_round(struct timer *timer)
{
    struct lag *lag = timer->context;
    if (lag->cursor == NULL)
        lag->cursor = lag->first;
    bool more = round_step(lag);
    if (!more)
        lag_show(lag);
    timer_start_ms(lag->env, &lag->round, more ? 0 : lag->options.settings.interval_ms);
}

// ---- looking ----

enum status lag_look(struct lag *lag, struct shard_group *cell, struct lag_wait *wait,
                     void (*done)(void *context), void *context)
{
    int64_t now_us = env_now_us(lag->env);
    struct lag_group *group = cell->lag != NULL ? cell->lag : group_watch(lag, cell);
    group->touched_us = now_us;
    bool young = group->measured_us >= 0 && now_us - group->measured_us < FRESH_US;
    bool changed = group->changed || cell->share != NULL; // share groups move without a word to us
    if (group->open == 0 && young && !changed)
        return ST_OK;
    group->again = group->again || (group->open > 0 && changed);
    measure(group, true);
    lag_send(lag);
    if (group->open == 0)
        return ST_OK;
    *wait = (struct lag_wait){.group = group, .done = done, .context = context, .next = group->waits};
    group->waits = wait;
    return ST_AGAIN;
}

void lag_wait_cancel(struct lag_wait *wait)
{
    if (wait->group == NULL)
        return;
    struct lag_wait **at = &wait->group->waits;
    while (*at != wait)
        at = &(*at)->next;
    *at = wait->next;
    wait->group = NULL;
}

int64_t lag_measured_ms(const struct lag_group *group)
{
    return group->measured_us < 0 ? LAG_UNKNOWN : (env_now_us(group->lag->env) - group->measured_us) / 1000;
}

size_t lag_left_out(const struct lag_group *group)
{
    return group->left_out;
}

void lag_row_view(const struct lag_row *row, struct lag_view *view)
{
    const struct lag_figures *figures = &row->figures;
    int64_t oldest = row->committed > figures->newest.start ? row->committed : figures->newest.start;
    bool has_time = row->has_time && row->dated == oldest;
    *view = (struct lag_view){
        .topic = lag_topic(row),
        .partition = row->partition,
        .status = row->status,
        .committed = row->committed,
        .commit_ms = row->commit_ms,
        .records = lag_records(figures),
        .age_ms = lag_age_ms(figures, has_time, row->timestamp, env_wall_ms(row->group->lag->env)),
        .drain_ms = lag_drain_ms(figures),
        .start = figures->known ? figures->newest.start : LAG_UNKNOWN,
        .end = figures->known ? figures->newest.end : LAG_UNKNOWN,
        .stable = figures->known ? figures->newest.stable : LAG_UNKNOWN,
        .commit_rate = figures->commit_rate,
        .produce_rate = figures->produce_rate,
        .complete = row->complete,
        .acquired = row->acquired,
        .available = row->available,
    };
}

bool lag_next(const struct lag_group *group, struct map_entry **cursor, struct lag_view *view)
{
    void *row;
    if (!map_next(&group->rows, cursor, NULL, &row))
        return false;
    lag_row_view(row, view);
    return true;
}

// The longer of two times to drain: never, not known, then the larger.
static int64_t longer(int64_t a, int64_t b)
{
    if (a == LAG_NEVER || b == LAG_NEVER)
        return LAG_NEVER;
    if (a == LAG_UNKNOWN || b == LAG_UNKNOWN)
        return LAG_UNKNOWN;
    return a > b ? a : b;
}

struct lag_total lag_total(const struct lag_group *group)
{
    struct lag_total total = {.records = LAG_UNKNOWN, .age_ms_max = LAG_UNKNOWN};
    if (group->rows.count == 0)
        total.drain_ms_max = LAG_UNKNOWN;
    struct lag_view view;
    for (struct map_entry *at = NULL; lag_next(group, &at, &view);) {
        total.partitions++;
        total.drain_ms_max = longer(total.drain_ms_max, view.drain_ms);
        if (view.records >= 0)
            total.records = (total.records >= 0 ? total.records : 0) + view.records;
        if (view.age_ms > total.age_ms_max)
            total.age_ms_max = view.age_ms;
    }
    return total;
}

// ---- life ----

struct lag *lag_new(const struct lag_options *options)
{
    struct lag *lag = mem_calloc(1, sizeof *lag);
    lag->options = *options;
    lag->env = options->env;
    map_init(&lag->nodes, 0);
    lag_metrics_start(lag);
    timer_init(&lag->round, on_round, lag);
    timer_start_ms(lag->env, &lag->round, options->settings.interval_ms);
    return lag;
}

void lag_destroy(struct lag **pointer)
{
    struct lag *lag = *pointer;
    *pointer = NULL;
    ASSERT(lag->first == NULL && lag->row_count == 0);
    timer_stop(lag->env, &lag->round);
    lag_metrics_stop(lag);
    lag_nodes_free(lag);
    map_fini(&lag->nodes);
    mem_free(lag->shown);
    mem_free(lag);
}

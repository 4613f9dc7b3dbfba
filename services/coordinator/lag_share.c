// SPDX-License-Identifier: Apache-2.0
// Where share groups are (KIP-932). The leader of a partition knows while a member reads it, and is asked
// with the rest; at other times the share coordinator does, and then nothing moves: it is asked first, for a
// row that is new, looked at, or has not been asked about for a while. See lag_state.h.
#include "base/mem.h"
#include "lag_state.h"

enum { ASK_MS = 2000, KEPT_US = 60000000 };

// Whether the share coordinator should be asked where the group is.
static bool stale(const struct lag_row *row, bool front)
{
    if (row->kept_us == 0 || (front && !row->served))
        return true;
    return !row->served && env_now_us(row->group->lag->env) - row->kept_us > KEPT_US;
}

static void ask_leaders(struct lag_group *group)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->rows, &at, NULL, &value);) {
        struct lag_row *row = value;
        if (row->pass != group->pass)
            continue; // not read any more: it is about to be dropped, and nobody would be told of an answer
        row->commit_ms = LAG_UNKNOWN;
        row->asked_us = env_now_us(group->lag->env);
        group->open += lag_ask(row, group->front);
    }
}

static void take_kept(struct lag_group *group, const struct share_round_item *item)
{
    const struct image_topic *topic = image_topic(group->lag->options.image, item->part.topic);
    if (topic == NULL || item->error != KAFKA_ERR_NONE)
        return;
    struct lag_row *row = lag_row_of(group, slice_str(topic->name), item->part.index);
    if (row == NULL)
        return;
    row->kept_us = env_now_us(group->lag->env);
    row->committed = item->start;
    row->complete = item->complete;
}

static void on_kept(void *context, struct share_round_item *items, size_t count)
{
    struct lag_group *group = context;
    struct lag *lag = group->lag;
    group->asking = NULL;
    for (size_t i = 0; i < count; i++)
        take_kept(group, &items[i]);
    ask_leaders(group);
    lag_group_step(group);
    lag_send(lag);
}

static void ask_kept(struct lag_group *group, const struct share_round_item *items, size_t count)
{
    struct share_round_options options = {.peers = group->lag->options.peers,
                                          .question = SHARE_ASK_SUMMARY,
                                          .group = group_id(group->cell->group),
                                          .timeout_ms = ASK_MS,
                                          .done = on_kept,
                                          .context = group};
    group->asking = share_round_begin(&options, items, count);
    group->open++;
}

// The row of a partition; NULL: it is gone, or there are too many.
static struct lag_row *row_for(struct lag_group *group, const struct parts_item *part)
{
    const struct image_topic *topic = image_topic(group->lag->options.image, part->topic);
    if (topic == NULL)
        return NULL;
    struct lag_row *row = lag_row_of(group, slice_str(topic->name), part->index);
    group->left_out += row == NULL;
    if (row != NULL)
        row->pass = group->pass;
    return row;
}

void lag_share_measure(struct lag_group *group, bool front)
{
    const struct parts *parts = share_group_initialized(group->cell->share);
    struct share_round_item *items = mem_calloc(parts->count + 1, sizeof *items);
    size_t count = 0;
    group->front = front;
    if (share_group_size(group->cell->share) > 0)
        group->touched_us = env_now_us(group->lag->env);
    for (size_t i = 0; i < parts->count; i++) {
        const struct lag_row *row = row_for(group, &parts->items[i]);
        if (row != NULL && stale(row, front))
            items[count++] = (struct share_round_item){.part = parts->items[i], .start = LAG_UNKNOWN};
    }
    if (count > 0)
        ask_kept(group, items, count);
    else
        ask_leaders(group);
    mem_free(items);
}

void lag_share_take(struct lag_row *row, const Millrace__Position *position)
{
    bool served = position->has_share_start;
    if (row->served && !served) { // its last session has ended: what is kept is not known
        row->kept_us = 0;
        row->group->again = true;
    }
    row->served = served;
    row->acquired = served ? position->share_acquired : LAG_UNKNOWN;
    row->available = served ? position->share_available : LAG_UNKNOWN;
    if (!served)
        return;
    row->kept_us = env_now_us(row->group->lag->env);
    row->committed = position->share_start;
    row->complete = position->share_complete;
}

// SPDX-License-Identifier: Apache-2.0
// See share_asks.h.
#include "share_asks.h"

#include "coordinator_state.h"

enum { ASK_MS = 5000 }; // less than any client waits

struct share_asks {
    struct coordinator_request *request;
    struct share_ask *first;
    int32_t open;
    bool ends_asked;
};

struct share_asks *share_asks_of(const struct coordinator_request *request)
{
    return request->parked_in;
}

struct share_asks *share_asks_new(struct coordinator_request *request)
{
    struct share_asks *asks = arena_calloc(&request->arena, 1, sizeof *asks);
    if (asks != NULL)
        asks->request = request;
    return asks;
}

static void on_answered(void *context, struct share_round_item *items, size_t count)
{
    struct share_ask *ask = context;
    struct share_asks *asks = ask->asks;
    ask->round = NULL;
    for (size_t i = 0; i < count; i++)
        ask->items[i] = items[i];
    if (--asks->open == 0)
        request_run_again(asks->request);
}

bool share_asks_add(struct share_asks *asks, enum share_question question, struct slice group,
                    int32_t state_epoch, const struct parts *parts, const int64_t *starts)
{
    struct share_ask *ask = arena_calloc(&asks->request->arena, 1, sizeof *ask);
    struct share_round_item *items = arena_calloc(&asks->request->arena, parts->count + 1, sizeof *items);
    if (ask == NULL || items == NULL)
        return false;
    for (size_t i = 0; i < parts->count; i++)
        items[i] =
            (struct share_round_item){.part = parts->items[i], .start = starts != NULL ? starts[i] : -1};
    *ask = (struct share_ask){
        .group = group, .items = items, .count = parts->count, .asks = asks, .next = asks->first};
    struct share_round_options options = {.peers = &asks->request->coordinator->share_peers,
                                          .question = question,
                                          .group = group,
                                          .state_epoch = state_epoch,
                                          .timeout_ms = ASK_MS,
                                          .done = on_answered,
                                          .context = ask};
    ask->round = share_round_begin(&options, items, parts->count);
    asks->first = ask;
    asks->open++;
    return true;
}

bool share_asks_any(const struct share_asks *asks)
{
    return asks->first != NULL;
}

static void on_dropped(struct coordinator_request *request)
{
    struct share_asks *asks = request->parked_in;
    for (struct share_ask *ask = asks->first; ask != NULL; ask = ask->next)
        share_round_cancel(&ask->round);
    for (struct share_ask *ask = asks->first; ask != NULL; ask = ask->next)
        share_ends_cancel(&ask->ends);
}

void share_asks_park(struct share_asks *asks)
{
    request_park_for(asks->request, on_dropped, asks);
}

static void on_ends(void *context)
{
    struct share_ask *ask = context;
    ask->ends = NULL;
    if (--ask->asks->open == 0)
        request_run_again(ask->asks->request);
}

bool share_asks_ends(struct share_asks *asks)
{
    struct coordinator *coordinator = asks->request->coordinator;
    if (asks->ends_asked)
        return false;
    asks->ends_asked = true;
    for (struct share_ask *ask = asks->first; ask != NULL; ask = ask->next) {
        struct share_ends_options options = {.rpc = coordinator->rpc,
                                             .image = coordinator->image,
                                             .storages = &coordinator->storages,
                                             .done = on_ends,
                                             .context = ask};
        ask->ends = share_ends_begin(&options, ask->items, ask->count);
        asks->open += ask->ends != NULL;
    }
    if (asks->open > 0)
        share_asks_park(asks);
    return asks->open > 0;
}

const struct share_ask *share_asks_find(const struct share_asks *asks, struct slice group)
{
    const struct share_ask *ask = asks->first;
    while (ask != NULL && !slice_equal(ask->group, group))
        ask = ask->next;
    return ask;
}

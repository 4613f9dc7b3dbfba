// SPDX-License-Identifier: Apache-2.0
// See refused.h. Kept with the connection from its first refusal on.
#include "refused.h"

#include "base/mem.h"
#include "kafka/errors.h"

enum {
    ROWS = 8, // producers of one connection: one, or the few of a proxy
    LATELY_US = 300000000,
    REPEAT_US = 60000000
};

struct refused {
    struct refused_row {
        int64_t producer_id;
        int64_t at_us; // 0: empty
        int16_t error;
    } rows[ROWS];
};

static struct refused_row *find(struct refused *refused, int64_t producer_id)
{
    for (int i = 0; refused != NULL && i < ROWS; i++)
        if (refused->rows[i].producer_id == producer_id && refused->rows[i].at_us != 0)
            return &refused->rows[i];
    return NULL;
}

static struct refused_row *oldest(struct refused *refused)
{
    struct refused_row *row = &refused->rows[0];
    for (int i = 1; i < ROWS; i++)
        if (refused->rows[i].at_us < row->at_us)
            row = &refused->rows[i];
    return row;
}

void refused_note(struct conn_peer *peer, struct env *env, int64_t producer_id, int16_t error)
{
    if (peer->user == NULL)
        peer->user = mem_calloc(1, sizeof(struct refused));
    struct refused_row *row = find(peer->user, producer_id);
    if (row == NULL)
        row = oldest(peer->user);
    *row = (struct refused_row){.producer_id = producer_id, .at_us = env_now_us(env), .error = error};
}

bool refused_lately(const struct conn_peer *peer, struct env *env, int64_t producer_id)
{
    const struct refused_row *row = find(peer->user, producer_id);
    return row != NULL && env_now_us(env) - row->at_us < LATELY_US;
}

bool refused_to_repeat(const struct conn_peer *peer, struct env *env, int64_t producer_id)
{
    const struct refused_row *row = find(peer->user, producer_id);
    return row != NULL && kafka_error_retriable(row->error) && env_now_us(env) - row->at_us < REPEAT_US;
}

void refused_forget(struct conn_peer *peer, void *context)
{
    mem_free(peer->user);
    peer->user = NULL;
}

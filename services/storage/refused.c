// SPDX-License-Identifier: Apache-2.0
// See refused.h. Kept with the connection from its first refusal on.
#include "refused.h"

#include "base/mem.h"

enum {
    ROWS = 8,             // producers of one connection: one, or the few of a proxy
    LATELY_US = 300000000 // longer than a request is under way
};

struct refused {
    struct {
        int64_t producer_id;
        int64_t at_us; // 0: empty
    } rows[ROWS];
};

void refused_note(struct conn_peer *peer, struct env *env, int64_t producer_id)
{
    if (peer->user == NULL)
        peer->user = mem_calloc(1, sizeof(struct refused));
    struct refused *refused = peer->user;
    int to = 0;
    for (int i = 0; i < ROWS; i++) {
        if (refused->rows[i].producer_id == producer_id && refused->rows[i].at_us != 0) {
            to = i;
            break;
        }
        if (refused->rows[i].at_us < refused->rows[to].at_us)
            to = i;
    }
    refused->rows[to].producer_id = producer_id;
    refused->rows[to].at_us = env_now_us(env);
}

bool refused_lately(const struct conn_peer *peer, struct env *env, int64_t producer_id)
{
    const struct refused *refused = peer->user;
    for (int i = 0; refused != NULL && i < ROWS; i++)
        if (refused->rows[i].producer_id == producer_id && refused->rows[i].at_us != 0)
            return env_now_us(env) - refused->rows[i].at_us < LATELY_US;
    return false;
}

void refused_forget(struct conn_peer *peer, void *context)
{
    mem_free(peer->user);
    peer->user = NULL;
}

// SPDX-License-Identifier: Apache-2.0
// See late.h.
#include "late.h"

enum { DELAY_MS_MAX = 1500, PAUSE_MS_MAX = 100 };

static struct late *of(struct actor *actor)
{
    return (struct late *)actor;
}

// Takes down a request to be sent in a while. Half of them come soon, so that some meet their own
// transaction.
static void take(struct late *late)
{
    struct actor *actor = &late->actor;
    late->whose = (int)prng_below(&actor->prng, TRANSACTORS);
    late->kind = (enum txn_kind)prng_below(&actor->prng, TXN_KINDS);
    late->request = late->transactors[late->whose].sent[late->kind];
    late->port = late->transactors[late->whose].leader_port;
    bool soon = prng_below(&actor->prng, 2) == 0;
    actor_again(actor, (int64_t)prng_below(&actor->prng, soon ? 50 : DELAY_MS_MAX));
}

static void on_answer(struct actor *actor, const struct conn_answer *answer)
{
    if (answer != NULL)
        world_count(actor->history->world, COUNT_late_request);
    of(actor)->request.sent = false;
    actor_again(actor, (int64_t)prng_below(&actor->prng, PAUSE_MS_MAX));
}

static bool harmless(const struct late *late)
{
    const struct transactor *owner = &late->transactors[late->whose];
    return late->request.new_flow || owner->producer_epoch != late->request.producer_epoch;
}

static void late_step(struct actor *actor)
{
    struct late *late = of(actor);
    if (actor->busy)
        return;
    int any = actor->port != 0 ? actor->port : actor_any_port(actor);
    int port = late->kind == TXN_PRODUCE ? late->port : any;
    if (!late->request.sent || port == 0 || !harmless(late))
        take(late);
    else if (actor_link(actor, port))
        txn_request_send(actor, late->kind, &late->request, on_answer);
}

void late_init(struct late *late, struct env *env, struct history *history,
               const struct transactor *transactors)
{
    *late = (struct late){.transactors = transactors};
    actor_init(&late->actor, env, history, late_step);
}

// SPDX-License-Identifier: Apache-2.0
// See actor.h.
#include "actor.h"

enum { RETRY_MS = 20, PATIENCE_MS = 8000 };

static void actor_fire(struct timer *timer)
{
    struct actor *actor = timer->context;
    if (actor->broken && actor->client != NULL) {
        conn_client_destroy(&actor->client);
        actor->port = 0;
    }
    actor->broken = false;
    if (!actor->stopped && !history_failed(actor->history))
        actor->step(actor);
}

void actor_init(struct actor *actor, struct env *env, struct history *history, actor_step_fn *step)
{
    *actor = (struct actor){.env = env,
                            .history = history,
                            .prng = {env_random(env)},
                            .step = step,
                            .patience_ms = PATIENCE_MS};
    timer_init(&actor->timer, actor_fire, actor);
}

void actor_again(struct actor *actor, int64_t delay_ms)
{
    timer_start_ms(actor->env, &actor->timer, delay_ms);
}

int actor_any_port(struct actor *actor)
{
    return actor->ports[prng_below(&actor->prng, (uint64_t)actor->port_count)];
}

static void on_ready(enum status status, void *context)
{
    struct actor *actor = context;
    actor->busy = false;
    actor->broken = status != ST_OK;
    actor_again(actor, status == ST_OK ? 0 : RETRY_MS);
}

bool actor_link(struct actor *actor, int port)
{
    if (actor->client != NULL && actor->port == port && conn_client_ready(actor->client))
        return true;
    if (actor->client != NULL)
        conn_client_destroy(&actor->client);
    struct conn_client_config config = conn_client_config_default();
    config.client_id = "sim";
    config.connect_timeout_ms = 1000;
    actor->port = port;
    actor->busy = true;
    actor->client = conn_client_new(actor->env, &config, "127.0.0.1", port, on_ready, actor);
    return false;
}

static void on_answer(enum status status, const struct conn_answer *answer, void *context)
{
    struct actor *actor = context;
    actor->busy = false;
    if (status == ST_CANCELLED)
        return;
    actor->broken = status != ST_OK;
    actor->answer(actor, status == ST_OK ? answer : NULL);
}

void actor_call(struct actor *actor, int16_t api, int16_t version, const void *body, actor_answer_fn *answer)
{
    actor->answer = answer;
    actor->busy = true;
    if (conn_client_call(actor->client, api, version, body, actor->patience_ms, on_answer, actor) == ST_OK)
        return;
    actor->busy = false;
    actor->broken = true;
    actor_again(actor, RETRY_MS);
}

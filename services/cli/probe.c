// SPDX-License-Identifier: Apache-2.0
// The probe behind `millrace up`'s "ready": one storage node after the other is asked for Metadata over the
// Kafka protocol, until each names as many brokers as were started and a controller. See probe.h.
#include "probe.h"

#include "base/mem.h"
#include "conn/client.h"
#include "kafka/api.h"
#include "kafka/codec.h"
#include "kafka/messages/metadata.h"

enum { AGAIN_MS = 3, ANSWER_MS = 1000 };

struct probe {
    struct env *env;
    const struct cluster *cluster;
    void (*on_done)(void *context);
    void *context;
    size_t at; // daemon being asked
    int storages;
    struct conn_client *client;
    bool client_bad; // to be dropped outside its own callbacks
    struct timer again;
};

static void on_ready(enum status status, void *context);

static void probe_later(struct probe *probe)
{
    timer_start_ms(probe->env, &probe->again, AGAIN_MS);
}

static bool answer_good(const struct probe *probe, const struct kafka_metadata_response *body)
{
    return body->brokers_count >= probe->storages && body->controller_id >= 0;
}

static void on_metadata(enum status status, const struct conn_answer *answer, void *context)
{
    struct probe *probe = context;
    if (status == ST_CANCELLED)
        return;
    probe->client_bad = status != ST_OK;
    if (status == ST_OK && answer_good(probe, answer->body)) {
        probe->at++;
        probe->client_bad = true; // done with this node
        timer_start_ms(probe->env, &probe->again, 0);
        return;
    }
    probe_later(probe);
}

static void metadata_ask(struct probe *probe)
{
    struct kafka_metadata_request request;
    kafka_defaults(&kafka_metadata_request_message, &request);
    request.topics = NULL;
    request.topics_count = 0; // brokers only
    enum status status =
        conn_client_call(probe->client, KAFKA_API_METADATA, -1, &request, ANSWER_MS, on_metadata, probe);
    if (status != ST_OK) {
        probe->client_bad = true;
        probe_later(probe);
    }
}

static void on_ready(enum status status, void *context)
{
    struct probe *probe = context;
    if (status == ST_CANCELLED)
        return;
    if (status == ST_OK) {
        metadata_ask(probe);
        return;
    }
    probe->client_bad = true;
    probe_later(probe);
}

static void on_again(struct timer *timer)
{
    struct probe *probe = timer->context;
    const struct cluster *cluster = probe->cluster;
    if (probe->client != NULL && probe->client_bad)
        conn_client_destroy(&probe->client);
    while (probe->at < cluster->count && cluster->daemons[probe->at].kafka_port == 0)
        probe->at++;
    if (probe->at == cluster->count) {
        probe->on_done(probe->context);
        return;
    }
    if (probe->client != NULL) {
        metadata_ask(probe);
        return;
    }
    struct conn_client_config config = conn_client_config_default();
    config.client_id = "millrace-up";
    config.connect_timeout_ms = ANSWER_MS;
    probe->client_bad = false;
    probe->client = conn_client_new(probe->env, &config, "127.0.0.1", cluster->daemons[probe->at].kafka_port,
                                    on_ready, probe);
}

struct probe *probe_new(struct env *env, const struct cluster *cluster, void (*on_done)(void *context),
                        void *context)
{
    struct probe *probe = mem_calloc(1, sizeof *probe);
    *probe = (struct probe){.env = env, .cluster = cluster, .on_done = on_done, .context = context};
    for (size_t i = 0; i < cluster->count; i++)
        probe->storages += cluster->daemons[i].kafka_port != 0;
    timer_init(&probe->again, on_again, probe);
    timer_start_ms(env, &probe->again, 0);
    return probe;
}

void probe_destroy(struct probe **probe)
{
    if (*probe == NULL)
        return;
    timer_stop((*probe)->env, &(*probe)->again);
    if ((*probe)->client != NULL)
        conn_client_destroy(&(*probe)->client);
    mem_free(*probe);
    *probe = NULL;
}

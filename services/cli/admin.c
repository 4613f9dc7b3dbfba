// SPDX-License-Identifier: Apache-2.0
// See admin.h.
#include "admin.h"

#include "base/assert.h"
#include "base/config.h"
#include "base/mem.h"
#include "io/env_posix.h"
#include "kafka/errors.h"
#include "kafka/messages/describe_cluster.h"
#include "kafka/messages/find_coordinator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODES_MAX = 1024, PAUSE_MS = 50, CONNECT_MS = 5000, TIMEOUT_S = 30 };

struct node {
    int32_t id;
    char host[256];
    int port;
    struct conn_client *client;
};

struct admin {
    struct env *env;
    struct arena arena;
    int64_t until_ms;
    struct node bootstrap; // id ADMIN_ANY_NODE
    struct node nodes[NODES_MAX];
    int node_count;
};

const char *admin_bootstrap(const struct admin_options *options)
{
    const char *set = getenv("MILLRACE_BOOTSTRAP");
    if (options->bootstrap != NULL)
        return options->bootstrap;
    return set != NULL && *set != '\0' ? set : "127.0.0.1:9092";
}

struct arena *admin_arena(struct admin *admin)
{
    return &admin->arena;
}

// ---- commands ----

enum cli_exit admin_command(const struct admin_command *command, int argc, char **argv)
{
    struct cli_arg args[ADMIN_ARGS_OWN_MAX + 3];
    const struct cli_arg common[] = {ADMIN_ARGS(*command->options)};
    ASSERT(command->count <= ADMIN_ARGS_OWN_MAX && sizeof common == 3 * sizeof *common);
    if (command->count > 0)
        memcpy(args, command->args, command->count * sizeof *args);
    memcpy(args + command->count, common, sizeof common);
    const struct cli_usage usage = {.line = command->line,
                                    .help = command->help,
                                    .args = args,
                                    .count = command->count + 3,
                                    .positional_min = command->positional_min,
                                    .positional_max = command->positional_max};
    struct cli_many positional = {0};
    struct admin *admin;
    enum cli_exit code;
    command->options->timeout_s = TIMEOUT_S;
    if (!cli_args(&usage, argc, argv, &positional, &code))
        return code;
    code = command->check != NULL ? command->check(&positional, command->context) : CLI_DONE;
    if (code == CLI_DONE)
        code = admin_open(command->options, &admin);
    if (code != CLI_DONE)
        return code;
    code = command->run(admin, &positional, command->context);
    admin_close(&admin);
    return code;
}

// ---- connections ----

static enum status node_connect(struct admin *admin, struct node *node)
{
    struct conn_client_config config = conn_client_config_default();
    int64_t left_ms = admin->until_ms - env_now_ms(admin->env);
    config.client_id = "millrace";
    config.connect_timeout_ms = left_ms < 1 ? 1 : left_ms < CONNECT_MS ? left_ms : CONNECT_MS;
    return conn_client_connect_wait(admin->env, &config, node->host, node->port, &node->client);
}

static void pause_loop(struct admin *admin, int64_t pause_ms)
{
    int64_t until_ms = env_now_ms(admin->env) + pause_ms;
    while (env_now_ms(admin->env) < until_ms)
        env_posix_turn(admin->env, (until_ms - env_now_ms(admin->env)) * 1000);
}

static bool time_left(struct admin *admin)
{
    return env_now_ms(admin->env) < admin->until_ms;
}

static enum cli_exit bootstrap_connect(struct admin *admin, const char *list)
{
    char *text = mem_strdup(list), *rest = NULL;
    enum status status = ST_INVALID;
    enum cli_exit code = CLI_DONE;
    for (char *item = strtok_r(text, ",", &rest); item != NULL && status != ST_OK;
         item = strtok_r(NULL, ",", &rest)) {
        if (config_address(item, NULL, admin->bootstrap.host, &admin->bootstrap.port) != ST_OK) {
            code = cli_fail(CLI_USAGE, "--bootstrap: '%s' is not host:port", item);
            break;
        }
        status = node_connect(admin, &admin->bootstrap);
    }
    if (code == CLI_DONE && status != ST_OK)
        code = cli_fail(CLI_ABSENT, "no broker answers at %s (%s); is the cluster up?", list,
                        status_text(status));
    mem_free(text);
    return code;
}

enum cli_exit admin_open(const struct admin_options *options, struct admin **out)
{
    struct admin *admin = mem_calloc(1, sizeof *admin);
    arena_init(&admin->arena, ADMIN_ANSWERS_MAX);
    admin->bootstrap.id = ADMIN_ANY_NODE;
    enum status status = env_posix_new("millrace", 1, &admin->env);
    if (status != ST_OK) {
        arena_fini(&admin->arena);
        mem_free(admin);
        return cli_fail(CLI_FAILED, "cannot start: %s", status_text(status));
    }
    admin->env->diag.level = DIAG_ERROR;
    admin->until_ms = env_now_ms(admin->env) + options->timeout_s * 1000;
    *out = admin;
    enum cli_exit code = bootstrap_connect(admin, admin_bootstrap(options));
    if (code != CLI_DONE)
        admin_close(out);
    return code;
}

void admin_close(struct admin **out)
{
    struct admin *admin = *out;
    if (admin == NULL)
        return;
    for (int i = 0; i < admin->node_count; i++)
        if (admin->nodes[i].client != NULL)
            conn_client_destroy(&admin->nodes[i].client);
    if (admin->bootstrap.client != NULL)
        conn_client_destroy(&admin->bootstrap.client);
    env_posix_destroy(&admin->env);
    arena_fini(&admin->arena);
    mem_free(admin);
    *out = NULL;
}

static struct node *node_find(struct admin *admin, int32_t id)
{
    if (id == ADMIN_ANY_NODE)
        return &admin->bootstrap;
    for (int i = 0; i < admin->node_count; i++)
        if (admin->nodes[i].id == id)
            return &admin->nodes[i];
    return NULL;
}

static void node_learn(struct admin *admin, int32_t id, struct slice host, int32_t port)
{
    struct node *node = node_find(admin, id);
    if (id < 0 || host.len >= sizeof node->host || (node == NULL && admin->node_count == NODES_MAX))
        return;
    if (node == NULL)
        node = &admin->nodes[admin->node_count++];
    node->id = id;
    node->port = port;
    memcpy(node->host, host.data, host.len);
    node->host[host.len] = '\0';
}

// A ready connection to the node, or NULL after status says why.
static struct conn_client *node_client(struct admin *admin, struct node *node, enum status *status)
{
    *status = ST_OK;
    if (node->client != NULL && conn_client_ready(node->client))
        return node->client;
    if (node->client != NULL)
        conn_client_destroy(&node->client);
    *status = node_connect(admin, node);
    return *status == ST_OK ? node->client : NULL;
}

int16_t admin_version(struct admin *admin, int32_t id, int16_t api, int16_t version_max)
{
    enum status status;
    struct node *node = node_find(admin, id);
    struct conn_client *client = node != NULL ? node_client(admin, node, &status) : NULL;
    return client != NULL ? conn_client_version(client, api, version_max) : -1;
}

// ---- calls ----

enum cli_exit admin_call(struct admin *admin, int32_t id, int16_t api, int16_t version_max,
                         const void *request, const void **response)
{
    struct node *node = node_find(admin, id);
    enum status status = ST_NOT_FOUND;
    if (node == NULL)
        return cli_fail(CLI_FAILED, "the cluster names no broker %d", id);
    do {
        struct conn_client *client = node_client(admin, node, &status);
        if (client == NULL) {
            pause_loop(admin, PAUSE_MS);
            continue;
        }
        int16_t version = conn_client_version(client, api, version_max);
        if (version < 0)
            return cli_fail(CLI_FAILED, "the broker does not offer %s", kafka_api(api)->name);
        int64_t left_ms = admin->until_ms - env_now_ms(admin->env);
        status = conn_client_call_wait(client, api, version, request, left_ms > 0 ? left_ms : 1,
                                       &admin->arena, response);
        if (status == ST_OK)
            return CLI_DONE;
        if (!status_retriable(status))
            break;
        pause_loop(admin, PAUSE_MS);
    } while (time_left(admin));
    return cli_fail(status == ST_TIMEOUT || status_retriable(status) ? CLI_TIMEOUT : CLI_FAILED,
                    "%s at %s:%d: %s", kafka_api(api)->name, node->host, node->port, status_text(status));
}

bool admin_again(struct admin *admin, int16_t error)
{
    if (!kafka_error_retriable(error) || !time_left(admin))
        return false;
    pause_loop(admin, PAUSE_MS);
    return true;
}

enum cli_exit admin_refused(const char *what, struct slice name, int16_t error, struct slice message)
{
    struct slice text = message.len > 0 ? message : slice_str(kafka_error_text(error));
    return cli_fail(error == KAFKA_ERR_REQUEST_TIMED_OUT ? CLI_TIMEOUT : CLI_FAILED, "%s %.*s: %.*s (%s)",
                    what, (int)name.len, (const char *)name.data, (int)text.len, (const char *)text.data,
                    kafka_error_name(error));
}

static bool is_live(const struct kafka_describe_cluster_response *cluster, int32_t node)
{
    for (int i = 0; i < cluster->brokers_count; i++)
        if (cluster->brokers[i].broker_id == node)
            return true;
    return false;
}

// Metadata goes on naming a broker for a while after it has gone; who asks every broker would wait for it.
static enum cli_exit drop_gone(struct admin *admin, struct kafka_metadata_response *metadata)
{
    struct kafka_describe_cluster_request request;
    const void *body;
    if (admin_version(admin, ADMIN_ANY_NODE, KAFKA_API_DESCRIBE_CLUSTER, -1) < 0)
        return CLI_DONE;
    kafka_defaults(&kafka_describe_cluster_request_message, &request);
    enum cli_exit code = admin_call(admin, ADMIN_ANY_NODE, KAFKA_API_DESCRIBE_CLUSTER, -1, &request, &body);
    const struct kafka_describe_cluster_response *cluster = body;
    if (code != CLI_DONE || cluster->error_code != 0)
        return code;
    int kept = 0;
    for (int i = 0; i < metadata->brokers_count; i++)
        if (is_live(cluster, metadata->brokers[i].node_id))
            metadata->brokers[kept++] = metadata->brokers[i];
    metadata->brokers_count = kept;
    return CLI_DONE;
}

enum cli_exit admin_metadata(struct admin *admin, const struct slice *topics, int count,
                             const struct kafka_metadata_response **response)
{
    struct kafka_metadata_request request;
    const void *body;
    kafka_defaults(&kafka_metadata_request_message, &request);
    request.allow_auto_topic_creation = false;
    request.topics_count = topics != NULL ? count : -1;
    if (topics != NULL) {
        request.topics =
            kafka_structure_array(&kafka_metadata_request_metadata_request_topic_type, &admin->arena, count);
        for (int i = 0; i < count; i++)
            request.topics[i].name = topics[i];
    }
    enum cli_exit code = admin_call(admin, ADMIN_ANY_NODE, KAFKA_API_METADATA, -1, &request, &body);
    if (code != CLI_DONE)
        return code;
    *response = body;
    code = drop_gone(admin, (struct kafka_metadata_response *)(uintptr_t)body); // it lies in our arena
    for (int i = 0; i < (*response)->brokers_count; i++)
        node_learn(admin, (*response)->brokers[i].node_id, (*response)->brokers[i].host,
                   (*response)->brokers[i].port);
    return code;
}

enum cli_exit admin_coordinator(struct admin *admin, const char *group, int32_t *node)
{
    return admin_coordinator_of(admin, 0, group, node);
}

// Whether it answers. A broker that has gone is named for a while, and then another; and who cannot be
// reached must not be taken for an older one without the APIs that are asked for next. When the time is over
// the next call says so.
static bool reached(struct admin *admin, int32_t id)
{
    enum status status;
    struct node *node = node_find(admin, id);
    if (node == NULL || node_client(admin, node, &status) != NULL || !time_left(admin))
        return true;
    pause_loop(admin, PAUSE_MS);
    return false;
}

enum cli_exit admin_coordinator_of(struct admin *admin, int8_t key_type, const char *name, int32_t *node)
{
    for (;;) {
        struct kafka_find_coordinator_request request;
        const struct kafka_find_coordinator_response *response;
        const void *body;
        struct slice key = slice_str(name);
        if (!reached(admin, ADMIN_ANY_NODE))
            continue;
        kafka_defaults(&kafka_find_coordinator_request_message, &request);
        request.key_type = key_type;
        request.key = key;
        if (admin_version(admin, ADMIN_ANY_NODE, KAFKA_API_FIND_COORDINATOR, -1) >= 4) {
            request.key = slice_str("");
            request.coordinator_keys = &key;
            request.coordinator_keys_count = 1;
        }
        enum cli_exit code =
            admin_call(admin, ADMIN_ANY_NODE, KAFKA_API_FIND_COORDINATOR, -1, &request, &body);
        if (code != CLI_DONE)
            return code;
        response = body;
        bool batched = response->coordinators_count > 0;
        int16_t error = batched ? response->coordinators[0].error_code : response->error_code;
        if (error == 0) {
            *node = batched ? response->coordinators[0].node_id : response->node_id;
            node_learn(admin, *node, batched ? response->coordinators[0].host : response->host,
                       batched ? response->coordinators[0].port : response->port);
            if (!reached(admin, *node))
                continue;
            return CLI_DONE;
        }
        if (!admin_again(admin, error))
            return admin_refused("coordinator of", key, error, slice_of(NULL, 0));
    }
}

enum cli_exit admin_delete_each(struct admin *admin, const struct cli_many *names,
                                const struct admin_options *options,
                                enum cli_exit (*delete_one)(struct admin *admin, const char *name))
{
    enum cli_exit code = CLI_DONE;
    for (int i = 0; code == CLI_DONE && i < names->count; i++) {
        code = delete_one(admin, names->items[i]);
        if (code == CLI_DONE && !options->json)
            printf("deleted %s\n", names->items[i]);
    }
    if (code == CLI_DONE && options->json)
        printf("{\"deleted\":%d}\n", names->count);
    return code;
}

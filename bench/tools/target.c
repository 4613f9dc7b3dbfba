// SPDX-License-Identifier: Apache-2.0
// Leaders by Metadata over conn/client, everything else with plain sockets; see target.h.
#include "target.h"

#include "base/config.h"
#include "conn/client.h"
#include "io/env_posix.h"
#include "kafka/api.h"
#include "kafka/codec.h"
#include "kafka/messages/metadata.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    METADATA_MS = 30000,
    METADATA_VERSION_MAX = 9, // topics by name
    AGAIN_US = 20000,
    ARENA_MAX = 256 << 20,
};

int64_t target_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void target_fail(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    exit(1);
}

const char *target_text(char **argv, const char *name, const char *fallback)
{
    size_t len = strlen(name);
    for (; *argv != NULL; argv++)
        if (strncmp(*argv, name, len) == 0 && (*argv)[len] == '=')
            return *argv + len + 1;
    return fallback;
}

int64_t target_number(char **argv, const char *name, int64_t fallback)
{
    const char *text = target_text(argv, name, NULL);
    return text == NULL ? fallback : strtoll(text, NULL, 10);
}

// ---- leaders ----

static int node_index(struct target *target, const struct kafka_metadata_response *response, int32_t id)
{
    for (int i = 0; i < target->node_count; i++)
        if (target->nodes[i].id == id)
            return i;
    for (int i = 0; i < response->brokers_count && target->node_count < TARGET_NODES_MAX; i++) {
        const struct kafka_metadata_response_metadata_response_broker *broker = &response->brokers[i];
        if (broker->node_id != id)
            continue;
        struct target_node *node = &target->nodes[target->node_count];
        snprintf(node->host, sizeof node->host, "%.*s", (int)broker->host.len,
                 (const char *)broker->host.data);
        node->port = broker->port;
        node->id = id;
        return target->node_count++;
    }
    return -1;
}

// Whether the answer names a leader for every partition; fills the target.
static int leaders_take(struct target *target, const struct kafka_metadata_response *response, int32_t wanted)
{
    if (response->topics_count != 1 || response->topics[0].error_code != 0)
        return 0;
    int32_t count = response->topics[0].partitions_count;
    if (count < 1 || count < wanted)
        return 0;
    target->partitions = wanted > 0 ? wanted : count;
    free(target->leader);
    target->leader = calloc((size_t)target->partitions, 1);
    int32_t known = 0;
    for (int32_t i = 0; i < count; i++) {
        int32_t partition = response->topics[0].partitions[i].partition_index;
        int node = node_index(target, response, response->topics[0].partitions[i].leader_id);
        if (partition < 0 || partition >= target->partitions || node < 0)
            continue;
        target->leader[partition] = (uint8_t)node;
        known++;
    }
    return known == target->partitions;
}

static int leaders_ask(struct target *target, struct conn_client *client, int32_t wanted)
{
    struct arena arena;
    struct kafka_metadata_request request;
    struct kafka_metadata_request_metadata_request_topic topic;
    const void *body;
    kafka_defaults(&kafka_metadata_request_message, &request);
    kafka_structure_defaults(&kafka_metadata_request_metadata_request_topic_type, &topic);
    topic.name = slice_str(target->topic);
    request.topics = &topic;
    request.topics_count = 1;
    arena_init(&arena, ARENA_MAX);
    int16_t version = conn_client_version(client, KAFKA_API_METADATA, METADATA_VERSION_MAX);
    int whole = conn_client_call_wait(client, KAFKA_API_METADATA, version, &request, METADATA_MS, &arena,
                                      &body) == ST_OK &&
                leaders_take(target, body, wanted);
    arena_fini(&arena);
    return whole;
}

void target_find(struct target *target, const char *bootstrap, const char *topic, int32_t partitions,
                 int limit_s)
{
    char host[256];
    int port;
    struct env *env;
    struct conn_client *client = NULL;
    struct conn_client_config config = conn_client_config_default();
    *target = (struct target){.topic = topic};
    if (config_address(bootstrap, NULL, host, &port) != ST_OK || env_posix_new("target", 1, &env) != ST_OK)
        target_fail("no address: %s", bootstrap);
    env->diag.level = DIAG_ERROR;
    int64_t until_us = target_now_us() + (int64_t)limit_s * 1000000;
    for (;;) {
        if (client == NULL && conn_client_connect_wait(env, &config, host, port, &client) != ST_OK)
            client = NULL;
        if (client != NULL && leaders_ask(target, client, partitions))
            break;
        if (client != NULL && !conn_client_ready(client))
            conn_client_destroy(&client);
        if (target_now_us() > until_us)
            target_fail("%s: not all partitions have a leader after %d s", topic, limit_s);
        usleep(AGAIN_US);
    }
    conn_client_destroy(&client);
    env_posix_destroy(&env);
}

int target_connect(const struct target *target, int node)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)target->nodes[node].port)};
    if (inet_pton(AF_INET, target->nodes[node].host, &address.sin_addr) != 1)
        target_fail("no numeric address: %s", target->nodes[node].host);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        target_fail("%s:%d: %s", target->nodes[node].host, target->nodes[node].port, strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return fd;
}

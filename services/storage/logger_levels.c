// SPDX-License-Identifier: Apache-2.0
// See logger_levels.h. Rules and words as in Kafka 4.2 (ConfigAdminManager, RuntimeLoggerManager); a request
// that names loggers together with other resources goes to the controller, which refuses the loggers.
#include "logger_levels.h"

#include "cluster/image.h"
#include "kafka/messages/incremental_alter_configs.h"
#include "relay_apis.h"
#include "storage.h"

#include <stdio.h>

typedef struct kafka_incremental_alter_configs_request_alter_configs_resource asked_resource;
typedef struct kafka_incremental_alter_configs_request_alterable_config change;
typedef struct kafka_incremental_alter_configs_response_alter_configs_resource_response result;

enum operation_kind { OP_SET, OP_DELETE };

// Log4j's names; ours are fewer.
static const struct {
    const char *text;
    enum diag_level level;
} levels[] = {{"DEBUG", DIAG_DEBUG}, {"INFO", DIAG_INFO},   {"WARN", DIAG_WARN},
              {"ERROR", DIAG_ERROR}, {"TRACE", DIAG_DEBUG}, {"FATAL", DIAG_ERROR}};

const char *logger_level_text(const struct storage *storage)
{
    return levels[diag_level(&storage_env(storage)->diag)].text;
}

static bool level_of(struct slice text, enum diag_level *level)
{
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        *level = levels[i].level;
        if (slice_is(text, levels[i].text))
            return true;
    }
    return false;
}

static bool refuse(result *out, int16_t error, const char *why)
{
    out->error_code = error;
    out->error_message = slice_str(why);
    return false;
}

static bool names_node(struct storage_request *request, const asked_resource *asked, result *out)
{
    char own[16];
    struct slice name = asked->resource_name;
    struct arena *arena = &request->arena;
    int len = name.len < 100 ? (int)name.len : 100;
    snprintf(own, sizeof own, "%d", storage_node_id(request->storage));
    if (!authorise(&request->principal, OPERATION_ALTER_CONFIGS, RESOURCE_TYPE_CLUSTER,
                   slice_str(RESOURCE_CLUSTER_NAME)))
        return refuse(out, KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED, "Cluster authorization failed.");
    if (name.len == 0 || name.data[0] < '0' || name.data[0] > '9')
        return refuse(
            out, KAFKA_ERR_INVALID_REQUEST,
            arena_printf(arena, "Node id must be an integer, but it is: %.*s", len, (const char *)name.data));
    return slice_is(name, own) ||
           refuse(out, KAFKA_ERR_INVALID_REQUEST,
                  arena_printf(arena, "Unexpected node id. Expected %s, but received %.*s", own, len,
                               (const char *)name.data));
}

static bool change_check(struct storage_request *request, const change *asked, enum diag_level *level,
                         result *out)
{
    struct arena *arena = &request->arena;
    int len = asked->name.len < 100 ? (int)asked->name.len : 100;
    int value_len = asked->value.len < 40 ? (int)asked->value.len : 40;
    if (asked->config_operation != OP_SET && asked->config_operation != OP_DELETE)
        return refuse(out, KAFKA_ERR_INVALID_REQUEST,
                      "Only SET and DELETE are allowed for the BROKER_LOGGER resource");
    if (!slice_is(asked->name, LOGGER_ROOT))
        return refuse(
            out, KAFKA_ERR_INVALID_CONFIG,
            arena_printf(arena, "Logger %.*s does not exist!", len, (const char *)asked->name.data));
    if (asked->config_operation == OP_DELETE)
        return refuse(out, KAFKA_ERR_INVALID_REQUEST,
                      "Removing the log level of the root logger is not allowed");
    return level_of(asked->value, level) ||
           refuse(out, KAFKA_ERR_INVALID_CONFIG,
                  arena_printf(arena,
                               "Cannot set the log level of %.*s to %.*s as it is not a supported log level. "
                               "Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN",
                               len, (const char *)asked->name.data, value_len,
                               (const char *)asked->value.data));
}

// All changes are looked at before the first is made.
static void alter(struct storage_request *request, const asked_resource *asked, bool validate_only,
                  result *out)
{
    enum diag_level level = DIAG_INFO;
    out->resource_type = asked->resource_type;
    out->resource_name = asked->resource_name;
    out->error_message = (struct slice){0};
    if (!names_node(request, asked, out))
        return;
    for (int32_t i = 0; i < asked->configs_count; i++)
        if (!change_check(request, &asked->configs[i], &level, out))
            return;
    if (!validate_only && asked->configs_count > 0)
        diag_set_level(&storage_env(request->storage)->diag, level);
}

static bool loggers_alone(const struct kafka_incremental_alter_configs_request *asked)
{
    bool alone = asked->resources_count > 0;
    for (int32_t i = 0; i < asked->resources_count; i++)
        alone &= asked->resources[i].resource_type == MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER_LOGGER;
    return alone;
}

void handle_incremental_alter_configs(struct storage_request *request)
{
    const struct kafka_incremental_alter_configs_request *asked = request->body;
    struct kafka_incremental_alter_configs_response response;
    if (!loggers_alone(asked)) {
        relay_controller(request);
        return;
    }
    kafka_defaults(&kafka_incremental_alter_configs_response_message, &response);
    response.responses =
        kafka_structure_array(&kafka_incremental_alter_configs_response_alter_configs_resource_response_type,
                              &request->arena, asked->resources_count);
    if (response.responses == NULL) {
        storage_answer_close(request, "out of memory for an answer");
        return;
    }
    response.responses_count = asked->resources_count;
    for (int32_t i = 0; i < asked->resources_count; i++)
        alter(request, &asked->resources[i], asked->validate_only, &response.responses[i]);
    storage_answer(request, &response);
}

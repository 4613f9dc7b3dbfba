// SPDX-License-Identifier: Apache-2.0
// See configs.h.
#include "configs.h"

#include "kafka/messages/incremental_alter_configs.h"

#include <stdlib.h>
#include <string.h>

enum { OPERATION_SET = 0, OPERATION_DELETE = 1 };

enum cli_exit config_split(const char *text, struct slice *key, struct slice *value)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text)
        return cli_fail(CLI_USAGE, "'%s' is not KEY=VALUE", text);
    *key = slice_of(text, (size_t)(equals - text));
    *value = slice_str(equals + 1);
    return CLI_DONE;
}

int32_t config_node(const struct config_target *target)
{
    if (target->type != CONFIG_TARGET_BROKER || *target->name == '\0')
        return ADMIN_ANY_NODE;
    return (int32_t)strtol(target->name, NULL, 10);
}

static enum cli_exit alter_send(struct admin *admin,
                                const struct kafka_incremental_alter_configs_request *request)
{
    for (;;) {
        const struct kafka_incremental_alter_configs_response *response;
        const void *body;
        enum cli_exit code =
            admin_call(admin, ADMIN_ANY_NODE, KAFKA_API_INCREMENTAL_ALTER_CONFIGS, -1, request, &body);
        if (code != CLI_DONE)
            return code;
        response = body;
        if (response->responses_count != 1)
            return cli_fail(CLI_FAILED, "the broker answered for %d resources", response->responses_count);
        int16_t error = response->responses[0].error_code;
        if (admin_again(admin, error))
            continue;
        return error == 0 ? CLI_DONE
                          : admin_refused("parameters of", request->resources[0].resource_name, error,
                                          response->responses[0].error_message);
    }
}

enum cli_exit config_alter(struct admin *admin, const struct config_target *target,
                           const struct cli_many *sets, const struct cli_many *removes)
{
    struct kafka_incremental_alter_configs_request request;
    struct kafka_incremental_alter_configs_request_alter_configs_resource resource;
    struct kafka_incremental_alter_configs_request_alterable_config configs[2 * CLI_MANY_MAX];
    int count = 0;
    kafka_defaults(&kafka_incremental_alter_configs_request_message, &request);
    kafka_structure_defaults(&kafka_incremental_alter_configs_request_alter_configs_resource_type, &resource);
    for (int i = 0; i < sets->count; i++, count++) {
        kafka_structure_defaults(&kafka_incremental_alter_configs_request_alterable_config_type,
                                 &configs[count]);
        configs[count].config_operation = OPERATION_SET;
        enum cli_exit code = config_split(sets->items[i], &configs[count].name, &configs[count].value);
        if (code != CLI_DONE)
            return code;
    }
    for (int i = 0; i < removes->count; i++, count++) {
        kafka_structure_defaults(&kafka_incremental_alter_configs_request_alterable_config_type,
                                 &configs[count]);
        configs[count].config_operation = OPERATION_DELETE;
        configs[count].name = slice_str(removes->items[i]);
        configs[count].value = slice_of(NULL, 0);
    }
    resource.resource_type = (int8_t)target->type;
    resource.resource_name = slice_str(target->name);
    resource.configs = configs;
    resource.configs_count = count;
    request.resources = &resource;
    request.resources_count = 1;
    return alter_send(admin, &request);
}

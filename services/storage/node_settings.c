// SPDX-License-Identifier: Apache-2.0
// See node_settings.h. A value that the rows of this process would not take (config.c) counts as the nearest
// that they do.
#include "node_settings.h"

#include <stdlib.h>

static int64_t value_of(const struct node_settings *settings, const char *key)
{
    const struct config_row *row = config_row_of(settings->config, key);
    const char *text =
        image_node_config(settings->image, settings->node_id, key, config_text(settings->config, key), NULL);
    int64_t value = strtoll(text, NULL, 10);
    return value < row->min ? row->min : value > row->max ? row->max : value;
}

static void apply(struct node_settings *settings)
{
    int64_t expiry_ms = value_of(settings, "producer.id.expiration.ms");
    node_listeners_limit(settings->listeners, (int32_t)value_of(settings, "max.connections"),
                         (int32_t)value_of(settings, "max.connections.per.ip"));
    for (int i = 0; i < dirs_count(settings->dirs); i++)
        if (dirs_set(settings->dirs, i) != NULL)
            log_set_expire_producers(dirs_set(settings->dirs, i), expiry_ms);
}

static void on_config(void *context, Millrace__ResourceType type, const char *name, const char *key,
                      const char *value)
{
    if (type == MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER)
        apply(context);
}

void node_settings_start(struct node_settings *settings)
{
    settings->node_id = -1;
    settings->listener = (struct image_listener){.context = settings, .on_config = on_config};
    image_listen(settings->image, &settings->listener);
}

void node_settings_stop(struct node_settings *settings)
{
    if (settings->listener.context != NULL)
        image_unlisten(settings->image, &settings->listener);
    settings->listener.context = NULL;
}

void node_settings_named(struct node_settings *settings, int32_t node_id)
{
    settings->node_id = node_id;
    apply(settings);
}

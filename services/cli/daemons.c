// SPDX-License-Identifier: Apache-2.0
// See daemons.h.
#include "daemons.h"

#include "base/mem.h"
#include "cluster.h"
#include "http_get.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct daemon_place *place_add(struct daemons *daemons, const char *address)
{
    if (daemons->count == DAEMONS_MAX)
        return NULL;
    struct daemon_place *place = &daemons->places[daemons->count++];
    *place = (struct daemon_place){.id = -1};
    snprintf(place->address, sizeof place->address, "%s", address);
    return place;
}

static void take_list(struct daemons *daemons, const char *list)
{
    char *text = mem_strdup(list), *rest = NULL;
    for (char *item = strtok_r(text, ",", &rest); item != NULL; item = strtok_r(NULL, ",", &rest))
        place_add(daemons, item);
    mem_free(text);
}

static enum cli_exit take_local(struct daemons *daemons, const char *data)
{
    struct cluster *cluster = mem_calloc(1, sizeof *cluster);
    enum cli_exit code = cluster_find(data, cluster);
    for (size_t i = 0; code == CLI_DONE && i < cluster->count; i++) {
        char address[32];
        snprintf(address, sizeof address, "127.0.0.1:%d", cluster->daemons[i].http_port);
        struct daemon_place *place = place_add(daemons, address);
        if (place == NULL)
            break;
        memcpy(place->role, cluster->daemons[i].role, sizeof place->role);
        place->id = cluster->daemons[i].id;
    }
    mem_free(cluster);
    return code;
}

enum status daemons_get(const struct daemon_place *place, const char *path, cJSON **json, int *code)
{
    struct buf body;
    size_t at;
    *json = NULL;
    *code = 0;
    buf_init(&body, HTTP_GET_BYTES_MAX);
    enum status status = http_get(place->address, path, DAEMONS_WAIT_MS, &body, code);
    if (status == ST_OK && json_parse(buf_slice(&body), json, &at) != ST_OK && *code == 200)
        status = ST_MALFORMED;
    buf_fini(&body);
    return status;
}

static void introduce(struct daemon_place *place)
{
    cJSON *json;
    int code;
    int64_t id;
    place->answers = daemons_get(place, "/v1/daemon", &json, &code) == ST_OK && code == 200;
    if (place->answers && json_string(json, "role") != NULL && json_integer(json, "id", &id) == ST_OK) {
        snprintf(place->role, sizeof place->role, "%s", json_string(json, "role"));
        place->id = (int)id;
        place->ready = cJSON_IsTrue(json_get(json, "ready"));
    }
    cJSON_Delete(json);
}

enum cli_exit daemons_find(const struct daemons_options *options, struct daemons **out)
{
    struct daemons *daemons = mem_calloc(1, sizeof *daemons);
    const char *set = getenv("MILLRACE_ADMIN");
    const char *list = options->admin != NULL ? options->admin : set != NULL && *set != '\0' ? set : NULL;
    enum cli_exit code = CLI_DONE;
    if (list != NULL && options->data == NULL)
        take_list(daemons, list);
    else
        code = take_local(daemons, options->data);
    bool any = false;
    for (int i = 0; code == CLI_DONE && i < daemons->count; i++) {
        introduce(&daemons->places[i]);
        any = any || daemons->places[i].answers;
    }
    if (code == CLI_DONE && !any)
        code = cli_fail(CLI_ABSENT, "no daemon answers at its admin port; --admin HOST:PORT,... names them");
    if (code != CLI_DONE)
        mem_free(daemons);
    else
        *out = daemons;
    return code;
}

const struct daemon_place *daemons_at(const struct daemons *daemons, const char *role, int id)
{
    for (int i = 0; i < daemons->count; i++)
        if (daemons->places[i].id == id && strcmp(daemons->places[i].role, role) == 0)
            return &daemons->places[i];
    return NULL;
}

enum status daemons_get_from(const struct daemon_place *place, const struct daemons_thing *thing,
                             cJSON **json, int *code)
{
    struct buf path;
    buf_init(&path, 1 << 20);
    buf_printf(&path, "%s", thing->before);
    http_put_segment(&path, thing->name);
    buf_printf(&path, "%s", thing->after);
    buf_put_u8(&path, '\0');
    enum status status = daemons_get(place, (const char *)path.data, json, code);
    buf_fini(&path);
    return status;
}

enum cli_exit daemons_get_thing(const struct daemons *daemons, const struct daemons_thing *thing,
                                cJSON **json)
{
    char why[300] = "no daemon of its kind answers";
    enum status status = ST_NOT_FOUND;
    int code = 0;
    *json = NULL;
    for (int i = 0; i < daemons->count && code != 200; i++) {
        if (strcmp(daemons->places[i].role, thing->role) != 0 || !daemons->places[i].answers)
            continue;
        cJSON_Delete(*json);
        status = daemons_get_from(&daemons->places[i], thing, json, &code);
        const char *message = *json != NULL ? json_string(*json, "message") : NULL;
        if (status != ST_OK || message != NULL)
            snprintf(why, sizeof why, "%s", message != NULL ? message : status_text(status));
        if (status == ST_OK && code == 404)
            break; // its owner says so; others answer 421
    }
    if (code == 200)
        return CLI_DONE;
    cJSON_Delete(*json);
    *json = NULL;
    return cli_fail(CLI_FAILED, "%s %s: %s", thing->what, thing->name, why);
}

// SPDX-License-Identifier: Apache-2.0
// See voters.h.
#include "voters.h"

#include <stdio.h>
#include <stdlib.h>

const struct voters_item *voters_find(const struct voters *voters, int32_t id)
{
    for (int i = 0; i < voters->count; i++)
        if (voters->items[i].id == id)
            return &voters->items[i];
    return NULL;
}

static bool parse_one(const char *text, struct voters_item *item)
{
    char *end, host[256];
    long id = strtol(text, &end, 10);
    int port;
    if (end == text || *end != '@' || id < 0 || id > INT32_MAX ||
        config_address(end + 1, NULL, host, &port) != ST_OK || port == 0)
        return false;
    item->id = (int32_t)id;
    bool v6 = strchr(host, ':') != NULL;
    snprintf(item->endpoint, sizeof item->endpoint, v6 ? "tcp://[%s]:%d" : "tcp://%s:%d", host, port);
    return true;
}

static void insert(struct voters *voters, const struct voters_item *item)
{
    int at = voters->count++;
    for (; at > 0 && voters->items[at - 1].id > item->id; at--)
        voters->items[at] = voters->items[at - 1];
    voters->items[at] = *item;
}

enum status voters_parse(const struct config *config, int32_t self, struct diag *diag, struct voters *voters)
{
    static const char key[] = "controller.quorum.voters";
    *voters = (struct voters){0};
    size_t count = config_list_count(config, key);
    if (count == 0) {
        *voters = (struct voters){.count = 1, .items = {{.id = self}}};
        return ST_OK;
    }
    if (count > RAFT_VOTERS_MAX - 1) { // one place is needed while a voter is exchanged
        DIAG_ERROR(diag, "%s names %zu controllers, at most %d can be", key, count, RAFT_VOTERS_MAX - 1);
        return ST_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        struct voters_item item;
        if (!parse_one(config_list_at(config, key, i), &item) || voters_find(voters, item.id) != NULL) {
            DIAG_ERROR(diag, "%s: '%s' is not id@host:port with an id of its own", key,
                       config_list_at(config, key, i));
            return ST_INVALID;
        }
        insert(voters, &item);
    }
    voters->given = true;
    if (voters_find(voters, self) == NULL) {
        DIAG_ERROR(diag, "%s does not name this node (node.id=%d)", key, self);
        return ST_INVALID;
    }
    return ST_OK;
}

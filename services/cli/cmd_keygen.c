// SPDX-License-Identifier: Apache-2.0
// millrace keygen: key pairs for the RPC network between daemons (CurveZMQ), one NAME.key and NAME.pub each.
#include "cluster.h"
#include "commands.h"

#include "rpc/curve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct keygen {
    const char *dir;
    bool keep; // a pair that is there already stays as it is
    bool json;
    int made;
};

enum { KEYS_PER_RANGE_MAX = 1000 };

// One pair; node.node -1: of the whole role.
static enum cli_exit key_make(struct keygen *keygen, struct rpc_node node)
{
    char name[64];
    const char *role = curve_role_text(node.role);
    if (node.node >= 0)
        snprintf(name, sizeof name, "%s-%d", role, node.node);
    else
        snprintf(name, sizeof name, "%s", role);
    enum status status = curve_keygen(keygen->dir, name, node);
    if (status == ST_EXISTS && keygen->keep)
        status = curve_publish(keygen->dir, name);
    else if (status == ST_EXISTS)
        return cli_fail(CLI_FAILED, "%s/%s.key exists already; keys are never overwritten", keygen->dir,
                        name);
    else if (status == ST_OK)
        keygen->made++;
    if (status != ST_OK)
        return cli_fail(CLI_FAILED, "%s/%s.key: %s", keygen->dir, name, status_text(status));
    if (!keygen->json)
        printf("%s/%s.key %s/%s.pub\n", keygen->dir, name, keygen->dir, name);
    return CLI_DONE;
}

// "7" or "1-32".
static bool range_parse(const char *text, int32_t *first, int32_t *last)
{
    char *end;
    long from = strtol(text, &end, 10), to = from;
    bool good = end != text;
    if (good && *end == '-') {
        const char *second = end + 1;
        to = strtol(second, &end, 10);
        good = end != second;
    }
    *first = (int32_t)from;
    *last = (int32_t)to;
    return good && *end == '\0' && from >= 0 && to >= from && to <= INT32_MAX &&
           to - from < KEYS_PER_RANGE_MAX;
}

// ROLE, ROLE:ID or ROLE:FIRST-LAST; without an id the key is good for any node of the role.
static enum cli_exit keys_make(struct keygen *keygen, const char *wanted)
{
    char role[32];
    const char *colon = strchr(wanted, ':');
    size_t len = colon != NULL ? (size_t)(colon - wanted) : strlen(wanted);
    int32_t first = -1, last = -1;
    snprintf(role, sizeof role, "%.*s", (int)(len < sizeof role ? len : 0), wanted);
    struct rpc_node node = {.role = curve_role_parse(role)};
    if (node.role == 0)
        return cli_fail(CLI_USAGE, "'%s': no such role; controller, storage, coordinator, registry or tool",
                        wanted);
    if (colon != NULL && !range_parse(colon + 1, &first, &last))
        return cli_fail(CLI_USAGE, "'%s': the part behind ':' is not a node id, nor a range of at most %d",
                        wanted, KEYS_PER_RANGE_MAX);
    enum cli_exit code = CLI_DONE;
    for (int64_t id = first; id <= last && code == CLI_DONE; id++) {
        node.node = (int32_t)id;
        code = key_make(keygen, node);
    }
    return code;
}

enum cli_exit cmd_keygen(int argc, char **argv)
{
    struct keygen keygen = {.dir = "keys"};
    const struct cli_arg args[] = {
        {"--dir|-d", CLI_TEXT, &keygen.dir, 0, 0, "DIR", "where the files go (keys)"},
        {"--keep", CLI_FLAG, &keygen.keep, 0, 0, NULL, "make only the keys that are missing"},
        {"--json", CLI_FLAG, &keygen.json, 0, 0, NULL, "print the result as JSON"}};
    const struct cli_usage usage = {
        .line = "keygen ROLE[:ID|:FIRST-LAST]... [--dir DIR] [--keep]",
        .help = "Makes key pairs for the network between daemons: controller:3001, storage:1-3, ...\n"
                "Every daemon gets all .pub files and its own .key (rpc.keys.dir, rpc.key.file).",
        .args = args,
        .count = sizeof args / sizeof *args,
        .positional_min = 1,
        .positional_max = CLI_MANY_MAX};
    struct cli_many positional = {0};
    enum cli_exit code;
    if (!cli_args(&usage, argc, argv, &positional, &code))
        return code;
    umask(077);
    enum status status = directory_make(keygen.dir);
    if (status != ST_OK)
        return cli_fail(CLI_FAILED, "%s: %s", keygen.dir, status_text(status));
    for (int i = 0; i < positional.count; i++) {
        code = keys_make(&keygen, positional.items[i]);
        if (code != CLI_DONE)
            return code;
    }
    if (keygen.json)
        printf("{\"made\":%d}\n", keygen.made);
    return CLI_DONE;
}

// SPDX-License-Identifier: Apache-2.0
// millrace keygen: key pairs for the RPC network between daemons (CurveZMQ), one NAME.key and NAME.pub each.
#include "cluster.h"
#include "commands.h"

#include "rpc/curve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// ROLE or ROLE:ID, e.g. "storage:1"; without an id the key is good for any node of the role.
static enum cli_exit key_make(const char *dir, const char *wanted, bool json)
{
    char role[32], name[64];
    const char *colon = strchr(wanted, ':');
    size_t len = colon != NULL ? (size_t)(colon - wanted) : strlen(wanted);
    struct rpc_node node = {.node = -1};
    snprintf(role, sizeof role, "%.*s", (int)(len < sizeof role ? len : 0), wanted);
    node.role = curve_role_parse(role);
    if (node.role == 0)
        return cli_fail(CLI_USAGE, "'%s': no such role; controller, storage, coordinator or tool", wanted);
    if (colon != NULL) {
        char *end;
        long id = strtol(colon + 1, &end, 10);
        if (end == colon + 1 || *end != '\0' || id < 0 || id > INT32_MAX)
            return cli_fail(CLI_USAGE, "'%s': the part behind ':' is not a node id", wanted);
        node.node = (int32_t)id;
    }
    if (node.node >= 0)
        snprintf(name, sizeof name, "%s-%d", role, node.node);
    else
        snprintf(name, sizeof name, "%s", role);
    enum status status = curve_keygen(dir, name, node);
    if (status == ST_EXISTS)
        return cli_fail(CLI_FAILED, "%s/%s.key exists already; keys are never overwritten", dir, name);
    if (status != ST_OK)
        return cli_fail(CLI_FAILED, "%s/%s.key: %s", dir, name, status_text(status));
    if (!json)
        printf("%s/%s.key %s/%s.pub\n", dir, name, dir, name);
    return CLI_DONE;
}

enum cli_exit cmd_keygen(int argc, char **argv)
{
    const char *dir = "keys";
    bool json = false;
    const struct cli_arg args[] = {{"--dir|-d", CLI_TEXT, &dir, 0, 0, "DIR", "where the files go (keys)"},
                                   {"--json", CLI_FLAG, &json, 0, 0, NULL, "print the result as JSON"}};
    const struct cli_usage usage = {
        .line = "keygen ROLE[:ID]... [--dir DIR]",
        .help = "Makes key pairs for the network between daemons: controller:3001, storage:1, ...\n"
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
    enum status status = directory_make(dir);
    if (status != ST_OK)
        return cli_fail(CLI_FAILED, "%s: %s", dir, status_text(status));
    for (int i = 0; i < positional.count; i++) {
        code = key_make(dir, positional.items[i], json);
        if (code != CLI_DONE)
            return code;
    }
    if (json)
        printf("{\"made\":%d}\n", positional.count);
    return CLI_DONE;
}

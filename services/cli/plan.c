// SPDX-License-Identifier: Apache-2.0
// A cluster's plan: how many of each role, ids (storage 1.., coordinators 2001.., controllers 3001..,
// registries 4001..: unique over all roles), ports. Ports are picked below the range the system takes for
// outgoing connections, so that a daemon finds its port again after a restart. See plan.h.
#include "plan.h"

#include "base/mem.h"
#include "launch.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    PORT_FIRST = 20000,
    PORT_LAST = 31999,
    PORT_TRIES = 2000,
    PORT_WAIT_MS = 2000,
    PORT_POLL_MS = 10,
    ARGS_MAX = 2 * (CLI_MANY_MAX + 16)
};

struct role {
    const char *name;
    int base; // ids begin behind it
};

static const struct role roles[] = {
    {"controller", 3000}, {"storage", 0}, {"coordinator", 2000}, {"registry", 4000}};

// ---- ports ----

static bool port_free(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    bool good = bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0;
    close(fd);
    return good;
}

// A port of the cluster's former run: its daemons may be dying still (up was killed and is started again at
// once).
static bool port_free_soon(int port)
{
    for (int waited_ms = 0; waited_ms < PORT_WAIT_MS; waited_ms += PORT_POLL_MS) {
        if (port_free(port))
            return true;
        struct timespec pause = {.tv_nsec = PORT_POLL_MS * 1000000};
        nanosleep(&pause, NULL);
    }
    return port_free(port);
}

static bool port_planned(const struct cluster *cluster, int port)
{
    for (size_t i = 0; i < cluster->count; i++) {
        const struct cluster_daemon *daemon = &cluster->daemons[i];
        if (daemon->kafka_port == port || daemon->rest_port == port || daemon->rpc_port == port ||
            daemon->http_port == port)
            return true;
    }
    return false;
}

static int port_pick(const struct cluster *cluster)
{
    for (int i = 0; i < PORT_TRIES; i++) {
        uint32_t random = 0;
        if (getrandom(&random, sizeof random, 0) != sizeof random)
            return 0;
        int port = PORT_FIRST + (int)(random % (PORT_LAST - PORT_FIRST + 1));
        if (!port_planned(cluster, port) && port_free(port))
            return port;
    }
    return 0;
}

// ---- daemons ----

static struct cluster_daemon *daemon_find(struct cluster *cluster, const char *role, int id)
{
    for (size_t i = 0; i < cluster->count; i++)
        if (strcmp(cluster->daemons[i].role, role) == 0 && cluster->daemons[i].id == id)
            return &cluster->daemons[i];
    return NULL;
}

static int role_count(const struct cluster *cluster, const char *role)
{
    int count = 0;
    for (size_t i = 0; i < cluster->count; i++)
        count += strcmp(cluster->daemons[i].role, role) == 0;
    return count;
}

// A port clients know, *port as before (0: none): the one wished for, the same as before, or a fallback; of
// the k-th daemon. Whether it can be had.
static bool client_port_choose(int64_t wished, int fallback, bool any, int k, int *port)
{
    int kept = *port;
    if (any && wished == 0 && kept == 0)
        return true; // a free one is picked
    if (kept == 0 || wished > 0)
        *port = (wished > 0 ? (int)wished : fallback) + k - 1;
    return *port > 0 && *port <= 65535 && (*port == kept ? port_free_soon(*port) : port_free(*port));
}

static enum cli_exit kafka_port_choose(const struct plan_wish *wish, int k, struct cluster_daemon *daemon,
                                       const struct cluster *cluster)
{
    if (!client_port_choose(wish->kafka_port, PLAN_KAFKA_PORT, wish->free_ports, k, &daemon->kafka_port))
        return cli_fail(CLI_FAILED,
                        "Kafka port %d is in use; --port N chooses another, --ephemeral takes free ones",
                        daemon->kafka_port);
    if (daemon->kafka_port == 0)
        daemon->kafka_port = port_pick(cluster);
    return CLI_DONE;
}

static enum cli_exit rest_port_choose(const struct plan_wish *wish, int k, struct cluster_daemon *daemon,
                                      const struct cluster *cluster)
{
    if (!client_port_choose(wish->rest_port, PLAN_REST_PORT, wish->free_ports, k, &daemon->rest_port))
        return cli_fail(CLI_FAILED,
                        "port %d of the schema registry is in use; --registry-port N chooses another, "
                        "--registries 0 leaves it out",
                        daemon->rest_port);
    if (daemon->rest_port == 0)
        daemon->rest_port = port_pick(cluster);
    return CLI_DONE;
}

// rpc and HTTP: as before, else free ones. The controllers know each other by their rpc ports for good.
static enum cli_exit own_ports_choose(struct cluster_daemon *daemon, const struct cluster *cluster)
{
    bool kept = daemon->rpc_port != 0 && port_free_soon(daemon->rpc_port);
    if (!kept && daemon->rpc_port != 0 && strcmp(daemon->role, "controller") == 0)
        return cli_fail(CLI_FAILED, "port %d of controller %d is taken by another program", daemon->rpc_port,
                        daemon->id);
    if (!kept)
        daemon->rpc_port = port_pick(cluster);
    if (daemon->http_port == 0 || !port_free_soon(daemon->http_port))
        do
            daemon->http_port = port_pick(cluster);
        while (daemon->http_port != 0 && daemon->http_port == daemon->rpc_port);
    if (daemon->rpc_port == 0 || daemon->http_port == 0)
        return cli_fail(CLI_FAILED, "no free port within %d..%d", PORT_FIRST, PORT_LAST);
    return CLI_DONE;
}

static enum cli_exit daemon_plan(const struct plan_wish *wish, struct cluster *before,
                                 const struct role *role, int k, struct cluster *cluster)
{
    struct cluster_daemon *old = daemon_find(before, role->name, role->base + k);
    struct cluster_daemon daemon = {.id = role->base + k};
    if (old != NULL)
        daemon = *old;
    snprintf(daemon.role, sizeof daemon.role, "%s", role->name);
    daemon.pid = 0;
    enum cli_exit code = own_ports_choose(&daemon, cluster);
    if (code == CLI_DONE && strcmp(role->name, "storage") == 0)
        code = kafka_port_choose(wish, k, &daemon, cluster);
    if (code == CLI_DONE && strcmp(role->name, "registry") == 0)
        code = rest_port_choose(wish, k, &daemon, cluster);
    if (code == CLI_DONE)
        cluster->daemons[cluster->count++] = daemon;
    return code;
}

// How many of a role: as wished, as before, or one. A registry only where its program is.
static int64_t count_of(const struct plan_wish *wish, size_t r, int had)
{
    const int64_t wished[] = {wish->controllers, wish->storages, wish->coordinators};
    char program[CLUSTER_PATH_MAX];
    if (strcmp(roles[r].name, "registry") != 0)
        return wished[r] > 0 ? wished[r] : had > 0 ? had : 1;
    if (wish->registries >= 0)
        return wish->registries;
    if (launch_program("millrace-registry", program) != ST_OK || access(program, X_OK) != 0)
        return 0;
    return had > 0 ? had : 1;
}

enum cli_exit plan_make(const struct plan_wish *wish, struct cluster *cluster)
{
    struct cluster *before = mem_calloc(1, sizeof *before);
    enum cli_exit code = CLI_DONE;
    *before = *cluster;
    cluster->count = 0;
    for (size_t r = 0; r < sizeof roles / sizeof *roles && code == CLI_DONE; r++) {
        int had = role_count(before, roles[r].name);
        int64_t count = count_of(wish, r, had);
        if (r == 0 && had > 0 && count != had)
            code = cli_fail(CLI_USAGE,
                            "this cluster was formed with %d controllers, not %lld; use another --data", had,
                            (long long)count);
        for (int k = 1; k <= count && code == CLI_DONE; k++)
            code = daemon_plan(wish, before, &roles[r], k, cluster);
    }
    mem_free(before);
    return code;
}

// ---- arguments ----

struct arg_list {
    char *items[ARGS_MAX];
    size_t count;
};

static void arg_put_take(struct arg_list *list, char *text)
{
    if (list->count < ARGS_MAX - 1)
        list->items[list->count++] = text;
    else
        mem_free(text);
}

static void setting_put_take(struct arg_list *list, char *text)
{
    arg_put_take(list, mem_strdup("--set"));
    arg_put_take(list, text);
}

// "127.0.0.1:p,..." or, with ids, "3001@127.0.0.1:p,..." of the controllers.
static char *controllers_list(const struct cluster *cluster, bool ids)
{
    char *text = mem_strdup("");
    for (size_t i = 0; i < cluster->count; i++) {
        const struct cluster_daemon *daemon = &cluster->daemons[i];
        if (strcmp(daemon->role, "controller") != 0)
            continue;
        char id[16] = "";
        if (ids)
            snprintf(id, sizeof id, "%d@", daemon->id);
        char *longer = mem_printf("%s%s%s127.0.0.1:%d", text, *text != '\0' ? "," : "", id, daemon->rpc_port);
        mem_free(text);
        text = longer;
    }
    return text;
}

static void role_args(const struct cluster *cluster, const struct cluster_daemon *daemon,
                      struct arg_list *list)
{
    char data[CLUSTER_PATH_MAX];
    cluster_daemon_data(cluster, daemon, data);
    if (strcmp(daemon->role, "controller") == 0) {
        char *voters = controllers_list(cluster, true);
        setting_put_take(list, mem_printf("metadata.log.dir=%s", data));
        setting_put_take(list, mem_printf("controller.quorum.voters=%s", voters));
        mem_free(voters);
    } else if (strcmp(daemon->role, "storage") == 0) {
        setting_put_take(list, mem_printf("log.dirs=%s", data));
        setting_put_take(list, mem_printf("listeners=PLAINTEXT://127.0.0.1:%d", daemon->kafka_port));
        setting_put_take(list,
                         mem_printf("advertised.listeners=PLAINTEXT://127.0.0.1:%d", daemon->kafka_port));
    } else if (strcmp(daemon->role, "registry") == 0) {
        setting_put_take(list, mem_printf("listeners=http://127.0.0.1:%d", daemon->rest_port));
    }
}

char **plan_args(const struct cluster *cluster, const struct cluster_daemon *daemon, const char *program,
                 const struct cli_many *settings)
{
    struct arg_list *list = mem_calloc(1, sizeof *list);
    char *controllers = controllers_list(cluster, false);
    char name[32];
    cluster_daemon_name(daemon, name);
    arg_put_take(list, mem_strdup(program));
    setting_put_take(list, mem_printf("node.id=%d", daemon->id));
    setting_put_take(list, mem_printf("rpc.listen=127.0.0.1:%d", daemon->rpc_port));
    setting_put_take(list, mem_printf("admin.listen=127.0.0.1:%d", daemon->http_port));
    setting_put_take(list, mem_printf("run.dir=%s", cluster->run));
    setting_put_take(list, mem_printf("controller.quorum.bootstrap.servers=%s", controllers));
    role_args(cluster, daemon, list);
    for (int i = 0; i < settings->count; i++)
        setting_put_take(list, mem_strdup(settings->items[i]));
    arg_put_take(list, mem_strdup("--ready-file"));
    arg_put_take(list, mem_printf("%s/%s.ready", cluster->run, name));
    arg_put_take(list, mem_strdup("--die-with"));
    arg_put_take(list, mem_printf("%d", (int)getpid()));
    mem_free(controllers);
    return list->items; // the list's first member: freed through it
}

void plan_args_free(char **args)
{
    for (size_t i = 0; args[i] != NULL; i++)
        mem_free(args[i]);
    mem_free(args);
}

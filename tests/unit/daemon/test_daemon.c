// SPDX-License-Identifier: Apache-2.0
// The skeleton run whole, inside the test's own process: configuration from file, environment and --set, the
// order of life, the ready file, health, drain, exit codes.
#include "daemon/daemon.h"

#include "http/http.h"
#include "http/json.h"

#include <criterion/criterion.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct config_row rows[] = {
    {.key = "log.dirs", .type = CONFIG_LIST, .fallback = "", .help = "Data."},
    {.key = "test.number", .type = CONFIG_INT, .fallback = "1", .min = 0, .max = 100, .help = "A number."},
};

// What the service under test saw. The skeleton gives services a context, but a test needs the outcome
// afterwards.
static struct {
    struct daemon *daemon;
    char life[64];
    struct timer timer;
    int64_t number;
    bool unready, fails;
    void (*drained)(void *);
    void *drained_context;
    char heard[4096];
} seen;

static void live(const char *word)
{
    size_t len = strlen(seen.life);
    snprintf(seen.life + len, sizeof seen.life - len, "%s ", word);
}

static enum status create(struct daemon *daemon, void **service)
{
    live("create");
    seen.daemon = daemon;
    seen.number = config_int(daemon_config(daemon), "test.number");
    cr_assert_neq(daemon_incarnation(daemon), 0);
    cr_assert_not_null(daemon_rpc(daemon));
    cr_assert_eq(strncmp(daemon_rpc_endpoint(daemon), "tcp://127.0.0.1:", 16), 0);
    *service = &seen;
    return seen.fails ? ST_IO : ST_OK;
}

static void on_time(struct timer *timer)
{
    pthread_kill(pthread_self(), SIGTERM); // the test runner has threads that do not block it
}

static enum status start(void *service)
{
    live("start");
    timer_init(&seen.timer, on_time, NULL);
    timer_start_ms(daemon_env(seen.daemon), &seen.timer, 30);
    return ST_OK;
}

static void on_drain_time(struct timer *timer)
{
    live("drained");
    seen.drained(seen.drained_context);
}

static void drain(void *service, void (*done)(void *context), void *context)
{
    live("drain");
    seen.drained = done;
    seen.drained_context = context;
    timer_init(&seen.timer, on_drain_time, NULL);
    timer_start_ms(daemon_env(seen.daemon), &seen.timer, 20);
}

static void destroy(void **service)
{
    live("destroy");
    *service = NULL;
}

static bool ready(void *service, struct buf *reason)
{
    if (seen.unready)
        buf_printf(reason, "not yet");
    return !seen.unready;
}

static const char *kafka_address(void *service)
{
    return "127.0.0.1:9";
}

static const struct daemon_spec spec = {.name = "test",
                                        .role = RPC_STORAGE,
                                        .summary = "under test",
                                        .rows = rows,
                                        .row_count = 2,
                                        .data_key = "log.dirs",
                                        .create = create,
                                        .start = start,
                                        .drain = drain,
                                        .destroy = destroy,
                                        .ready = ready,
                                        .kafka_address = kafka_address};

static int run(const char *a, const char *b, const char *c, const char *d)
{
    char *args[] = {(char *)"millrace-test", (char *)a, (char *)b, (char *)c, (char *)d, NULL};
    int count = 1;
    while (args[count] != NULL)
        count++;
    return daemon_main(count, args, &spec);
}

static char *temporary(const char *text)
{
    static char path[32];
    snprintf(path, sizeof path, "/tmp/daemon-XXXXXX");
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return path;
}

Test(daemon, lives_and_drains_in_order)
{
    cr_assert_eq(run(NULL, NULL, NULL, NULL), 0);
    cr_assert_str_eq(seen.life, "create start drain drained destroy ");
}

Test(daemon, a_service_that_cannot_be_made_ends_with_1)
{
    seen.fails = true;
    cr_assert_eq(run(NULL, NULL, NULL, NULL), 1);
    cr_assert_str_eq(seen.life, "create destroy ");
}

Test(daemon, set_wins_over_environment_wins_over_file)
{
    char *file = temporary("test.number=5\nnum.network.threads=3\n");
    cr_assert_eq(run("--config", file, NULL, NULL), 0);
    cr_assert_eq(seen.number, 5);
    setenv("MILLRACE_TEST_NUMBER", "6", 1);
    cr_assert_eq(run("--config", file, NULL, NULL), 0);
    cr_assert_eq(seen.number, 6);
    cr_assert_eq(run("--set", "test.number=7", "--config", file), 0);
    cr_assert_eq(seen.number, 7);
    unlink(file);
}

Test(daemon, wrong_arguments_and_parameters_end_with_2_and_start_nothing)
{
    cr_expect_eq(run("--nonsense", NULL, NULL, NULL), 2);
    cr_expect_eq(run("--set", NULL, NULL, NULL), 2);
    cr_expect_eq(run("--set", "test.number", NULL, NULL), 2);
    cr_expect_eq(run("--set", "test.number=101", NULL, NULL), 2);
    cr_expect_eq(run("--set", "test.nummber=1", NULL, NULL), 2);
    cr_expect_eq(run("--config", "/nonexistent", NULL, NULL), 2);
    char *file = temporary("=3\n");
    cr_expect_eq(run("--config", file, NULL, NULL), 2);
    unlink(file);
    setenv("MILLRACE_TEST_NUMBRE", "1", 1);
    cr_expect_eq(run(NULL, NULL, NULL, NULL), 2);
    unsetenv("MILLRACE_TEST_NUMBRE");
    cr_expect_str_eq(seen.life, "");
}

Test(daemon, keys_of_kafka_and_foreign_variables_are_passed_over)
{
    setenv("MILLRACE_BOOTSTRAP", "x:1", 1);
    cr_assert_eq(run("--set", "zookeeper.connect=x", "--set", "broker.id=3"), 0);
}

Test(daemon, ports_taken_end_with_1)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, len), 0);
    cr_assert_eq(listen(fd, 1), 0);
    getsockname(fd, (struct sockaddr *)&address, &len);
    char set[64];
    snprintf(set, sizeof set, "admin.listen=127.0.0.1:%d", ntohs(address.sin_port));
    cr_expect_eq(run("--set", set, NULL, NULL), 1);
    snprintf(set, sizeof set, "rpc.listen=127.0.0.1:%d", ntohs(address.sin_port));
    cr_expect_eq(run("--set", set, NULL, NULL), 1);
    close(fd);
}

Test(daemon, die_with_a_parent_that_is_gone_starts_nothing)
{
    cr_assert_eq(run("--die-with", "999999999", NULL, NULL), 1);
    cr_assert_str_eq(seen.life, "");
}

Test(daemon, the_ready_file_has_the_bound_addresses)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/daemon-ready-%d", getpid());
    cr_assert_eq(run("--ready-file", path, "--set", "node.id=7"), 0);
    char text[2000];
    int fd = open(path, O_RDONLY);
    ssize_t len = read(fd, text, sizeof text);
    close(fd);
    unlink(path);
    cJSON *json = NULL;
    size_t at;
    int64_t id;
    cr_assert_eq(json_parse(slice_of(text, (size_t)len), &json, &at), ST_OK);
    cr_assert_eq(json_integer(json, "id", &id), ST_OK);
    cr_assert_eq(id, 7);
    cr_assert(cJSON_IsTrue(json_get(json, "ready")));
    cr_assert_str_eq(json_string(json, "kafka"), "127.0.0.1:9");
    cr_assert_eq(strncmp(json_string(json, "rpc"), "127.0.0.1:", 10), 0);
    cr_assert_str_neq(json_string(json, "rpc"), "127.0.0.1:0");
    cJSON_Delete(json);
}

Test(daemon, data_directories_are_made_for_the_owner_alone)
{
    char dir[] = "/tmp/daemon-XXXXXX", set[100], path[64];
    struct stat info;
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a/b", dir);
    snprintf(set, sizeof set, "log.dirs=%s,/elsewhere", path);
    cr_assert_eq(run("--set", set, NULL, NULL), 0);
    cr_assert_eq(stat(path, &info), 0);
    cr_assert_eq(info.st_mode & 0777, 0700);
}

// Tests run as processes at the same time.
static int own_port(void)
{
    return 20000 + getpid() % 10000;
}

// A blocking client on a thread of its own, since the loop runs in the test's.
static void *ask_health(void *context)
{
    const char *request = context;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)own_port()),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = -1;
    for (int i = 0; i < 200; i++) {
        fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
            break;
        close(fd);
        usleep(1000);
    }
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) > 0) {
        ssize_t got, len = 0;
        while ((got = recv(fd, seen.heard + len, sizeof seen.heard - 1 - (size_t)len, 0)) > 0)
            len += got;
    }
    close(fd);
    return NULL;
}

static void serve_and_ask(const char *request)
{
    pthread_t thread;
    pthread_create(&thread, NULL, ask_health, (void *)request);
    char set[64];
    snprintf(set, sizeof set, "admin.listen=127.0.0.1:%d", own_port());
    cr_assert_eq(run("--set", set, NULL, NULL), 0);
    pthread_join(thread, NULL);
}

Test(daemon, health_tells_readiness_with_its_reason)
{
    seen.unready = true;
    serve_and_ask("GET /health/ready HTTP/1.0\r\n\r\n");
    cr_assert(strstr(seen.heard, " 503 ") && strstr(seen.heard, "not yet"), "%s", seen.heard);
}

Test(daemon, health_is_ready_when_the_service_is)
{
    serve_and_ask("GET /health/ready HTTP/1.0\r\n\r\n");
    cr_assert(strstr(seen.heard, " 200 "), "%s", seen.heard);
}

Test(daemon, metrics_are_prometheus_text)
{
    serve_and_ask("GET /metrics HTTP/1.0\r\n\r\n");
    cr_assert(strstr(seen.heard, "text/plain; version=0.0.4"), "%s", seen.heard);
    cr_assert(strstr(seen.heard, "\nmillrace_loop_turns_total "), "%s", seen.heard);
}

// SPDX-License-Identifier: Apache-2.0
// See trial.h.
#include "trial.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

const struct rpc_rule trial_rules[] = {
    {"trial.Trial", "Echo", RPC_CONTROL, RPC_STORAGE | RPC_TOOL},
    {"trial.Trial", "Hold", RPC_CONTROL, RPC_STORAGE | RPC_TOOL},
    {"trial.Trial", "Keep", RPC_BULK, RPC_STORAGE | RPC_TOOL},
    {"trial.Trial", "Bulk", RPC_BULK, RPC_STORAGE | RPC_TOOL},
    {"trial.Trial", "Refuse", RPC_CONTROL, RPC_STORAGE | RPC_TOOL},
    {"trial.Endless", "Follow", RPC_CONTROL, RPC_TOOL},
    {.service = NULL},
};

static struct trial *trial_of(Trial__Trial_Service *service)
{
    return (struct trial *)((char *)service - offsetof(struct trial, service));
}

static void serve_echo(Trial__Trial_Service *service, const Trial__Question *question,
                       Trial__Answer_Closure closure, void *closure_data)
{
    struct trial *trial = trial_of(service);
    struct rpc_call *call = closure_data;
    struct block *const *blocks;
    int count = rpc_call_payloads(call, &blocks);
    Trial__Answer answer = TRIAL__ANSWER__INIT;
    answer.number = question->number;
    answer.text = question->text;
    if (trial->echo_us > 0)
        usleep((useconds_t)trial->echo_us);
    trial->served++;
    trial->last_number = question->number;
    trial->last_sender = *rpc_call_sender(call);
    trial->last_connection = rpc_call_connection(call);
    rpc_reply_payload(call, blocks, count);
    closure(&answer, call);
}

static void serve_bulk(Trial__Trial_Service *service, const Trial__Question *question,
                       Trial__Answer_Closure closure, void *closure_data)
{
    serve_echo(service, question, closure, closure_data);
}

static void serve_hold(Trial__Trial_Service *service, const Trial__Question *question,
                       Trial__Answer_Closure closure, void *closure_data)
{
    struct trial *trial = trial_of(service);
    cr_assert_lt(trial->held_count, HELD_MAX);
    trial->held[trial->held_count++] = closure_data;
}

static void serve_keep(Trial__Trial_Service *service, const Trial__Question *question,
                       Trial__Answer_Closure closure, void *closure_data)
{
    serve_hold(service, question, closure, closure_data);
}

static void serve_refuse(Trial__Trial_Service *service, const Trial__Question *question,
                         Trial__Answer_Closure closure, void *closure_data)
{
    rpc_fail(closure_data, ST_NOT_LEADER, "ask somebody else");
}

static void start(struct trial *trial, struct rpc_node self, struct curve_keys *keys, const char *bind,
                  const struct rpc_config *limits)
{
    memset(trial, 0, sizeof *trial);
    cr_assert_eq(env_posix_new("trial", 1, &trial->env), ST_OK);
    trial->env->diag.level = DIAG_ERROR;
    trial->transport = zmq_transport_new(trial->env, keys);
    struct rpc_config config = {.env = trial->env,
                                .transport = trial->transport,
                                .self = self,
                                .incarnation = 77,
                                .rules = trial_rules,
                                .calls_per_peer = limits->calls_per_peer,
                                .held_bytes_max = limits->held_bytes_max};
    trial->rpc = rpc_new(&config);
    trial->service = (Trial__Trial_Service)TRIAL__TRIAL__INIT(serve_);
    rpc_serve(trial->rpc, &trial->service.base);
    int port = 0;
    if (bind != NULL) {
        cr_assert_eq(rpc_listen(trial->rpc, bind, &port), ST_OK);
        snprintf(trial->endpoint, sizeof trial->endpoint, "tcp://127.0.0.1:%d", port);
    }
}

void trial_start(struct trial *trial, struct rpc_node self, struct curve_keys *keys, const char *bind)
{
    start(trial, self, keys, bind, &(struct rpc_config){.calls_per_peer = 0});
}

void trial_start_limited(struct trial *trial, struct rpc_node self, const char *bind,
                         const struct rpc_config *limits)
{
    start(trial, self, NULL, bind, limits);
}

void trial_stop(struct trial *trial)
{
    rpc_destroy(&trial->rpc);
    zmq_transport_destroy(&trial->transport);
    env_posix_destroy(&trial->env);
}

static void child_main(struct rpc_node self, int report_fd)
{
    static struct trial trial;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    trial_start(&trial, self, NULL, "tcp://127.0.0.1:0");
    if (write(report_fd, trial.endpoint, sizeof trial.endpoint) != sizeof trial.endpoint)
        _exit(1);
    env_posix_run(trial.env);
    _exit(0);
}

int trial_fork(struct rpc_node self, char endpoint[64])
{
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    int pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0)
        child_main(self, fds[1]);
    cr_assert_eq(read(fds[0], endpoint, 64), 64);
    close(fds[0]);
    close(fds[1]);
    return pid;
}

void trial_turn(struct trial *one, struct trial *other)
{
    env_posix_turn(one->env, other ? 0 : 1000);
    if (other != NULL)
        env_posix_turn(other->env, 200);
}

void trial_await_int(struct trial *one, struct trial *other, const int *number, int wanted)
{
    int64_t end_us = env_now_us(one->env) + 10000000;
    while (*number < wanted) {
        cr_assert_lt(env_now_us(one->env), end_us, "%d of %d", *number, wanted);
        trial_turn(one, other);
    }
}

void trial_await(struct trial *one, struct trial *other, const struct outcome *outcome, int count)
{
    trial_await_int(one, other, &outcome->count, count);
}

void trial_turns_for(struct trial *one, struct trial *other, int64_t ms)
{
    for (int64_t end_us = env_now_us(one->env) + ms * 1000; env_now_us(one->env) < end_us;)
        trial_turn(one, other);
}

void outcome_note(const Trial__Answer *answer, void *context)
{
    struct outcome *outcome = context;
    const struct rpc_result *result = rpc_result(outcome->trial->rpc);
    outcome->count++;
    outcome->status = result->status;
    cr_assert_eq(answer == NULL, result->status != ST_OK);
    snprintf(outcome->text, sizeof outcome->text, "%s", answer && answer->text ? answer->text : result->text);
    outcome->number = answer ? answer->number : 0;
    outcome->payload_count = result->payload_count;
    if (result->payload_count > 0) {
        outcome->payload_len = result->payload[0]->len;
        outcome->payload_first = result->payload[0]->data[0];
    }
}

void trial_ask(struct rpc_peer *peer, uint64_t number, const struct rpc_options *options,
               struct outcome *outcome)
{
    Trial__Question question = TRIAL__QUESTION__INIT;
    question.number = number;
    trial__trial__echo(rpc_on(peer, &trial__trial__descriptor, options), &question, outcome_note, outcome);
}

int64_t trial_metric(struct trial *trial, const char *name)
{
    for (struct metric *metric = trial->env->metrics->first; metric != NULL; metric = metric->next)
        if (strcmp(metric->name, name) == 0)
            return metric->value;
    cr_assert_fail("no metric %s", name);
    return -1;
}

int64_t trial_resident_bytes(int pid)
{
    char path[64];
    long size, resident;
    snprintf(path, sizeof path, pid ? "/proc/%d/statm" : "/proc/self/statm", pid);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    cr_assert_eq(fscanf(file, "%ld %ld", &size, &resident), 2);
    fclose(file);
    return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

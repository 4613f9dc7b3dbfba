// SPDX-License-Identifier: Apache-2.0
// Requests under way. An operation that reads runs on the state this process has; one that writes runs at the
// owner of its topic, here or (by rpc) elsewhere. Whatever cannot go on now (no state yet, no owner, a full
// ledger) is tried again until its deadline. An answer leaves when everything it could have seen is
// committed; at a process that reads along, when what the owner wrote for it has arrived here too, so that
// the client that asks next finds it.
//
// What is too dear for the loop (chores.h) is done by a job of a thread of its own, one request after the
// other; then the operation is run again, from the beginning, on the state of that moment. Only so many
// requests at a time have such jobs (seats.h); the next waits with nothing copied for it.
//
// When the outcome of a write is not known (the owner is gone, its ledger was dropped) it is tried again if a
// second run gives the same answer; others (deletions, new keys) are not, and are answered 50002, as is
// whatever waits for its commit when its time is over.
#include "registry_own.h"

#include "base/assert.h"
#include "base/mem.h"
#include "answer.h"
#include "chores.h"
#include "locate.h"

#include <stddef.h>

enum {
    RETRY_MS_MIN = 5,
    RETRY_MS_MAX = 100,
    FORWARD_MARGIN_MS = 200,
    MISS_MS = 1000,
    WORK_SPOT_MAX = 32 << 10 // (tune) bytes of schemas one run looks at on the loop: a millisecond or two
};

enum work_phase {
    WORK_WAITING,    // for what it takes to run, or for the timer to try again
    WORK_STANDING,   // for a seat, until the timer
    WORK_THINKING,   // a job does its chores, until the timer
    WORK_COMMITTING, // the ledger, until the timer
    WORK_FORWARDED,  // to the owner
    WORK_ARRIVING    // the owner has answered: until the records are here
};

struct registry_work {
    struct registry *registry;
    struct registry_store *store; // of the operation
    struct call *call;
    registry_fn *done;
    void *context;
    enum work_phase phase;
    int64_t deadline_us;
    int retry_ms;
    struct timer timer;
    struct ledger_wait wait;
    struct call_host host;
    int64_t position;                        // WORK_ARRIVING
    struct thinking *thinking;               // WORK_THINKING
    struct seat_wait seat;                   // WORK_STANDING
    bool seated;                             // its chores may have jobs
    bool full, settled;                      // of the last run as owner: no room; parts are written
    bool not_here;                           // what it registers is not in the state of this process
    bool inside;                             // registry_run has not returned
    bool ended;                              // ... and it is done already
    bool asked_owner;                        // of a read that found nothing here
    Millrace__RegistryReply_Closure closure; // it came by rpc
    struct rpc_call *rpc_call;
    struct registry_work *next, *previous;
};

// A job, and the chores it does, which are its own until it is done; so is the seat, if the work ends before.
struct thinking {
    struct job job;
    struct registry *registry;
    struct registry_work *work; // NULL: it has ended meanwhile
    struct chores *chores;
    size_t bytes;
};

// ---- ending ----

// Who gets the seat goes on at the next turn.
static void leave_seat(struct registry *registry)
{
    struct seat_wait *next = seats_leave(&registry->seats);
    if (next == NULL)
        return;
    struct registry_work *work =
        (struct registry_work *)((char *)next - offsetof(struct registry_work, seat));
    work->seated = true;
    work->phase = WORK_WAITING;
    timer_start_ms(registry->env, &work->timer, 0);
}

// What was looked at is not needed any more.
static void forget_chores(struct registry_work *work)
{
    chores_destroy(&work->call->chores);
    if (work->seated)
        leave_seat(work->registry);
    work->seated = false;
}

static void stop_thinking(struct registry_work *work)
{
    if (work->thinking == NULL)
        return;
    work->thinking->chores->stopping = true;
    work->thinking->work = NULL;
    work->thinking = NULL;
    work->seated = false; // its job has it
}

static void unlink_work(struct registry_work *work)
{
    struct registry *registry = work->registry;
    *(work->previous != NULL ? &work->previous->next : &registry->first) = work->next;
    if (work->next != NULL)
        work->next->previous = work->previous;
    registry->work_count--;
    stop_thinking(work);
    seats_cancel(&registry->seats, &work->seat);
    forget_chores(work);
    timer_stop(registry->env, &work->timer);
    ledger_wait_cancel(&work->wait);
    rpc_cancel(registry->rpc, work);
}

static void end(struct registry_work *work)
{
    struct registry *registry = work->registry;
    if (work->call->code >= 500)
        metric_inc(&registry->failed, 1);
    unlink_work(work);
    work->done(work->call, work->context);
    work->ended = true;
    if (!work->inside)
        mem_free(work);
}

static void fail(struct registry_work *work, int code, const char *text)
{
    call_fail(work->call, code, "%s", text);
    end(work);
}

static int64_t left_ms(const struct registry_work *work)
{
    return (work->deadline_us - env_now_us(work->registry->env)) / 1000;
}

// Whether the states the operation looks at are whole: keys have the modes and aliases of their subjects.
static bool has_state(const struct registry_work *work)
{
    bool whole = registry_has_state(work->store);
    return whole && registry_has_state(&work->registry->stores[STORE_SCHEMAS]);
}

static void try_later(struct registry_work *work)
{
    if (left_ms(work) <= 0) {
        if (!has_state(work))
            fail(work, 50301, "The schemas are not loaded yet");
        else if (work->full)
            fail(work, 50001, "Too much waits to be written; nothing of this request is");
        else
            fail(work, 50004, "No registry owns the schemas at the moment");
        return;
    }
    work->phase = WORK_WAITING;
    timer_start_ms(work->registry->env, &work->timer, work->retry_ms);
    work->retry_ms = work->retry_ms * 2 < RETRY_MS_MAX ? work->retry_ms * 2 : RETRY_MS_MAX;
}

static void end_unknown(struct registry_work *work)
{
    answer_unknown(work->call);
    end(work);
}

static void outcome_unknown(struct registry_work *work)
{
    if (!work->call->operation->write || work->call->operation->again)
        try_later(work);
    else
        end_unknown(work);
}

// ---- off the loop ----

static void think(struct job *job)
{
    chores_work(((struct thinking *)job)->chores);
}

static void attempt(struct registry_work *work);
static struct registry_work *work_go_on(struct registry_work *work);

static void thought(struct job *job)
{
    struct thinking *thinking = (struct thinking *)job;
    struct registry_work *work = thinking->work;
    thinking->registry->thinking_bytes -= thinking->bytes;
    if (work != NULL) {
        work->call->chores = thinking->chores;
        work->thinking = NULL;
        work_go_on(work);
    } else {
        chores_destroy(&thinking->chores);
        leave_seat(thinking->registry);
    }
    mem_free(thinking);
}

static void begin_thinking(struct registry_work *work)
{
    struct registry *registry = work->registry;
    struct thinking *thinking = mem_calloc(1, sizeof *thinking);
    *thinking = (struct thinking){.job = {.run = think, .done = thought},
                                  .registry = registry,
                                  .work = work,
                                  .chores = work->call->chores,
                                  .bytes = work->call->chores->bytes};
    work->call->chores = NULL;
    work->thinking = thinking;
    work->phase = WORK_THINKING;
    metric_inc(&registry->thoughts, 1);
    registry->thinking_bytes += thinking->bytes;
    timer_start_ms(registry->env, &work->timer, left_ms(work) > 0 ? left_ms(work) : 0);
    env_submit(registry->env, registry->thinkers, &thinking->job);
}

// Whether the operation came to its end on the spot.
static bool run_on_the_spot(struct registry_work *work)
{
    struct call *call = work->call;
    call_reset(call);
    if (call->chores == NULL)
        call->chores = chores_new();
    call->chores->spot_only = !work->seated && work->registry->seats.taken == SEATS_MAX;
    operation_run(call);
    return !call->later;
}

static void stand(struct registry_work *work)
{
    struct registry *registry = work->registry;
    chores_destroy(&work->call->chores);
    if (!seats_wait(&registry->seats, &work->seat)) {
        fail(work, 503, "Too many requests wait until their schemas are looked at");
        return;
    }
    work->phase = WORK_STANDING;
    timer_start_ms(registry->env, &work->timer, left_ms(work) > 0 ? left_ms(work) : 0);
}

// What did not. The work may be gone when this returns: too many may wait.
static void run_later(struct registry_work *work)
{
    work->seated = work->seated || seats_take(&work->registry->seats);
    if (work->seated)
        begin_thinking(work);
    else
        stand(work);
}

// Runs the operation. False: it could not come to an end on the spot; it goes on by itself, or has ended, and
// the caller leaves the work alone.
static bool run(struct registry_work *work)
{
    bool done = run_on_the_spot(work);
    if (!done)
        run_later(work);
    return done;
}

// ---- here ----

static uint64_t host_random(void *context)
{
    return env_random(((struct registry_work *)context)->registry->env);
}

static enum status append(struct registry_store *store, const struct call *call);

// Part of a call's records; the rest and the answer come later, and wait for all of them. AGAIN: there is no
// room to begin. What has begun goes on though the ledger is full by then, as it cannot be run again; it
// writes little more than its body has.
static enum status host_settle(struct call *call, void *context)
{
    struct registry_work *work = context;
    bool writes = call->record_count > 0;
    work->full |= writes && !work->settled && ledger_full(work->store->ledger);
    if (work->full)
        return ST_AGAIN;
    work->settled |= writes;
    return append(work->store, call);
}

static void on_committed(void *context, enum status status)
{
    struct registry_work *work = context;
    if (status == ST_OK)
        end(work);
    else
        outcome_unknown(work);
}

// INVALID: the state has refused a record of the call, which on_apply has told; nobody will ever see it.
static enum status append(struct registry_store *store, const struct call *call)
{
    enum status status = ST_OK;
    store->refused = false;
    for (size_t i = 0; i < call->record_count && status == ST_OK; i++) {
        struct slice key, value;
        call_record_at(call, i, &key, &value);
        status = ledger_append(store->ledger, key, value);
        if (store->refused)
            status = ST_INVALID;
    }
    return status;
}

static void append_failed(struct registry_work *work, enum status status)
{
    if (status != ST_INVALID) {
        fail(work, 42209, "The schema is too large to be written");
        return;
    }
    DIAG_ERROR(&work->registry->env->diag, "own record refused operation=%s", work->call->operation->name);
    fail(work, 50001, "What was to be written cannot be read back");
}

// A record of a call is at most CALL_RECORD_BYTES_MAX, but the ledger's limit may be lower; only one that is
// alone in its call can be that large.
static void run_as_owner(struct registry_work *work)
{
    struct registry_store *store = work->store;
    work->call->host = &work->host;
    work->full = work->settled = false;
    if (!run(work))
        return;
    work->call->host = NULL;
    work->full |= work->call->record_count > 0 && !work->settled && ledger_full(store->ledger);
    if (work->full) {
        try_later(work);
        return;
    }
    forget_chores(work);
    enum status status = append(store, work->call);
    if (status != ST_OK) {
        append_failed(work, status);
        return;
    }
    work->phase = WORK_COMMITTING;
    timer_start_ms(work->registry->env, &work->timer, left_ms(work) > 0 ? left_ms(work) : 0);
#ifdef PLANTED_SCHEMA_ANSWER_BEFORE_COMMIT
    end(work);
    return;
#endif
    ledger_wait(store->ledger, &work->wait, on_committed, work);
}

// ---- at the owner ----

static void read_here(struct registry_work *work);

// Whether the state here has what the owner wrote.
static bool arrived_here(const struct registry_work *work)
{
    return registry_position(work->store) >= work->position;
}

static void await_arrival(struct registry_work *work)
{
    if (arrived_here(work) || left_ms(work) <= 0) {
        end(work);
        return;
    }
    work->phase = WORK_ARRIVING;
    timer_start_ms(work->registry->env, &work->timer, left_ms(work));
}

// A read goes on as it is here. But records are refused for good by what is denied, so that only the owner
// may do that.
static void owner_silent(struct registry_work *work)
{
    if (work->call->operation == &operation_locate) {
        fail(work, 50003, "The owner of the schemas does not answer");
        return;
    }
    read_here(work); // as it is here
}

static void on_forwarded(const Millrace__RegistryReply *reply, void *context)
{
    struct registry_work *work = context;
    const struct rpc_result *result = rpc_result(work->registry->rpc);
    if (reply == NULL && work->asked_owner && !work->call->operation->write) {
        owner_silent(work);
        return;
    }
    if (reply == NULL) {
        bool ran_not = result->status == ST_NOT_LEADER || result->status == ST_LOADING ||
                       result->status == ST_AGAIN || result->status == ST_LIMIT;
        if (ran_not)
            try_later(work);
        else
            outcome_unknown(work);
        return;
    }
    call_reset(work->call);
    if (result->payload_count > 0)
        buf_append(&work->call->reply, result->payload[0]->data, result->payload[0]->len);
    work->call->code = reply->code;
    work->call->plain = reply->plain;
    work->position = reply->position;
    await_arrival(work);
}

static void query_pack(const struct call *call, Millrace__RegistryArgument *arguments,
                       Millrace__RegistryArgument **pointers)
{
    for (size_t i = 0; i < call->query_count; i++) {
        millrace__registry_argument__init(&arguments[i]);
        arguments[i].name = (char *)call->query[i].name;
        arguments[i].value = (char *)call->query[i].value;
        pointers[i] = &arguments[i];
    }
}

static void forward(struct registry_work *work, const struct image_node *owner, int64_t deadline_ms)
{
    struct registry *registry = work->registry;
    const struct call *call = work->call;
    Millrace__RegistryArgument arguments[CALL_QUERY_MAX], *pointers[CALL_QUERY_MAX];
    Millrace__RegistryRequest request = MILLRACE__REGISTRY_REQUEST__INIT;
    struct block *body = block_copy(call->body);
    if (body == NULL) {
        fail(work, 50003, "The request needs too much memory");
        return;
    }
    request.operation = (char *)call->operation->name;
    request.principal = (char *)call->principal;
    request.subject = (char *)call->subject;
    request.version = (char *)call->version;
    request.id = (char *)call->id;
    request.guid = (char *)call->guid;
    request.context = (char *)call->context;
    request.name = (char *)call->name;
    request.name_space = (char *)call->name_space;
    request.unknown_fields = call->unknown_fields;
    query_pack(call, arguments, pointers);
    request.n_query = call->query_count;
    request.query = pointers;
    struct rpc_options options = {.deadline_ms = deadline_ms, .payload = &body, .payload_count = 1};
    metric_inc(&registry->forwarded, 1);
    work->phase = WORK_FORWARDED;
    millrace__registry__run(
        rpc_on(contacts_to(&registry->peers, owner, RPC_REGISTRY), &millrace__registry__descriptor, &options),
        &request, on_forwarded, work);
    block_unref(&body);
}

// ---- which of the two ----

static void write_elsewhere(struct registry_work *work)
{
    const struct image_node *owner = registry_owner(work->store);
    if (!registry_has_topic(work->store))
        registry_need_topic(work->store);
    if (owner == NULL || left_ms(work) <= FORWARD_MARGIN_MS)
        try_later(work);
    else
        forward(work, owner, left_ms(work) - FORWARD_MARGIN_MS);
}

// The owner is to decide; what is here is not looked at again.
static void not_here(struct registry_work *work)
{
    forget_chores(work);
    work->not_here = true;
    write_elsewhere(work);
}

// Most registrations are of schemas that are there already: those are answered without a write.
static void register_elsewhere(struct registry_work *work)
{
    work->call->there_only = true;
    bool known = run_on_the_spot(work);
    work->call->there_only = false; // before anything that may end the work
    if (!known)
        run_later(work);
    else if (work->call->code == 200 && work->call->reply.len > 0)
        end(work);
    else
        not_here(work);
}

// How long the owner may take to answer a read, so that there is time left to pass it on.
static int64_t miss_ms(const struct registry_work *work)
{
    int64_t most_ms = left_ms(work) - FORWARD_MARGIN_MS;
    return most_ms < MISS_MS ? most_ms : MISS_MS;
}

// What is not found here may be there already: the owner is asked, once.
static void read_here(struct registry_work *work)
{
    const struct image_node *owner = registry_owner(work->store);
    if (!run(work))
        return;
    forget_chores(work);
    bool denied = work->call->code == 404 && !work->asked_owner;
    bool ask = owner != NULL && miss_ms(work) > 0;
    if (denied && !ask && work->call->operation == &operation_locate) {
        if (!registry_has_topic(work->store))
            registry_need_topic(work->store); // it may be there, and this process not have heard of it
        try_later(work);                      // or nobody owns the schemas now, or there is no time left
        return;
    }
    if (!denied || !ask) {
        end(work);
        return;
    }
    work->asked_owner = true;
    forward(work, owner, miss_ms(work));
}

static void attempt(struct registry_work *work)
{
    struct registry *registry = work->registry;
    timer_stop(registry->env, &work->timer);
    bool rpc = work->rpc_call != NULL;
    const struct ledger *ledger = work->store->ledger;
    if (ledger != NULL && has_state(work))
        run_as_owner(work);
    else if (rpc || ledger != NULL)
        try_later(work);
    else if (work->call->operation->run == op_register && has_state(work) && !work->not_here)
        register_elsewhere(work);
    else if (work->call->operation->write)
        write_elsewhere(work);
    else if (has_state(work) || work->call->operation->permission == PERMIT_NOTHING)
        read_here(work);
    else
        try_later(work);
}

static void on_timer(struct timer *timer)
{
    struct registry_work *work = timer->context;
    if (work->phase == WORK_ARRIVING)
        end(work); // there, or late
    else if (work->phase == WORK_THINKING || work->phase == WORK_STANDING)
        fail(work, 50002, "The schemas could not be looked at in time");
    else if (work->phase == WORK_COMMITTING)
        fail(work, 50002, "Whether it is committed is not known in time");
    else
        attempt(work);
}

static struct registry_work *work_new(struct registry *registry, struct call *call, int64_t deadline_us)
{
    struct registry_work *work = mem_calloc(1, sizeof *work);
    *work = (struct registry_work){.registry = registry,
                                   .store = &registry->stores[call->operation->store],
                                   .call = call,
                                   .deadline_us = deadline_us,
                                   .retry_ms = RETRY_MS_MIN,
                                   .next = registry->first};
    if (registry->first != NULL)
        registry->first->previous = work;
    registry->first = work;
    registry->work_count++;
    timer_init(&work->timer, on_timer, work);
    call->state = registry->state;
    call->keys = registry->keys;
    call->spot_max = WORK_SPOT_MAX;
    call->settings = &registry->settings;
    call->cluster = registry->cluster;
    call->now_ms = env_wall_ms(registry->env);
    work->host = (struct call_host){.random = host_random, .settle = host_settle, .context = work};
    metric_inc(&registry->requests, 1);
    return work;
}

// Begins, or goes on; the work is freed when it ends. Returns NULL when it has.
static struct registry_work *work_go_on(struct registry_work *work)
{
    work->inside = true;
    attempt(work);
    work->inside = false;
    if (!work->ended)
        return work;
    mem_free(work);
    return NULL;
}

struct registry_work *registry_run(struct registry *registry, struct call *call, registry_fn *done,
                                   void *context)
{
    int64_t deadline_us = env_now_us(registry->env) + (int64_t)REGISTRY_RUN_MS * 1000;
    return registry_run_until(registry, call, deadline_us, done, context);
}

struct registry_work *registry_run_until(struct registry *registry, struct call *call, int64_t deadline_us,
                                         registry_fn *done, void *context)
{
    struct registry_work *work = work_new(registry, call, deadline_us);
    work->done = done;
    work->context = context;
    return work_go_on(work);
}

// What can go on does so by its timer, at the next turn: ending one may begin or end others.
void work_wake(struct registry *registry)
{
    for (struct registry_work *work = registry->first; work != NULL; work = work->next) {
        if (work->inside || (work->phase != WORK_WAITING && work->phase != WORK_ARRIVING))
            continue;
        if (work->phase == WORK_WAITING || arrived_here(work))
            timer_start_ms(registry->env, &work->timer, 0);
    }
}

void work_stop(struct registry *registry)
{
    while (registry->first != NULL)
        fail(registry->first, 50301, "The registry stops");
}

// ---- the rpc service ----

static void served(struct call *call, void *context)
{
    struct registry_work *work = context;
    Millrace__RegistryReply reply = MILLRACE__REGISTRY_REPLY__INIT;
    struct block *body = block_copy(buf_slice(&call->reply));
    reply.code = call->code;
    reply.plain = call->plain;
    const struct ledger *ledger = work->store->ledger;
    reply.position = ledger != NULL ? ledger_view(ledger).position : 0;
    if (body == NULL || ledger == NULL) {
        rpc_fail(work->rpc_call, body == NULL ? ST_NO_MEMORY : ST_CLOSED, "the owner has changed");
    } else {
        rpc_reply_payload(work->rpc_call, &body, 1);
        work->closure(&reply, work->rpc_call);
    }
    block_unref(&body);
    call_fini(call);
    mem_free(call);
}

static struct call *call_of(const Millrace__RegistryRequest *request, struct rpc_call *rpc_call)
{
    struct block *body = rpc_call_payload(rpc_call);
    struct call *call = mem_calloc(1, sizeof *call);
    call_init(call);
    call->operation = operation_find(request->operation);
    call->principal = request->principal;
    call->subject = request->subject;
    call->version = request->version;
    call->id = request->id;
    call->guid = request->guid;
    call->context = request->context;
    call->name = request->name;
    call->name_space = request->name_space;
    call->unknown_fields = request->unknown_fields;
    call->body = body != NULL ? block_slice(body) : slice_of("", 0);
    call->query_count = request->n_query < CALL_QUERY_MAX ? request->n_query : CALL_QUERY_MAX;
    for (size_t i = 0; i < call->query_count; i++)
        call->query[i] = (struct call_pair){request->query[i]->name, request->query[i]->value};
    return call;
}

static void serve_run(Millrace__Registry_Service *service, const Millrace__RegistryRequest *request,
                      Millrace__RegistryReply_Closure closure, void *closure_data)
{
    struct registry *registry = (struct registry *)((char *)service - offsetof(struct registry, service));
    const struct operation *operation = operation_find(request->operation);
    if (operation == NULL) {
        rpc_fail(closure_data, ST_UNSUPPORTED, "no such operation");
        return;
    }
    const struct ledger *ledger = registry->stores[operation->store].ledger;
    if (ledger == NULL || !ledger_ready(ledger)) {
        rpc_fail(closure_data, ledger == NULL ? ST_NOT_LEADER : ST_LOADING, "not the owner");
        return;
    }
    struct registry_work *work =
        work_new(registry, call_of(request, closure_data), rpc_call_deadline_us(closure_data));
    work->closure = closure;
    work->rpc_call = closure_data;
    work->done = served;
    work->context = work;
    work_go_on(work);
}

static void serve_locate(Millrace__Registry_Service *service, const Millrace__LocateRequest *request,
                         Millrace__RegistryReply_Closure closure, void *closure_data)
{
    struct registry *registry = (struct registry *)((char *)service - offsetof(struct registry, service));
    locate_serve(registry, request, closure, closure_data);
}

void work_serve(struct registry *registry)
{
    registry->service = (Millrace__Registry_Service)MILLRACE__REGISTRY__INIT(serve_);
    rpc_serve(registry->rpc, &registry->service.base);
}

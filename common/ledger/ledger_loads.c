// SPDX-License-Identifier: Apache-2.0
// See ledger_loads.h. A ledger is in the list from the answer of LedgerOpen until it is whole, or has to be
// opened again; it has bytes when a LedgerRead was answered that is not applied yet.
#include "ledger/ledger_loads.h"

#include "base/assert.h"
#include "base/mem.h"
#include "ledger/ledger_state.h"

struct ledger_loads {
    struct env *env;
    struct ledger *first, *last;
    struct timer timer; // runs while a ledger has bytes
    struct metric total, seconds, slices, records, now;
};

// ---- the list ----

void ledger_loads_enter(struct ledger *ledger)
{
    struct ledger_loads *loads = ledger->config.loads;
    struct ledger_load *load = &ledger->load;
    if (load->listed)
        return;
    load->listed = true;
    load->began_us = env_now_us(loads->env);
    load->next = NULL;
    load->previous = loads->last;
    *(loads->last != NULL ? &loads->last->load.next : &loads->first) = ledger;
    loads->last = ledger;
    metric_inc(&loads->now, 1);
}

void ledger_loads_leave(struct ledger *ledger, bool whole)
{
    struct ledger_loads *loads = ledger->config.loads;
    struct ledger_load *load = &ledger->load;
    if (!load->listed)
        return;
    load->listed = false;
    *(load->previous != NULL ? &load->previous->load.next : &loads->first) = load->next;
    *(load->next != NULL ? &load->next->load.previous : &loads->last) = load->previous;
    metric_inc(&loads->now, -1);
    if (!whole)
        return;
    metric_inc(&loads->total, 1);
    metric_observe_us(&loads->seconds, env_now_us(loads->env) - load->began_us);
}

void ledger_loads_kick(struct ledger_loads *loads)
{
    if (!timer_running(&loads->timer))
        timer_start_us(loads->env, &loads->timer, 0);
}

static struct ledger *first_with_bytes(const struct ledger_loads *loads)
{
    struct ledger *ledger = loads->first;
    while (ledger != NULL && ledger->load.bytes == NULL)
        ledger = ledger->load.next;
    return ledger;
}

// ---- slices ----

bool ledger_slice_over(const struct ledger_slice *slice)
{
    return slice->records >= LEDGER_SLICE_RECORDS || env_now_us(slice->env) >= slice->end_us;
}

static void on_slice(struct timer *timer)
{
    struct ledger_loads *loads = timer->context;
    int64_t began_us = env_now_us(loads->env);
    struct ledger_slice slice = {.env = loads->env, .end_us = began_us + LEDGER_SLICE_US};
    struct ledger *ledger;
    while ((ledger = first_with_bytes(loads)) != NULL && !ledger_slice_over(&slice))
        ledger_load_apply(ledger, &slice); // takes it off the list when it is whole
    metric_inc(&loads->records, slice.records);
    metric_observe_us(&loads->slices, env_now_us(loads->env) - began_us);
    if (ledger != NULL)
        ledger_loads_kick(loads);
}

// ---- life ----

static void start(struct ledger_loads *loads, struct metric *metric, enum metric_kind kind, const char *name,
                  const char *help)
{
    *metric = (struct metric){.name = name, .help = help, .kind = kind};
    metric_add(loads->env->metrics, metric);
}

static void metrics_start(struct ledger_loads *loads)
{
    start(loads, &loads->total, METRIC_COUNTER, "millrace_ledger_loads_total", "Ledgers loaded whole.");
    start(loads, &loads->seconds, METRIC_HISTOGRAM, "millrace_ledger_load_seconds",
          "From the opening of a ledger's log until its state was whole.");
    start(loads, &loads->slices, METRIC_HISTOGRAM, "millrace_ledger_load_slice_seconds",
          "What turns of the loop have spent on records of ledgers that are loaded.");
    start(loads, &loads->records, METRIC_COUNTER, "millrace_ledger_load_records_total",
          "Records applied while ledgers were loaded.");
    start(loads, &loads->now, METRIC_GAUGE, "millrace_ledger_loading", "Ledgers being loaded.");
}

struct ledger_loads *ledger_loads_new(struct env *env)
{
    struct ledger_loads *loads = mem_calloc(1, sizeof *loads);
    loads->env = env;
    timer_init(&loads->timer, on_slice, loads);
    metrics_start(loads);
    return loads;
}

void ledger_loads_destroy(struct ledger_loads **pointer)
{
    struct ledger_loads *loads = *pointer;
    *pointer = NULL;
    ASSERT(loads->first == NULL);
    timer_stop(loads->env, &loads->timer);
    struct metric *all[] = {&loads->total, &loads->seconds, &loads->slices, &loads->records, &loads->now};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        metric_remove(loads->env->metrics, all[i]);
    mem_free(loads);
}

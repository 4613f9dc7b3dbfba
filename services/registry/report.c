// SPDX-License-Identifier: Apache-2.0
// What a registry tells about itself: readiness, dump for the survey, metrics.
#include "registry_own.h"

#include <inttypes.h>

enum { GAUGES_MS = 1000 };

static bool store_ready(const struct registry_store *store, struct buf *reason)
{
    if (!registry_has_state(store))
        buf_printf(reason, "%s is being loaded", store->topic);
    else if (registry_has_topic(store) && store->ledger == NULL && registry_owner(store) == NULL)
        buf_printf(reason, "no registry owns %s", store->topic);
    else
        return true;
    return false;
}

bool registry_ready(struct registry *registry, struct buf *reason)
{
    enum member_state state = registry->member != NULL ? member_state(registry->member) : MEMBER_JOINING;
    if (registry->drain != DRAIN_NONE) {
        buf_printf(reason, "draining");
        return false;
    }
    if (state != MEMBER_ACTIVE || !registry->joined) {
        buf_printf(reason, "%s", member_state_text(state));
        return false;
    }
    for (int i = 0; i < STORES; i++)
        if (!store_ready(&registry->stores[i], reason))
            return false;
    return true;
}

static void dump_ledger(const struct registry_store *store, struct buf *out)
{
    struct ledger_view view = ledger_view(store->ledger);
    buf_printf(out,
               "ledger=topic=%s owner_epoch=%" PRId32 " phase=%s position=%" PRId64 " log_end=%" PRId64
               " batches=%" PRIu64 " records=%" PRIu64 " reopens=%" PRIu64 " drops=%" PRIu64 "\n",
               store->topic, store->owner_epoch, view.phase, view.position, view.log_end, view.batches,
               view.records, view.reopens, view.drops);
}

static void dump_store(const struct registry_store *store, struct buf *out)
{
    if (store->ledger != NULL)
        dump_ledger(store, out);
    else
        buf_printf(out, "tail=topic=%s position=%" PRId64 " ready=%s\n", store->topic,
                   ledger_tail_position(store->tail), ledger_tail_ready(store->tail) ? "yes" : "no");
}

void registry_dump(struct registry *registry, struct buf *out)
{
    enum member_state state = registry->member != NULL ? member_state(registry->member) : MEMBER_JOINING;
    buf_printf(out, "node=%" PRId32 "\nstate=%s\n", registry->node_id, member_state_text(state));
    buf_printf(out, "metadata_offset=%" PRId64 "\nmetadata_commit=%" PRId64 "\n",
               image_offset(registry->image), follow_commit(registry->follow));
    buf_printf(out, "subjects=%zu\nschemas=%zu\nkeys=%zu\nrequests=%zu\n",
               state_subject_count(registry->state), state_schema_count(registry->state),
               keys_count(registry->keys), registry->work_count);
    for (int i = 0; i < STORES; i++)
        dump_store(&registry->stores[i], out);
}

// ---- metrics ----

static void on_gauges(struct timer *timer)
{
    struct registry *registry = timer->context;
    const struct registry_store *schemas = &registry->stores[STORE_SCHEMAS];
    metric_set(&registry->subjects, (int64_t)state_subject_count(registry->state));
    metric_set(&registry->schemas, (int64_t)state_schema_count(registry->state));
    metric_set(&registry->owner, schemas->ledger != NULL && ledger_ready(schemas->ledger));
    metric_set(&registry->waiting, (int64_t)registry->work_count);
    metric_set(&registry->thinking, (int64_t)registry->thinking_bytes);
    metric_set(&registry->seatless, (int64_t)registry->seats.waiting);
    metric_set(&registry->keys_held, (int64_t)keys_count(registry->keys));
    metric_set(&registry->associations, (int64_t)associations_count(state_associations(registry->state)));
    timer_start_ms(registry->env, &registry->gauges, GAUGES_MS);
}

void registry_report_start(struct registry *registry)
{
    const struct {
        struct metric *metric;
        const char *name, *help;
        enum metric_kind kind;
    } rows[] = {
        {&registry->requests, "millrace_registry_requests_total", "Operations asked for, by REST or rpc.",
         METRIC_COUNTER},
        {&registry->forwarded, "millrace_registry_forwarded_total", "Operations passed on to the owner.",
         METRIC_COUNTER},
        {&registry->failed, "millrace_registry_failed_total", "Operations answered with 5xx.",
         METRIC_COUNTER},
        {&registry->passed_over, "millrace_registry_records_passed_over_total",
         "Records of _schemas that could not be used.", METRIC_COUNTER},
        {&registry->thoughts, "millrace_registry_jobs_total",
         "Times that schemas were too large to be looked at between other requests.", METRIC_COUNTER},
        {&registry->keys_held, "millrace_registry_keys", "KEKs and DEKs, deleted ones too.", METRIC_GAUGE},
        {&registry->associations, "millrace_registry_associations", "Associations of subjects and resources.",
         METRIC_GAUGE},
        {&registry->thinking, "millrace_registry_job_bytes", "Bytes of schemas with such jobs.",
         METRIC_GAUGE},
        {&registry->seatless, "millrace_registry_job_waiters",
         "Operations that wait until they may have such a job.", METRIC_GAUGE},
        {&registry->subjects, "millrace_registry_subjects", "Subjects with a version, deleted ones too.",
         METRIC_GAUGE},
        {&registry->schemas, "millrace_registry_schemas", "Schemas with an id.", METRIC_GAUGE},
        {&registry->owner, "millrace_registry_owner", "1 when this process owns _schemas.", METRIC_GAUGE},
        {&registry->waiting, "millrace_registry_requests", "Operations under way.", METRIC_GAUGE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        *rows[i].metric = (struct metric){.name = rows[i].name, .help = rows[i].help, .kind = rows[i].kind};
        metric_add(registry->env->metrics, rows[i].metric);
    }
    timer_init(&registry->gauges, on_gauges, registry);
    timer_start_ms(registry->env, &registry->gauges, GAUGES_MS);
}

void registry_report_stop(struct registry *registry)
{
    struct metric *const all[] = {&registry->requests,    &registry->forwarded, &registry->failed,
                                  &registry->passed_over, &registry->subjects,  &registry->schemas,
                                  &registry->owner,       &registry->waiting,   &registry->thoughts,
                                  &registry->thinking,    &registry->keys_held, &registry->associations,
                                  &registry->seatless};
    timer_stop(registry->env, &registry->gauges);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        metric_remove(registry->env->metrics, all[i]);
}

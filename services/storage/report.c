// SPDX-License-Identifier: Apache-2.0
// See report.h. One request is under way at a time.
#include "report.h"

#include "base/mem.h"
#include "partitions_state.h"

enum { REPORTS_MAX = 1000, REPORT_TIMEOUT_MS = 2000, REPORT_RETRY_MS = 100 };

struct reports {
    struct partitions *partitions;
    struct timer timer;
    int64_t failures; // dirs_failures when all replicas were looked at last, -1: never
    struct controllers_pending *pending;
};

// What one request says; the messages point at one another.
struct report_list {
    Millrace__ReplicaReport rows[REPORTS_MAX], *pointers[REPORTS_MAX];
    size_t count;
};

static const struct image_partition *placed(const struct replica *replica)
{
    return image_partition(replica->partitions->options.image, replica->topic_id, replica->index);
}

static bool log_failed(const struct log *log)
{
    enum status status = log_status(log);
    return status != ST_OK && status != ST_NO_SPACE;
}

bool report_failed(const struct replica *replica)
{
    const struct image_partition *now = placed(replica);
    return now != NULL && image_ids_have(&now->failed, replica->partitions->options.node_id);
}

bool report_spared(const struct replica *replica)
{
    const struct image_partition *now = placed(replica);
    int32_t self = replica->partitions->options.node_id;
    return now != NULL && image_ids_have(&now->failed, self) && !image_ids_have(&now->isr, self);
}

// False: the image has it as it is.
static bool differs(const struct replica *replica, const struct image_partition *now,
                    Millrace__ReplicaCondition *condition)
{
    int32_t self = replica->partitions->options.node_id;
    bool marked = image_ids_have(&now->failed, self), in_isr = image_ids_have(&now->isr, self);
    if (replica->missing || log_failed(replica->log)) {
        *condition = MILLRACE__REPLICA_CONDITION__REPLICA_FAILED;
        return !marked;
    }
    if (log_lost(replica->log) && in_isr) {
        *condition = MILLRACE__REPLICA_CONDITION__REPLICA_LOST;
        return true;
    }
    if (replica->damaged_at >= 0) {
        *condition = MILLRACE__REPLICA_CONDITION__REPLICA_DAMAGED;
        return !marked && (!in_isr || now->isr.count > 1);
    }
    *condition = MILLRACE__REPLICA_CONDITION__REPLICA_GOOD;
    return marked && !replica->cutting;
}

// Not while an older log of its name is being removed.
static bool is_known(const struct replica *replica)
{
    return (replica->log != NULL || replica->missing) && !replica->closing;
}

bool report_due(const struct replica *replica)
{
    Millrace__ReplicaCondition condition;
    const struct image_partition *now = placed(replica);
    return now != NULL && is_known(replica) && differs(replica, now, &condition);
}

static void list_add(struct report_list *list, struct replica *replica)
{
    const struct image_partition *now = placed(replica);
    Millrace__ReplicaReport *row = &list->rows[list->count];
    millrace__replica_report__init(row);
    if (now == NULL || !is_known(replica) || !differs(replica, now, &row->condition))
        return;
    row->topic_id =
        (ProtobufCBinaryData){.len = sizeof replica->topic_id.bytes, .data = replica->topic_id.bytes};
    row->partition = replica->index;
    row->partition_epoch = now->partition_epoch;
    list->pointers[list->count++] = row;
}

static void report_on_reply(void *context, enum status status, const ProtobufCMessage *message,
                            struct slice payload, const char *text)
{
    struct reports *reports = context;
    reports->pending = NULL;
    // What it said comes with the image; what that does not have then is said again.
    timer_start_ms(reports->partitions->options.env, &reports->timer, REPORT_RETRY_MS);
}

static void report_send(struct reports *reports, const struct report_list *list)
{
    const struct partitions_options *options = &reports->partitions->options;
    Millrace__ReportReplicasRequest request = MILLRACE__REPORT_REPLICAS_REQUEST__INIT;
    request.node_id = options->node_id;
    request.incarnation = options->incarnation;
    request.n_replicas = list->count;
    request.replicas = (Millrace__ReplicaReport **)(uintptr_t)list->pointers;
    struct controllers_call call = {.method = "ReportReplicas",
                                    .request = &request.base,
                                    .timeout_ms = REPORT_TIMEOUT_MS,
                                    .idempotent = true,
                                    .done = report_on_reply,
                                    .context = reports};
    reports->pending = controllers_invoke(options->controllers, &call);
}

static void report_fire(struct timer *timer)
{
    struct reports *reports = timer->context;
    struct partitions *partitions = reports->partitions;
    if (reports->pending != NULL || partitions->closing)
        return;
    struct report_list *list = mem_calloc(1, sizeof *list);
    struct map_entry *at = NULL;
    void *replica;
    while (list->count < REPORTS_MAX && map_next(&partitions->replicas, &at, NULL, &replica))
        list_add(list, replica);
    if (list->count > 0)
        report_send(reports, list);
    else
        dirs_settle(partitions->options.dirs);
    mem_free(list);
}

struct reports *reports_new(struct partitions *partitions)
{
    struct reports *reports = mem_calloc(1, sizeof *reports);
    reports->partitions = partitions;
    reports->failures = -1;
    timer_init(&reports->timer, report_fire, reports);
    return reports;
}

void reports_destroy(struct reports **pointer)
{
    struct reports *reports = *pointer;
    *pointer = NULL;
    timer_stop(reports->partitions->options.env, &reports->timer);
    if (reports->pending != NULL)
        controllers_cancel(reports->partitions->options.controllers, &reports->pending);
    mem_free(reports);
}

void reports_soon(struct reports *reports)
{
    if (reports->pending == NULL && !timer_running(&reports->timer))
        timer_start_ms(reports->partitions->options.env, &reports->timer, 0);
}

void reports_tick(struct reports *reports)
{
    int64_t failures = dirs_failures(reports->partitions->options.dirs);
    if (failures != reports->failures)
        reports_soon(reports);
    reports->failures = failures;
}

// SPDX-License-Identifier: Apache-2.0
// See refusal.h.
#include "refusal.h"

#include "kafka/codec.h"
#include "kafka/errors.h"

#include <inttypes.h>

int16_t refusal_error(enum status status)
{
    switch (status) {
    case ST_CORRUPT:
        return KAFKA_ERR_CORRUPT_MESSAGE;
    case ST_OUT_OF_RANGE:
        return KAFKA_ERR_INVALID_TIMESTAMP;
    case ST_LIMIT:
        return KAFKA_ERR_MESSAGE_TOO_LARGE;
    case ST_NO_MEMORY:
        return KAFKA_ERR_KAFKA_STORAGE_ERROR;
    case ST_UNSUPPORTED:
        return KAFKA_ERR_UNSUPPORTED_COMPRESSION_TYPE;
    default:
        return KAFKA_ERR_INVALID_RECORD;
    }
}

static const char *fault_text(struct arena *arena, const char *partition, const struct batch_rules *rules,
                              const struct batch_fault *fault)
{
    if (fault->fault == ST_MALFORMED)
        return arena_printf(arena, "Compacted topic cannot accept message without key in topic partition %s",
                            partition);
    struct batch_times times = batch_times_of(rules);
    return arena_printf(
        arena, "timestamp %" PRId64 " of record %" PRId32 " for %s is not in [%" PRId64 ", %" PRId64 "]",
        fault->timestamp, fault->record, partition, times.oldest, times.newest);
}

void refusal_records(struct kafka_produce_response_partition_produce_response *answer, struct arena *arena,
                     const char *partition, const struct batch_rules *rules,
                     const struct batch_verdict *verdict)
{
    typedef struct kafka_produce_response_batch_index_and_error_message fault_t;
    fault_t *faults = kafka_structure_array(&kafka_produce_response_batch_index_and_error_message_type, arena,
                                            verdict->fault_count);
    if (faults == NULL)
        return;
    for (int i = 0; i < verdict->fault_count; i++) {
        faults[i].batch_index = verdict->faults[i].record;
        faults[i].batch_index_error_message =
            slice_str(fault_text(arena, partition, rules, &verdict->faults[i]));
    }
    answer->record_errors = faults;
    answer->record_errors_count = verdict->fault_count;
}

void refusal_schemas(struct kafka_produce_response_partition_produce_response *answer, struct arena *arena,
                     const char *topic, const struct guard_report *report)
{
    typedef struct kafka_produce_response_batch_index_and_error_message fault_t;
    fault_t *faults = kafka_structure_array(&kafka_produce_response_batch_index_and_error_message_type, arena,
                                            report->fault_count);
    answer->error_message = slice_str(guard_fault_text(arena, topic, &report->faults[0]));
    if (faults == NULL)
        return;
    for (int i = 0; i < report->fault_count; i++) {
        faults[i].batch_index = report->faults[i].record;
        faults[i].batch_index_error_message = slice_str(guard_fault_text(arena, topic, &report->faults[i]));
    }
    answer->record_errors = faults;
    answer->record_errors_count = report->fault_count;
}

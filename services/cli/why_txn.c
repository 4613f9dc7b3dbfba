// SPDX-License-Identifier: Apache-2.0
// Why a transaction is open: the state its coordinator has, whose marker it waits for, and when its producer
// was last heard at the partitions. See why.h.
#include "why.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SILENT_MS = 10000 };

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static enum cli_exit metadata_of(struct why *why, const struct kafka_metadata_response **metadata)
{
    return admin_metadata(why->admin, NULL, 0, metadata);
}

// When the transaction's producer last wrote anywhere; -1: nobody knows.
static int64_t last_write_ms(struct why *why, const cJSON *txn,
                             const struct kafka_metadata_response *metadata)
{
    const cJSON *row;
    int64_t last_ms = -1;
    cJSON_ArrayForEach(row, json_get(txn, "partitions"))
    {
        struct slice topic = slice_str(why_string(row, "topic"));
        int32_t index = (int32_t)why_number(row, "partition");
        const struct kafka_metadata_response_metadata_response_partition *partition =
            why_partition(metadata, topic, index);
        struct why_producer producer = {.id = why_number(txn, "producer_id")};
        if (partition != NULL && partition->leader_id >= 0 &&
            why_producer_at(why, partition->leader_id, topic, index, &producer) && producer.last_ms > last_ms)
            last_ms = producer.last_ms;
    }
    return last_ms;
}

static void say_open(struct why *why, const char *name, const cJSON *txn,
                     const struct kafka_metadata_response *metadata)
{
    int64_t last_ms = last_write_ms(why, txn, metadata), silent_ms = last_ms < 0 ? -1 : wall_ms() - last_ms;
    why_say(why, "transaction_open",
            "Transaction %s of producer %lld (epoch %lld) has been open for %s with %d partitions; it is "
            "aborted in "
            "%s unless its producer ends it.",
            name, (long long)why_number(txn, "producer_id"), (long long)why_number(txn, "epoch"),
            why_time(why_number(txn, "age_ms")).text, cJSON_GetArraySize(json_get(txn, "partitions")),
            why_time(why_number(txn, "times_out_in_ms")).text);
    if (silent_ms >= SILENT_MS)
        why_say(why, "producer_silent",
                "Its producer has written nothing for %s: it works on something else, hangs, or is gone.",
                why_time(silent_ms).text);
}

static void say_marker(struct why *why, const char *name, const cJSON *row, const cJSON *txn,
                       const struct kafka_metadata_response *metadata)
{
    struct slice topic = slice_str(why_string(row, "topic"));
    int32_t index = (int32_t)why_number(row, "partition");
    const struct kafka_metadata_response_metadata_response_partition *partition =
        why_partition(metadata, topic, index);
    const char *state = why_string(txn, "state");
    const char *end = strcmp(state, "PrepareCommit") == 0 ? "committed" : "aborted";
    bool offline = partition != NULL && partition->leader_id < 0;
    why_say(why, "marker_missing",
            "Transaction %s is being %s since %s and waits for the marker in %.*s-%d, %s.", name, end,
            why_time(why_number(txn, "state_age_ms")).text, (int)topic.len, (const char *)topic.data, index,
            partition == NULL ? "which does not exist any more"
            : offline         ? "which is offline"
                              : "whose leader has not written it yet");
    if (offline)
        why_offline(why, metadata, topic, index);
}

enum cli_exit why_txn(struct why *why, const char *name)
{
    const struct daemons_thing thing = {.role = "coordinator",
                                        .what = "transactional id",
                                        .before = "/v1/transactions/",
                                        .name = name,
                                        .after = ""};
    const struct kafka_metadata_response *metadata;
    cJSON *txn;
    enum cli_exit code = daemons_get_thing(why->daemons, &thing, &txn);
    if (code == CLI_DONE)
        code = metadata_of(why, &metadata);
    if (code != CLI_DONE)
        return code;
    const char *state = why_string(txn, "state");
    const cJSON *row;
    if (strcmp(state, "Ongoing") == 0)
        say_open(why, name, txn, metadata);
    else if (strncmp(state, "Prepare", 7) == 0)
        cJSON_ArrayForEach(row, json_get(txn, "without_marker")) say_marker(why, name, row, txn, metadata);
    why_fine(why, "Transactional id %s has no open transaction (%s for %s).", name, state,
             why_time(why_number(txn, "state_age_ms")).text);
    cJSON_Delete(txn);
    return CLI_DONE;
}

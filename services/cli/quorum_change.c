// SPDX-License-Identifier: Apache-2.0
// millrace quorum add|remove: gives a controller a vote over the metadata, or takes it (AddRaftVoter and
// RemoveRaftVoter, KIP-853). A voter is an id and a directory id; which directory an id has is asked of the
// cluster (DescribeQuorum) unless it is told. A controller that has not caught up is waited for.
#include "quorum_change.h"

#include "admin.h"

#include "kafka/errors.h"
#include "kafka/messages/add_raft_voter.h"
#include "kafka/messages/describe_quorum.h"
#include "kafka/messages/remove_raft_voter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct kafka_describe_quorum_response_partition_data partition_t;
typedef struct kafka_describe_quorum_response_replica_state replica_t;

enum { VERSION_DIRECTORIES = 2, TRY_MS = 5000 };

struct quorum_change {
    struct admin_options options;
    const char *directory; // NULL: of the id
    bool removes;
};

static enum cli_exit check(const struct cli_many *positional, void *context)
{
    const struct quorum_change *change = context;
    const char *text = positional->items[0];
    struct uuid directory;
    if (*text == '\0' || strlen(text) > 9 || strspn(text, "0123456789") != strlen(text))
        return cli_fail(CLI_USAGE, "'%s' is not a controller's id", text);
    if (change->directory != NULL && !uuid_parse(change->directory, &directory))
        return cli_fail(CLI_USAGE, "'%s' is not a directory id", change->directory);
    return CLI_DONE;
}

static enum cli_exit describe(struct admin *admin, const partition_t **partition)
{
    struct kafka_describe_quorum_request_partition_data index;
    struct kafka_describe_quorum_request_topic_data topic;
    struct kafka_describe_quorum_request request;
    const void *body;
    kafka_structure_defaults(&kafka_describe_quorum_request_partition_data_type, &index);
    kafka_structure_defaults(&kafka_describe_quorum_request_topic_data_type, &topic);
    kafka_defaults(&kafka_describe_quorum_request_message, &request);
    topic.topic_name = slice_str("__cluster_metadata");
    topic.partitions = &index;
    topic.partitions_count = 1;
    request.topics = &topic;
    request.topics_count = 1;
    if (admin_version(admin, ADMIN_ANY_NODE, KAFKA_API_DESCRIBE_QUORUM, -1) < VERSION_DIRECTORIES)
        return cli_fail(CLI_FAILED, "the broker tells no directories of voters (it is older than Kafka 3.9)");
    enum cli_exit code = admin_call(admin, ADMIN_ANY_NODE, KAFKA_API_DESCRIBE_QUORUM, -1, &request, &body);
    if (code != CLI_DONE)
        return code;
    const struct kafka_describe_quorum_response *response = body;
    bool whole = response->topics_count == 1 && response->topics[0].partitions_count == 1;
    *partition = whole ? &response->topics[0].partitions[0] : NULL;
    int16_t error = response->error_code != 0 || !whole ? response->error_code : (*partition)->error_code;
    if (error != 0 || !whole)
        return admin_refused("quorum", slice_str(""), error, response->error_message);
    return CLI_DONE;
}

static const replica_t *replica_of(const replica_t *rows, int32_t count, int32_t id)
{
    for (int32_t i = 0; i < count; i++)
        if (rows[i].replica_id == id)
            return &rows[i];
    return NULL;
}

// The directory of whoever is meant: a voter to be removed, or one that follows.
static enum cli_exit directory_find(struct admin *admin, const struct quorum_change *change, int32_t id,
                                    struct uuid *directory)
{
    const partition_t *partition = NULL;
    if (change->directory != NULL) {
        uuid_parse(change->directory, directory);
        return CLI_DONE;
    }
    do {
        enum cli_exit code = describe(admin, &partition);
        if (code != CLI_DONE)
            return code;
        const replica_t *row = replica_of(partition->current_voters, partition->current_voters_count, id);
        if (row == NULL && !change->removes)
            row = replica_of(partition->observers, partition->observers_count, id);
        if (row != NULL) {
            *directory = row->replica_directory_id;
            return CLI_DONE;
        }
    } while (!change->removes && admin_again(admin, KAFKA_ERR_REQUEST_TIMED_OUT));
    return cli_fail(
        CLI_ABSENT,
        change->removes ? "controller %d has no vote" : "controller %d does not follow the metadata log", id);
}

// Sends the request until it is done or refused for good. already: what a second try is told when the first,
// whose outcome was not known, had been done.
static enum cli_exit ask(struct admin *admin, int16_t api, const void *request, int16_t already)
{
    for (bool first = true;; first = false) {
        const void *body;
        enum cli_exit code = admin_call(admin, ADMIN_ANY_NODE, api, -1, request, &body);
        if (code != CLI_DONE)
            return code;
        const struct kafka_add_raft_voter_response *added = body;
        const struct kafka_remove_raft_voter_response *removed = body;
        bool adds = api == KAFKA_API_ADD_RAFT_VOTER;
        int16_t error = adds ? added->error_code : removed->error_code;
        if (error == 0 || (error == already && !first))
            return CLI_DONE;
        if (!admin_again(admin, error))
            return admin_refused("voter", slice_str(adds ? "cannot be added" : "cannot be removed"), error,
                                 adds ? added->error_message : removed->error_message);
    }
}

static enum cli_exit add(struct admin *admin, int32_t id, struct uuid directory)
{
    struct kafka_add_raft_voter_request request;
    kafka_defaults(&kafka_add_raft_voter_request_message, &request);
    request.cluster_id = (struct slice){0}; // whichever this is
    request.timeout_ms = TRY_MS;
    request.voter_id = id;
    request.voter_directory_id = directory;
    return ask(admin, KAFKA_API_ADD_RAFT_VOTER, &request, KAFKA_ERR_DUPLICATE_VOTER);
}

static enum cli_exit take(struct admin *admin, int32_t id, struct uuid directory)
{
    struct kafka_remove_raft_voter_request request;
    kafka_defaults(&kafka_remove_raft_voter_request_message, &request);
    request.cluster_id = (struct slice){0};
    request.voter_id = id;
    request.voter_directory_id = directory;
    return ask(admin, KAFKA_API_REMOVE_RAFT_VOTER, &request, KAFKA_ERR_VOTER_NOT_FOUND);
}

static enum cli_exit run(struct admin *admin, const struct cli_many *positional, void *context)
{
    const struct quorum_change *change = context;
    const char *done = change->removes ? "removed" : "added";
    int32_t id = (int32_t)strtol(positional->items[0], NULL, 10);
    struct uuid directory;
    enum cli_exit code = directory_find(admin, change, id, &directory);
    if (code == CLI_DONE)
        code = change->removes ? take(admin, id, directory) : add(admin, id, directory);
    if (code == CLI_DONE)
        printf(change->options.json ? "{\"%s\":%d}\n" : "%s %d\n", done, id);
    return code;
}

static enum cli_exit command(int argc, char **argv, struct quorum_change change)
{
    const struct cli_arg args[] = {{"--directory", CLI_TEXT, &change.directory, 0, 0, "ID",
                                    "directory id (directory.id of its meta.properties); else asked for"}};
    const struct admin_command command = {
        .line = change.removes ? "quorum remove ID [options]" : "quorum add ID [options]",
        .help =
            change.removes
                ? "Takes the vote of a controller. It goes on following until it is stopped."
                : "Gives a vote to a controller that follows: one started without\n"
                  "controller.quorum.voters, with controller.quorum.bootstrap.servers. Waits until it has\n"
                  "caught up.",
        .args = args,
        .count = sizeof args / sizeof *args,
        .positional_min = 1,
        .positional_max = 1,
        .check = check,
        .run = run,
        .options = &change.options,
        .context = &change};
    return admin_command(&command, argc, argv);
}

enum cli_exit quorum_add(int argc, char **argv)
{
    return command(argc, argv, (struct quorum_change){0});
}

enum cli_exit quorum_remove(int argc, char **argv)
{
    return command(argc, argv, (struct quorum_change){.removes = true});
}

// SPDX-License-Identifier: Apache-2.0
// See group_replay.h. Reads the dead-letter topic up to where it ends now, sends each record of the group to
// the topic and partition its headers name, without these headers, and notes how far it has come under the
// name of a group of its own: what was put back is not put back again. Ended in between it may be.
#include "group_replay.h"

#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 100, CALL_MS = 30000, NAME_SIZE = 300, UNACKED_MAX = 10000 };

#define PREFIX "__dlq.errors."

struct replay {
    struct client_options options;
    const char *group, *topic;
    char own[NAME_SIZE]; // the group that remembers what was put back
    rd_kafka_t *reader, *writer;
    rd_kafka_topic_partition_list_t *places; // of the dead-letter topic: next offset of each partition
    int64_t *ends, *refused;                 // of each: where it ends; its first letter that was refused
    int64_t sent, acked, failed, others;
    char error[256];
};

// ---- putting back ----

// Where a record that is on its way was read.
struct letter {
    int place;
    int64_t offset;
};

static void refuse(struct replay *replay, const struct letter *letter, rd_kafka_resp_err_t error)
{
    int64_t *first = &replay->refused[letter->place];
    if (letter->offset < *first)
        *first = letter->offset;
    if (replay->failed++ == 0)
        snprintf(replay->error, sizeof replay->error, "%s", rd_kafka_err2str(error));
}

static void on_delivery(rd_kafka_t *writer, const rd_kafka_message_t *message, void *context)
{
    struct replay *replay = context;
    struct letter *letter = message->_private;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        replay->acked++;
    else
        refuse(replay, letter, message->err);
    free(letter);
}

// The value of a header as text; false when the record has none, or a longer one.
static bool header_text(const rd_kafka_headers_t *headers, const char *name, char *out, size_t size)
{
    const void *value;
    size_t len;
    if (headers == NULL ||
        rd_kafka_header_get_last(headers, name, &value, &len) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        value == NULL || len >= size)
        return false;
    memcpy(out, value, len);
    out[len] = '\0';
    return true;
}

static rd_kafka_headers_t *own_headers(const rd_kafka_headers_t *headers)
{
    rd_kafka_headers_t *kept = rd_kafka_headers_new(8);
    const char *name;
    const void *value;
    size_t len;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++)
        if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
            rd_kafka_header_add(kept, name, -1, value, (ssize_t)len);
    return kept;
}

static struct letter *letter_of(const struct replay *replay, const rd_kafka_message_t *message)
{
    struct letter *letter = malloc(sizeof *letter);
    int place = 0;
    while (replay->places->elems[place].partition != message->partition)
        place++; // it is one of them: take_message has looked
    if (letter != NULL)
        *letter = (struct letter){place, message->offset};
    return letter;
}

static enum cli_exit put_back(struct replay *replay, const rd_kafka_message_t *message, const char *topic,
                              int32_t partition, const rd_kafka_headers_t *headers)
{
    struct letter *letter = letter_of(replay, message);
    if (letter == NULL)
        return cli_fail(CLI_FAILED, "out of memory");
    rd_kafka_headers_t *kept = own_headers(headers);
    replay->sent++;
    for (;;) {
        rd_kafka_resp_err_t error = rd_kafka_producev(
            replay->writer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
            RD_KAFKA_V_KEY(message->key, message->key_len), RD_KAFKA_V_VALUE(message->payload, message->len),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_HEADERS(kept), RD_KAFKA_V_OPAQUE(letter),
            RD_KAFKA_V_END);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
            return CLI_DONE;
        if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            rd_kafka_headers_destroy(kept);
            refuse(replay, letter, error);
            free(letter);
            return CLI_DONE;
        }
        rd_kafka_poll(replay->writer, WAIT_MS);
    }
}

// A record of another group, one without a copy, or no dead letter, stays where it is.
static enum cli_exit take(struct replay *replay, const rd_kafka_message_t *message)
{
    char group[NAME_SIZE], topic[NAME_SIZE], partition[16];
    rd_kafka_headers_t *headers = NULL;
    rd_kafka_message_headers(message, &headers);
    bool letter = header_text(headers, PREFIX "group", group, sizeof group) &&
                  header_text(headers, PREFIX "topic", topic, sizeof topic) &&
                  header_text(headers, PREFIX "partition", partition, sizeof partition);
    bool copy = message->key != NULL || message->payload != NULL;
    if (!letter || !copy || strcmp(group, replay->group) != 0) {
        replay->others++;
        return CLI_DONE;
    }
    return put_back(replay, message, topic, (int32_t)strtol(partition, NULL, 10), headers);
}

// ---- reading ----

static enum cli_exit wrong(rd_kafka_resp_err_t error)
{
    return cli_fail(CLI_FAILED, "%s", rd_kafka_err2str(error));
}

static enum cli_exit list_partitions(struct replay *replay)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(replay->reader, replay->topic, NULL);
    rd_kafka_resp_err_t error = rd_kafka_metadata(replay->reader, 0, topic, &metadata, CALL_MS);
    rd_kafka_topic_destroy(topic);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        return cli_fail(CLI_ABSENT, "no broker answers: %s", rd_kafka_err2str(error));
    int count = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
    for (int i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(replay->places, replay->topic,
                                          metadata->topics[0].partitions[i].id);
    rd_kafka_metadata_destroy(metadata);
    return count > 0 ? CLI_DONE : cli_fail(CLI_FAILED, "there is no topic %s", replay->topic);
}

// Where the last replay ended, or the log begins; and where it ends now.
static enum cli_exit find_places(struct replay *replay)
{
    rd_kafka_resp_err_t error = rd_kafka_committed(replay->reader, replay->places, CALL_MS);
    replay->ends = calloc((size_t)replay->places->cnt, sizeof *replay->ends);
    replay->refused = calloc((size_t)replay->places->cnt, sizeof *replay->refused);
    if (replay->ends == NULL || replay->refused == NULL)
        return cli_fail(CLI_FAILED, "out of memory");
    for (int i = 0; error == RD_KAFKA_RESP_ERR_NO_ERROR && i < replay->places->cnt; i++) {
        rd_kafka_topic_partition_t *place = &replay->places->elems[i];
        int64_t begin;
        replay->refused[i] = INT64_MAX;
        error = rd_kafka_query_watermark_offsets(replay->reader, place->topic, place->partition, &begin,
                                                 &replay->ends[i], CALL_MS);
        if (place->offset < begin)
            place->offset = begin;
    }
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
        error = rd_kafka_assign(replay->reader, replay->places);
    return error == RD_KAFKA_RESP_ERR_NO_ERROR ? CLI_DONE : wrong(error);
}

static bool reads_on(const struct replay *replay)
{
    for (int i = 0; i < replay->places->cnt; i++)
        if (replay->places->elems[i].offset < replay->ends[i])
            return true;
    return false;
}

static rd_kafka_topic_partition_t *place_of(const struct replay *replay, int32_t partition, int64_t *end)
{
    for (int i = 0; i < replay->places->cnt; i++) {
        *end = replay->ends[i];
        if (replay->places->elems[i].partition == partition)
            return &replay->places->elems[i];
    }
    return NULL;
}

static enum cli_exit take_message(struct replay *replay, const rd_kafka_message_t *message)
{
    int64_t end;
    rd_kafka_topic_partition_t *place = place_of(replay, message->partition, &end);
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (place != NULL && message->offset > place->offset)
            place->offset = message->offset; // markers at the end are no records
        return CLI_DONE;
    }
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return wrong(message->err);
    if (place == NULL || message->offset >= end || message->offset < place->offset)
        return CLI_DONE; // given up meanwhile: for the next time; or read anew
    enum cli_exit code = take(replay, message);
    if (code == CLI_DONE)
        place->offset = message->offset + 1;
    return code;
}

static enum cli_exit read_all(struct replay *replay, int signals)
{
    enum cli_exit code = CLI_DONE;
    while (code == CLI_DONE && reads_on(replay) && replay->failed == 0 && !client_interrupted(signals)) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(replay->reader, WAIT_MS);
        rd_kafka_poll(replay->writer, replay->sent - replay->acked > UNACKED_MAX ? WAIT_MS : 0);
        if (message == NULL)
            continue;
        code = take_message(replay, message);
        rd_kafka_message_destroy(message);
    }
    return code;
}

// ---- running ----

static enum cli_exit make_clients(struct replay *replay)
{
    char text[256];
    rd_kafka_conf_t *conf;
    enum cli_exit code = client_conf(&replay->options, &conf);
    if (code != CLI_DONE)
        return code;
    rd_kafka_conf_set(conf, "group.id", replay->own, text, sizeof text);
    rd_kafka_conf_set(conf, "enable.auto.commit", "false", text, sizeof text);
    rd_kafka_conf_set(conf, "enable.partition.eof", "true", text, sizeof text);
    // What is deleted under the reader ends only what is deleted: it goes on where the log begins.
    rd_kafka_conf_set(conf, "auto.offset.reset", "earliest", text, sizeof text);
    code = client_new(RD_KAFKA_CONSUMER, conf, &replay->reader);
    if (code == CLI_DONE)
        code = client_conf(&replay->options, &conf);
    if (code != CLI_DONE)
        return code;
    rd_kafka_poll_set_consumer(replay->reader);
    rd_kafka_conf_set(conf, "enable.idempotence", "true", text, sizeof text);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, replay);
    return client_new(RD_KAFKA_PRODUCER, conf, &replay->writer);
}

// All that was sent is acknowledged or refused afterwards.
static void settle(struct replay *replay)
{
    if (rd_kafka_flush(replay->writer, CALL_MS) == RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    rd_kafka_purge(replay->writer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(replay->writer, CALL_MS);
}

// What was read is remembered up to the first letter of each partition that was refused: the next replay
// begins with that, and puts back once more only what was on its way behind it.
static enum cli_exit finish(struct replay *replay)
{
    settle(replay);
    for (int i = 0; i < replay->places->cnt; i++)
        if (replay->refused[i] < replay->places->elems[i].offset)
            replay->places->elems[i].offset = replay->refused[i];
    rd_kafka_resp_err_t error = rd_kafka_commit(replay->reader, replay->places, 0);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        return wrong(error);
    if (replay->failed > 0)
        return cli_fail(CLI_FAILED, "%lld of %lld records were refused: %s", (long long)replay->failed,
                        (long long)replay->sent, replay->error);
    return CLI_DONE;
}

static enum cli_exit transfer(struct replay *replay, int signals)
{
    enum cli_exit code = read_all(replay, signals), end = finish(replay);
    return code != CLI_DONE ? code : end;
}

static enum cli_exit replay_run(struct replay *replay)
{
    int signals = client_signals();
    replay->places = rd_kafka_topic_partition_list_new(8);
    enum cli_exit code = make_clients(replay);
    if (code == CLI_DONE)
        code = list_partitions(replay);
    if (code == CLI_DONE)
        code = find_places(replay);
    if (code == CLI_DONE)
        code = transfer(replay, signals);
    if (code == CLI_DONE)
        printf(replay->options.json ? "{\"replayed\":%lld,\"passed_over\":%lld}\n"
                                    : "%lld records put back, %lld others passed over\n",
               (long long)replay->acked, (long long)replay->others);
    if (replay->writer != NULL)
        rd_kafka_destroy(replay->writer);
    if (replay->reader != NULL) {
        rd_kafka_consumer_close(replay->reader);
        rd_kafka_destroy(replay->reader);
    }
    rd_kafka_topic_partition_list_destroy(replay->places);
    free(replay->ends);
    free(replay->refused);
    return code;
}

enum cli_exit group_replay(int argc, char **argv)
{
    struct replay replay = {0};
    const struct cli_arg args[] = {
        {"--from|-f", CLI_TEXT, &replay.topic, 0, 0, "TOPIC", "the group's dead-letter topic"},
        CLIENT_ARGS(replay.options)};
    const struct cli_usage usage = {
        .line = "group replay GROUP --from TOPIC [options]",
        .help =
            "Puts what a share group has given up back to the topics it came from. Needs dead letters with\n"
            "copies of the records (errors.deadletterqueue.copy.record.enable of the group).\n"
            "What was put back is known for offsets.retention.minutes; later it is put back again.",
        .args = args,
        .count = sizeof args / sizeof *args,
        .positional_min = 1,
        .positional_max = 1};
    struct cli_many positional = {0};
    enum cli_exit code;
    if (!cli_args(&usage, argc, argv, &positional, &code))
        return code;
    replay.group = positional.items[0];
    if (replay.topic == NULL)
        return cli_fail(CLI_USAGE, "--from TOPIC: the dead-letter topic");
    if ((size_t)snprintf(replay.own, sizeof replay.own, "millrace-replay.%s", replay.group) >=
        sizeof replay.own)
        return cli_fail(CLI_USAGE, "the group's name is too long");
    return replay_run(&replay);
}

// SPDX-License-Identifier: Apache-2.0
// millrace perf produce|consume|e2e: what a topic takes and gives, and how long records are on their way. Own
// client over conn/client, nothing between it and the nodes. See perf.h.
#include "commands.h"
#include "perf.h"
#include "table.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum { SIZE_MAX_BYTES = 16 << 20, BATCH_MAX = 100000, FETCH_BYTES = 1 << 20, RECORDS_MAX = 1000000000 };

struct command {
    struct perf_options options;
    bool reading, writing;
    struct perf *perf;
};

static enum cli_exit codec_of(const char *name, enum compression *codec)
{
    static const char *const names[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0) {
            *codec = (enum compression)i;
            return CLI_DONE;
        }
    return cli_fail(CLI_USAGE, "--codec: '%s' is none of none, gzip, snappy, lz4, zstd", name);
}

static enum cli_exit acks_of(const struct command *command, int16_t *acks)
{
    const char *text = command->options.acks;
    *acks = strcmp(text, "all") == 0 || strcmp(text, "-1") == 0 ? -1 : strcmp(text, "1") == 0 ? 1 : 0;
    if (*acks == 0 && strcmp(text, "0") != 0)
        return cli_fail(CLI_USAGE, "--acks: '%s' is none of 0, 1, all", text);
    if (*acks == 0 && (command->options.rate == 0 || command->reading))
        return cli_fail(CLI_USAGE, "--acks 0 goes with 'perf produce' at a --rate: nothing else paces it");
    return CLI_DONE;
}

static enum cli_exit check(const struct cli_many *positional, void *context)
{
    struct command *command = context;
    struct perf *perf = command->perf;
    enum cli_exit code = codec_of(command->options.codec, &perf->codec);
    if (code == CLI_DONE)
        code = acks_of(command, &perf->acks);
    if (code == CLI_DONE && command->options.size * command->options.batch > SIZE_MAX_BYTES)
        code = cli_fail(CLI_USAGE, "a batch of more than %d bytes", SIZE_MAX_BYTES);
    return code;
}

// ---- the result ----

static void put_ms(struct table *table, const struct hist *hist, double share)
{
    char text[32];
    if (hist_count(hist) == 0) {
        table_none(table); // nobody answers
        return;
    }
    snprintf(text, sizeof text, "%.3f", (double)hist_quantile(hist, share) / 1000);
    table_number_text(table, text);
}

static void put_row(struct table *table, const struct perf *perf, const char *what, const struct hist *hist)
{
    double seconds = (double)(perf->ended_us - perf->began_us) / 1e6;
    int64_t records = perf->writing ? perf->acked * perf->options->batch : perf->read;
    table_text(table, slice_str(what));
    table_number(table, records);
    table_rate(table, seconds);
    table_rate(table, seconds > 0 ? (double)records / seconds : 0);
    table_rate(table, seconds > 0 ? (double)perf->bytes / 1e6 / seconds : 0);
    put_ms(table, hist, 0.5);
    put_ms(table, hist, 0.95);
    put_ms(table, hist, 0.99);
    put_ms(table, hist, 0.999);
    put_ms(table, hist, 1);
}

static void print(const struct perf *perf)
{
    static const char *const columns[] = {"what",   "records", "seconds", "records_per_s", "mb_per_s",
                                          "p50_ms", "p95_ms",  "p99_ms",  "p999_ms",       "max_ms"};
    struct table *table = table_new(columns, sizeof columns / sizeof *columns);
    if (perf->writing && perf->acks != 0)
        put_row(table, perf, "acknowledged", &perf->acks_us);
    else if (perf->writing)
        put_row(table, perf, "sent", &perf->acks_us);
    if (perf->reading)
        put_row(table, perf, perf->writing ? "read" : "fetched", &perf->reads_us);
    table_print(&table, perf->options->admin.json, NULL);
}

static enum cli_exit measure(struct admin *admin, const struct cli_many *positional, void *context)
{
    struct command *command = context;
    struct perf *perf = command->perf;
    enum cli_exit code = perf_open(perf, admin, positional->items[0]);
    if (code == CLI_DONE && command->writing)
        code = perf_write_begin(perf);
    if (code == CLI_DONE && command->reading)
        perf_read_begin(perf);
    if (code == CLI_DONE)
        code = perf_run(perf, command->reading ? perf_read_all : perf_written);
    if (code == CLI_DONE)
        print(perf);
    perf_close(perf);
    return code;
}

// ---- the commands ----

static enum cli_exit run(int argc, char **argv, struct command command, const char *line, const char *help)
{
    const struct cli_arg args[] = {
        {"--records|-n", CLI_INT, &command.options.records, 0, RECORDS_MAX, "N",
         "how many (100000; consume: 0, all that are there)"},
        {"--size", CLI_INT, &command.options.size, 1, SIZE_MAX_BYTES, "BYTES", "of a record's value (100)"},
        {"--batch", CLI_INT, &command.options.batch, 1, BATCH_MAX, "N", "records of a request (100; e2e: 1)"},
        {"--rate", CLI_INT, &command.options.rate, 0, RECORDS_MAX, "N",
         "records per second, 0: as fast as it goes (0; e2e: 1000)"},
        {"--in-flight", CLI_INT, &command.options.in_flight, 1, 900, "N",
         "requests under way per partition (5)"},
        {"--codec", CLI_TEXT, &command.options.codec, 0, 0, "C", "none, gzip, snappy, lz4, zstd (none)"},
        {"--acks", CLI_TEXT, &command.options.acks, 0, 0, "A", "0, 1, all (all)"},
        {"--fetch-bytes", CLI_INT, &command.options.fetch_bytes, 1, INT32_MAX, "N",
         "of a Fetch at most (1048576)"}};
    const struct admin_command admin = {.line = line,
                                        .help = help,
                                        .args = args,
                                        .count = sizeof args / sizeof *args,
                                        .positional_min = 1,
                                        .positional_max = 1,
                                        .check = check,
                                        .run = measure,
                                        .options = &command.options.admin,
                                        .context = &command};
    command.perf = mem_calloc(1, sizeof *command.perf);
    command.perf->options = &command.options;
    command.perf->reading = command.reading;
    command.perf->writing = command.writing;
    enum cli_exit code = admin_command(&admin, argc, argv);
    mem_free(command.perf);
    return code;
}

static struct command defaults(void)
{
    return (struct command){.options = {.records = 100000,
                                        .size = 100,
                                        .batch = 100,
                                        .in_flight = 5,
                                        .fetch_bytes = FETCH_BYTES,
                                        .codec = "none",
                                        .acks = "all"}};
}

static enum cli_exit produce(int argc, char **argv)
{
    struct command command = defaults();
    command.writing = true;
    return run(
        argc, argv, command, "perf produce TOPIC [options]",
        "Writes records and tells throughput and the time to the acknowledgement: from sending, or, at a\n"
        "--rate, from the moment a batch was due.");
}

static enum cli_exit consume(int argc, char **argv)
{
    struct command command = defaults();
    command.reading = true;
    command.options.records = 0;
    return run(argc, argv, command, "perf consume TOPIC [options]",
               "Reads what is there and tells throughput and the time of a Fetch.");
}

static enum cli_exit e2e(int argc, char **argv)
{
    struct command command = defaults();
    command.reading = command.writing = true;
    command.options.records = 10000;
    command.options.batch = 1;
    command.options.rate = 1000;
    return run(
        argc, argv, command, "perf e2e TOPIC [options]",
        "Writes at a fixed rate and reads at the same time: the time from the moment a record was due to\n"
        "its acknowledgement, and to its arrival. Nobody else may write to the topic.");
}

enum cli_exit cmd_perf(int argc, char **argv)
{
    static const struct cli_command commands[] = {{"produce", produce, "how fast records are taken"},
                                                  {"consume", consume, "how fast they are given"},
                                                  {"e2e", e2e, "how long they are on their way"}};
    return cli_dispatch("millrace perf", commands, sizeof commands / sizeof *commands, argc, argv);
}

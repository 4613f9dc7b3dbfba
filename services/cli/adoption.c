// SPDX-License-Identifier: Apache-2.0
// See adoption.h. Order: choose topics and check that they are whole → copy and verify every partition → note
// the topics in `adopted-topics` → commit the copies. The node skips a noted topic without logs, so a crash
// between the last two steps does no harm. On the way back topics need not be whole, and there is no note.
#include "adoption.h"

#include "base/mem.h"
#include "base/uuid.h"
#include "cluster/configs.h"
#include "log/adopt.h"
#include "log/files.h"
#include "table.h"

#include "adopted_topics.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOTE_MAX = 16 << 20, NOTE_VERSION = 1 };

static const char note_name[] = "adopted-topics";

struct topic {
    char *name;
    struct uuid id;
    int32_t partitions; // directories found
    int32_t last;       // highest index
    int32_t last_epoch; // Kafka's, of all partitions
};

struct run {
    struct env *env;
    const struct adoption_options *options;
    struct log_adoption *adoption;
    struct topic *topics;
    int count, cap;
    struct table *table;
    bool json;
};

// ---- choosing ----

static bool is_internal(struct slice name)
{
    static const char *const names[] = {"__consumer_offsets", "__transaction_state", "__share_group_state",
                                        "__cluster_metadata", "__remote_log_metadata"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (slice_is(name, names[i]))
            return true;
    return false;
}

static bool is_wanted(const struct run *run, struct slice name)
{
    const struct cli_many *wanted = &run->options->topics;
    for (int i = 0; i < wanted->count; i++)
        if (slice_is(name, wanted->items[i]))
            return !is_internal(name);
    return wanted->count == 0 && !is_internal(name);
}

static struct topic *topic_find(struct run *run, struct slice name)
{
    for (int i = 0; i < run->count; i++)
        if (slice_is(name, run->topics[i].name))
            return &run->topics[i];
    return NULL;
}

static struct topic *topic_of(struct run *run, struct slice name)
{
    struct topic *topic = topic_find(run, name);
    if (topic != NULL)
        return topic;
    if (run->count == run->cap) {
        run->cap = run->cap > 0 ? run->cap * 2 : 16;
        run->topics = mem_realloc(run->topics, (size_t)run->cap * sizeof *run->topics);
    }
    topic = &run->topics[run->count++];
    *topic =
        (struct topic){.name = mem_strndup((const char *)name.data, name.len), .last = -1, .last_epoch = -1};
    return topic;
}

// The topic a directory belongs to; NULL when it is not to be taken.
static struct topic *topic_at(struct run *run, int i)
{
    const char *name = log_adoption_name(run->adoption, i);
    size_t len;
    int32_t partition;
    if (!log_name_split(name, &len, &partition) || !is_wanted(run, slice_of(name, len)))
        return NULL;
    return topic_of(run, slice_of(name, len));
}

// A topic is adopted whole: the cluster gets it with all of its partitions.
static enum cli_exit check_whole(const struct run *run)
{
    for (int i = 0; i < run->count; i++)
        if (run->topics[i].partitions != run->topics[i].last + 1)
            return cli_fail(CLI_FAILED, "topic '%s': %d of %d partitions are in %s; all must be",
                            run->topics[i].name, run->topics[i].partitions, run->topics[i].last + 1,
                            run->options->from);
    return CLI_DONE;
}

static enum cli_exit choose(struct run *run)
{
    for (int i = 0; i < log_adoption_count(run->adoption); i++) {
        struct topic *topic = topic_at(run, i);
        size_t len;
        int32_t partition;
        if (topic == NULL || !log_name_split(log_adoption_name(run->adoption, i), &len, &partition))
            continue;
        topic->partitions++;
        if (partition > topic->last)
            topic->last = partition;
    }
    if (run->options->way == LOG_ADOPT && check_whole(run) != CLI_DONE)
        return CLI_FAILED;
    for (int i = 0; i < run->options->topics.count; i++)
        if (topic_find(run, slice_str(run->options->topics.items[i])) == NULL)
            return cli_fail(CLI_FAILED, "topic '%s' is not in %s, or is one of Kafka's own",
                            run->options->topics.items[i], run->options->from);
    return run->count > 0 ? CLI_DONE : cli_fail(CLI_FAILED, "no partitions in %s", run->options->from);
}

// ---- copying ----

static void row_add(struct run *run, const char *name, const struct log_adopted *adopted)
{
    table_text(run->table, slice_str(name));
    table_number(run->table, adopted->start);
    table_number(run->table, adopted->end);
    table_number(run->table, adopted->bytes);
    if (adopted->unstable >= 0)
        table_number(run->table, adopted->unstable);
    else
        table_none(run->table);
}

static enum cli_exit take_partition(struct run *run, int i, struct topic *topic)
{
    const char *name = log_adoption_name(run->adoption, i);
    char why[LOG_ADOPT_WHY];
    struct log_adopted adopted;
    if (log_adoption_add(run->adoption, i, why, &adopted) != ST_OK)
        return cli_fail(CLI_FAILED, "%s: %s", name, why);
    if (!uuid_is_zero(topic->id) && !uuid_equal(topic->id, adopted.id))
        return cli_fail(CLI_FAILED, "%s: has another topic id than other partitions of '%s'", name,
                        topic->name);
    topic->id = adopted.id;
    if (adopted.last_epoch > topic->last_epoch)
        topic->last_epoch = adopted.last_epoch;
    if (adopted.dropped > 0)
        fprintf(stderr,
                "millrace: %s: Kafka was not stopped cleanly; %lld bytes of an incomplete batch left out\n",
                name, (long long)adopted.dropped);
    row_add(run, name, &adopted);
    return CLI_DONE;
}

static enum cli_exit take_all(struct run *run)
{
    enum cli_exit code = CLI_DONE;
    for (int i = 0; i < log_adoption_count(run->adoption) && code == CLI_DONE; i++) {
        struct topic *topic = topic_at(run, i);
        if (topic != NULL)
            code = take_partition(run, i, topic);
    }
    return code;
}

// ---- the note ----

static enum cli_exit check_configs(const struct cli_many *configs)
{
    for (int i = 0; i < configs->count; i++) {
        char why[CONFIGS_WHY_SIZE];
        const char *text = configs->items[i], *equals = strchr(text, '=');
        const struct configs_key *key =
            equals != NULL ? configs_topic_key(slice_of(text, (size_t)(equals - text))) : NULL;
        if (key == NULL)
            return cli_fail(CLI_USAGE, "'%s': no parameter of topics; KEY=VALUE is wanted", text);
        if (configs_check(key, slice_str(equals + 1), why) != ST_OK)
            return cli_fail(CLI_USAGE, "%s", why);
    }
    return CLI_DONE;
}

struct config_rows {
    Millrace__AdoptTopicConfig rows[CLI_MANY_MAX];
    Millrace__AdoptTopicConfig *list[CLI_MANY_MAX];
    char *keys[CLI_MANY_MAX];
};

static void configs_fill(struct config_rows *configs, const struct cli_many *given)
{
    for (int i = 0; i < given->count; i++) {
        size_t len = strcspn(given->items[i], "=");
        millrace__adopt_topic_config__init(&configs->rows[i]);
        configs->keys[i] = mem_strndup(given->items[i], len);
        configs->rows[i].key = configs->keys[i];
        configs->rows[i].value = (char *)given->items[i] + len + 1;
        configs->list[i] = &configs->rows[i];
    }
}

static void note_fill(struct run *run, struct config_rows *configs, Millrace__AdoptedTopic *rows)
{
    for (int i = 0; i < run->count; i++) {
        struct topic *topic = &run->topics[i];
        millrace__adopted_topic__init(&rows[i]);
        rows[i].name = topic->name;
        rows[i].topic_id = (ProtobufCBinaryData){sizeof topic->id.bytes, topic->id.bytes};
        rows[i].partitions = topic->partitions;
        rows[i].has_last_epoch = true;
        rows[i].last_epoch = topic->last_epoch;
        rows[i].n_configs = (size_t)run->options->configs.count;
        rows[i].configs = configs->list;
    }
}

// What an adoption before this one has noted, and nobody has told the controller yet.
static enum status note_load(struct run *run, struct buf *bytes, Millrace__AdoptedTopics **before)
{
    enum status status = log_file_load(run->env, run->options->to, note_name, bytes);
    *before = NULL;
    if (status == ST_NOT_FOUND)
        return ST_OK;
    if (status != ST_OK)
        return status;
    *before = millrace__adopted_topics__unpack(NULL, bytes->len, bytes->data);
    if (*before == NULL)
        return ST_MALFORMED;
    return (*before)->version == NOTE_VERSION ? ST_OK : ST_UNSUPPORTED;
}

static enum status note_write(struct run *run, const Millrace__AdoptedTopics *before,
                              struct config_rows *configs)
{
    size_t kept = before != NULL ? before->n_topics : 0;
    Millrace__AdoptedTopic *rows = mem_calloc((size_t)run->count, sizeof *rows);
    Millrace__AdoptedTopics note = MILLRACE__ADOPTED_TOPICS__INIT;
    note.version = NOTE_VERSION;
    note.topics = mem_calloc(kept + (size_t)run->count, sizeof *note.topics);
    note_fill(run, configs, rows);
    for (size_t i = 0; i < kept; i++)
        note.topics[note.n_topics++] = before->topics[i];
    for (int i = 0; i < run->count; i++)
        note.topics[note.n_topics++] = &rows[i];
    size_t len = millrace__adopted_topics__get_packed_size(&note);
    uint8_t *packed = mem_calloc(1, len + 1);
    millrace__adopted_topics__pack(&note, packed);
    enum status status =
        len <= NOTE_MAX ? log_file_replace(run->env, run->options->to, note_name, slice_of(packed, len), true)
                        : ST_LIMIT;
    mem_free(packed);
    mem_free(note.topics);
    mem_free(rows);
    return status;
}

static enum cli_exit note_save(struct run *run)
{
    struct config_rows configs = {0};
    Millrace__AdoptedTopics *before;
    struct buf bytes;
    buf_init(&bytes, NOTE_MAX);
    configs_fill(&configs, &run->options->configs);
    enum status status = note_load(run, &bytes, &before);
    if (status == ST_OK)
        status = note_write(run, before, &configs);
    for (int i = 0; i < run->options->configs.count; i++)
        mem_free(configs.keys[i]);
    if (before != NULL)
        millrace__adopted_topics__free_unpacked(before, NULL);
    buf_fini(&bytes);
    return status == ST_OK
               ? CLI_DONE
               : cli_fail(CLI_FAILED, "%s/%s: %s", run->options->to, note_name, status_text(status));
}

// ---- all of it ----

static enum cli_exit steps(struct run *run)
{
    char why[LOG_ADOPT_WHY];
    enum cli_exit code = check_configs(&run->options->configs);
    if (code != CLI_DONE)
        return code;
    if (log_adoption_new(run->env, run->options->way, run->options->from, run->options->to, why,
                         &run->adoption) != ST_OK)
        return cli_fail(CLI_FAILED, "%s", why);
    if (!log_adoption_clean(run->adoption))
        fprintf(stderr, "millrace: %s: Kafka was not stopped cleanly\n", run->options->from);
    code = choose(run);
    if (code == CLI_DONE)
        code = take_all(run);
    if (code == CLI_DONE && run->options->way == LOG_ADOPT)
        code = note_save(run);
    if (code != CLI_DONE)
        return code;
    enum status status = log_adoption_commit(run->adoption);
    return status == ST_OK ? CLI_DONE : cli_fail(CLI_FAILED, "%s: %s", run->options->to, status_text(status));
}

enum cli_exit adoption_run(struct env *env, const struct adoption_options *options, bool json)
{
    static const char *const columns[] = {"partition", "start", "end", "bytes", "open transaction"};
    struct run run = {.env = env, .options = options, .table = table_new(columns, 5), .json = json};
    enum cli_exit code = steps(&run);
    if (code == CLI_DONE)
        table_print(&run.table, json, "");
    else
        table_destroy(&run.table);
    log_adoption_destroy(&run.adoption);
    for (int i = 0; i < run.count; i++)
        mem_free(run.topics[i].name);
    mem_free(run.topics);
    return code;
}

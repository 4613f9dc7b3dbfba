// SPDX-License-Identifier: Apache-2.0
// See adopt.h. One call at a time, in the order of the file.
#include "adopt.h"

#include "base/mem.h"
#include "cluster/controllers.h"
#include "cluster/image.h"
#include "log/files.h"
#include "storage.h"

#include "adopted_topics.pb-c.h"
#include "controller.pb-c.h"

#include <stdio.h>

enum { TIMEOUT_MS = 60000, FILE_MAX = 16 << 20, VERSION = 1, NAME_SIZE = 300 };

static const char file_name[] = "adopted-topics";

struct adopt {
    struct storage *storage;
    const struct dirs *dirs;
    const char *path;              // of the directory whose file it is: the first that is open
    Millrace__AdoptedTopics *file; // NULL: there is none
    struct controllers_pending *asked;
    size_t next;    // topic not told yet
    size_t refused; // topics the controller does not have
};

// ---- the file ----

static enum status load(struct adopt *adopt)
{
    struct env *env = storage_env(adopt->storage);
    struct buf bytes;
    buf_init(&bytes, FILE_MAX);
    enum status status = log_file_load(env, adopt->path, file_name, &bytes);
    if (status == ST_OK) {
        adopt->file = millrace__adopted_topics__unpack(NULL, bytes.len, bytes.data);
        status = adopt->file != NULL ? ST_OK : ST_MALFORMED;
    }
    buf_fini(&bytes);
    if (status == ST_NOT_FOUND)
        return ST_OK;
    if (status == ST_OK && adopt->file->version != VERSION) {
        DIAG_ERROR(&env->diag, "adopted-topics has another version dir=%s version=%u known=%d", adopt->path,
                   adopt->file->version, VERSION);
        return ST_UNSUPPORTED;
    }
    if (status != ST_OK)
        DIAG_ERROR(&env->diag, "adopted-topics cannot be read dir=%s why=\"%s\"", adopt->path,
                   status_text(status));
    return status;
}

enum status adopt_new(struct storage *storage, const struct dirs *dirs, struct adopt **out)
{
    struct adopt *adopt = mem_calloc(1, sizeof *adopt);
    int first = 0;
    while (dirs_set(dirs, first) == NULL)
        first++; // dirs_open leaves at least one
    *adopt = (struct adopt){.storage = storage, .dirs = dirs, .path = dirs_path(dirs, first)};
    enum status status = load(adopt);
    if (status != ST_OK)
        adopt_destroy(&adopt);
    *out = adopt;
    return status;
}

void adopt_destroy(struct adopt **pointer)
{
    struct adopt *adopt = *pointer;
    *pointer = NULL;
    if (adopt == NULL)
        return;
    if (adopt->asked != NULL)
        controllers_cancel(storage_controllers(adopt->storage), &adopt->asked);
    if (adopt->file != NULL)
        millrace__adopted_topics__free_unpacked(adopt->file, NULL);
    mem_free(adopt);
}

struct removal {
    struct job job;
    struct env *env;
    char *dir;
};

static void removal_run(struct job *job)
{
    struct removal *removal = (struct removal *)job;
    (void)log_file_remove(removal->env, removal->dir, file_name); // if it stays, the next start does it
}

static void removal_done(struct job *job)
{
    struct removal *removal = (struct removal *)job;
    mem_free(removal->dir);
    mem_free(removal);
}

static void remove_file(const struct adopt *adopt)
{
    struct removal *removal = mem_calloc(1, sizeof *removal);
    struct env *env = storage_env(adopt->storage);
    *removal = (struct removal){
        .job = {.run = removal_run, .done = removal_done}, .env = env, .dir = mem_strdup(adopt->path)};
    env_submit(env, env->pool, &removal->job);
}

// ---- topics ----

static bool is_id(const Millrace__AdoptedTopic *topic, struct uuid id)
{
    return topic->topic_id.len == sizeof id.bytes &&
           memcmp(topic->topic_id.data, id.bytes, sizeof id.bytes) == 0;
}

static struct uuid id_of(const Millrace__AdoptedTopic *topic)
{
    struct uuid id = {{0}};
    if (topic->topic_id.len == sizeof id.bytes)
        memcpy(id.bytes, topic->topic_id.data, sizeof id.bytes);
    return id;
}

bool adopt_keeps(const struct adopt *adopt, struct uuid topic)
{
    for (size_t i = 0; adopt->file != NULL && i < adopt->file->n_topics; i++)
        if (is_id(adopt->file->topics[i], topic))
            return true;
    return false;
}

static void refuse(struct adopt *adopt, const Millrace__AdoptedTopic *topic, const char *why)
{
    adopt->refused++;
    DIAG_ERROR(&storage_env(adopt->storage)->diag,
               "topic cannot be adopted, its logs are kept topic=%s why=\"%s\"", topic->name, why);
}

// What the logs say of themselves; false when one is not there or not whole.
static bool look_at_logs(const struct adopt *adopt, const Millrace__AdoptedTopic *topic,
                         Millrace__AdoptTopicRequest *request)
{
    for (int32_t i = 0; i < topic->partitions; i++) {
        char name[NAME_SIZE];
        snprintf(name, sizeof name, "%s-%d", topic->name, i);
        const struct log *log = dirs_find(adopt->dirs, name);
        if (log == NULL || log_lost(log) || !is_id(topic, log_id(log)))
            return false;
        int64_t producer_id = log_producer_id_max(log);
        if (producer_id > request->producer_id_max)
            request->producer_id_max = producer_id;
        int32_t epoch = log_last_epoch(log);
        request->last_epochs[request->n_last_epochs++] =
            epoch > topic->last_epoch ? epoch : topic->last_epoch; // also of those without records
    }
    return true;
}

static void tell_next(struct adopt *adopt);

static void adopt_on_told(void *context, enum status status, const ProtobufCMessage *reply,
                          struct slice payload, const char *text)
{
    struct adopt *adopt = context;
    const Millrace__AdoptedTopic *topic = adopt->file->topics[adopt->next++];
    adopt->asked = NULL;
    if (status != ST_OK)
        refuse(adopt, topic, text[0] != '\0' ? text : status_text(status));
    tell_next(adopt);
}

static void tell(struct adopt *adopt, const Millrace__AdoptedTopic *topic,
                 Millrace__AdoptTopicRequest *request)
{
    request->node_id = storage_node_id(adopt->storage);
    request->incarnation = storage_incarnation(adopt->storage);
    request->name = topic->name;
    request->topic_id = topic->topic_id;
    request->n_configs = topic->n_configs;
    request->configs = topic->configs;
    struct controllers_call call = {.method = "AdoptTopic",
                                    .request = &request->base,
                                    .timeout_ms = TIMEOUT_MS,
                                    .idempotent = true,
                                    .done = adopt_on_told,
                                    .context = adopt};
    adopt->asked = controllers_invoke(storage_controllers(adopt->storage), &call);
}

// False: nothing is under way for this one.
static bool begin(struct adopt *adopt, const Millrace__AdoptedTopic *topic)
{
    Millrace__AdoptTopicRequest request = MILLRACE__ADOPT_TOPIC_REQUEST__INIT;
    if (image_topic(storage_image(adopt->storage), id_of(topic)) != NULL)
        return false; // a former start told it
    request.producer_id_max = -1;
    bool sane = topic->partitions > 0 && topic->partitions <= IMAGE_PARTITIONS_MAX;
    request.last_epochs = mem_calloc(sane ? (size_t)topic->partitions : 1, sizeof *request.last_epochs);
    bool whole = sane && look_at_logs(adopt, topic, &request);
    if (whole)
        tell(adopt, topic, &request);
    else
        refuse(adopt, topic, "a partition is missing or damaged: remove its directories and adopt it again");
    mem_free(request.last_epochs);
    return whole;
}

static void tell_next(struct adopt *adopt)
{
    while (adopt->next < adopt->file->n_topics) {
        if (begin(adopt, adopt->file->topics[adopt->next]))
            return;
        adopt->next++;
    }
    if (adopt->refused == 0)
        remove_file(adopt);
}

void adopt_start(struct adopt *adopt)
{
    if (adopt->file != NULL)
        tell_next(adopt);
}

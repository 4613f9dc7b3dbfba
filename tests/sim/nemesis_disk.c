// SPDX-License-Identifier: Apache-2.0
// Aims at disks. A seed fills them, lets calls fail for one machine's files of a kind, or flips bits of one
// storage node, its victim. What a flip damages was on three disks when it was committed and only the victim
// loses it, so that there always is a good copy: with none a partition would rightly be offline.
#include "nemesis.h"

#include "base/mem.h"
#include "check.h"
#include "kafka/batch.h"
#include "partitions.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LOOK_MS = 100,
    PAUSE_MS_MAX = 1500,
    ILL_MS_MIN = 300,
    ILL_MS_MAX = 3000,
    FAILING_MS_MAX = 1200, // so short that logs come back before the next strike
    ROOM_MAX = 4000,
    RESTART_MS_MAX = 60,
    RETURNED_PERCENT = 40, // of the logs that are back: their node loses its power soon
    RETURNED_MS_MAX = 300,
    STORAGE_PERCENT = 80, // of the disks that fail: controllers' are as many, but fail as a whole
    RECENT =
        2 * 256, // batches that a log serves without looking at them (LOG_RECENT_MAX): a cache holds them
    PATHS_MAX = 512
};

static bool due(struct nemesis *nemesis, int64_t at_us)
{
    return nemesis->cluster->world->now_us >= at_us;
}

static int64_t later(struct nemesis *nemesis, int64_t low_ms, int64_t high_ms)
{
    return nemesis->cluster->world->now_us + 1000 * nemesis_between(nemesis, low_ms, high_ms);
}

// ---- full disks ----

static struct daemon_sim *any_with_disk(struct nemesis *nemesis)
{
    return cluster_daemon(
        nemesis->cluster,
        (int)nemesis_between(nemesis, 0, nemesis->cluster->controller_count + CLUSTER_STORAGE - 1));
}

static void fill(struct nemesis *nemesis)
{
    for (int64_t i = nemesis_between(nemesis, 1, CLUSTER_STORAGE); i > 0; i--) {
        struct daemon_sim *daemon = any_with_disk(nemesis);
        if (!daemon->machine->ills.full)
            disk_fill(daemon->machine, nemesis_between(nemesis, 0, ROOM_MAX), nemesis_percent(nemesis, 50));
    }
}

// ---- calls that fail ----

static struct daemon_sim *any_storage(struct nemesis *nemesis)
{
    return &nemesis->cluster->storage[nemesis_between(nemesis, 0, CLUSTER_STORAGE - 1)];
}

static void spoil(struct nemesis *nemesis)
{
    // What only one log needs comes most: when the directory fails, its node ends, and no log comes back.
    static const char *const storage_files[] = {
        "",      "/t-0/", "/t-1/",     "/t-2/",   "/t-0/",      "/t-1/",         "/t-2/", ".log",
        ".log", "index",  ".snapshot", "journal", "checkpoint", "partition.meta"};
    static const char *const controller_files[] = {"", "/log", "/hard-state", "snapshot"};
    bool storage = nemesis_percent(nemesis, STORAGE_PERCENT);
    struct daemon_sim *daemon = storage ? any_storage(nemesis) : any_with_disk(nemesis);
    int calls = (int)nemesis_between(nemesis, 1, DISK_READS | DISK_WRITES | DISK_SYNCS);
    const char *at = daemon->kind == DAEMON_CONTROLLER ? controller_files[nemesis_between(nemesis, 0, 3)]
                                                       : storage_files[nemesis_between(nemesis, 0, 13)];
    disk_break(daemon->machine, calls, at);
}

// A log that is offline, NULL: none.
static const struct log *failed_log(const struct daemon_sim *daemon)
{
    struct partitions *partitions = cluster_partitions(daemon);
    struct log *log = NULL;
    while (partitions != NULL && (log = dirs_next(partitions_dirs(partitions), log)) != NULL)
        if (log_status(log) != ST_OK && log_status(log) != ST_NO_SPACE)
            return log;
    return NULL;
}

static void mend(struct nemesis *nemesis, struct daemon_sim *daemon)
{
    disk_empty(daemon->machine);
    disk_mend(daemon->machine);
    if (nemesis->plan.restarts && failed_log(daemon) != NULL)
        nemesis_stop(nemesis, daemon, nemesis_percent(nemesis, 50),
                     nemesis_between(nemesis, 1, RESTART_MS_MAX));
}

// What it had only seemed to have after that is gone.
void nemesis_log_returned(struct nemesis *nemesis, const struct machine *machine)
{
    bool strikes = nemesis->plan.aim == AIM_DISKS && !nemesis->healing &&
                   nemesis_percent(nemesis, RETURNED_PERCENT);
    for (int i = 0; strikes && i < CLUSTER_STORAGE; i++)
        if (nemesis->cluster->storage[i].machine == machine)
            nemesis->strike_us[i] = later(nemesis, 0, RETURNED_MS_MAX);
}

static void strike_returned(struct nemesis *nemesis)
{
    for (int i = 0; i < CLUSTER_STORAGE; i++) {
        if (nemesis->strike_us[i] == 0 || !due(nemesis, nemesis->strike_us[i]))
            continue;
        nemesis->strike_us[i] = 0;
        nemesis_stop(nemesis, &nemesis->cluster->storage[i], true,
                     nemesis_between(nemesis, 1, RESTART_MS_MAX));
        world_count(nemesis->cluster->world, COUNT_return_struck);
    }
}

// ---- flipped bits ----

struct flip_path {
    struct slice path;
    int partition; // -1: of the directory
};

static bool ends_with(struct slice path, const char *end)
{
    size_t len = strlen(end);
    return path.len >= len && memcmp(path.data + path.len - len, end, len) == 0;
}

static bool wanted(const struct nemesis *nemesis, struct slice path)
{
    static const char *const derived[] = {"index", ".snapshot", "checkpoint", "partition.metadata"};
    if (nemesis->plan.segments)
        return ends_with(path, ".log");
    for (size_t i = 0; i < sizeof derived / sizeof *derived; i++)
        if (ends_with(path, derived[i]))
            return true;
    return false;
}

static int by_path(const void *a, const void *b)
{
    const struct slice *x = &((const struct flip_path *)a)->path, *y = &((const struct flip_path *)b)->path;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->data, y->data, len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

// Files that may be struck: those of topic t, and of the data directory itself.
static int paths_find(const struct nemesis *nemesis, const struct machine *machine, struct flip_path *paths)
{
    struct map_entry *at = NULL;
    struct slice path;
    int count = 0;
    while (count < PATHS_MAX && disk_next(machine, &at, &path)) {
        char text[128];
        int partition = -1;
        snprintf(text, sizeof text, "%.*s", (int)path.len, (const char *)path.data);
        bool of_topic = sscanf(text, "/data/log/t-%d/", &partition) == 1 && partition < HISTORY_PARTITIONS;
        bool of_directory = strncmp(text, "/data/log/", 10) == 0 && strchr(text + 10, '/') == NULL;
        if ((of_topic || of_directory) && wanted(nemesis, path))
            paths[count++] = (struct flip_path){.path = path, .partition = of_topic ? partition : -1};
    }
    if (count > 0)
        qsort(paths, (size_t)count, sizeof *paths, by_path);
    return count;
}

// Below it a partition's batches are on all three disks; -1: not known of any.
static int64_t on_all(struct nemesis *nemesis, int partition)
{
    for (int i = 0; i < CLUSTER_STORAGE; i++) {
        const struct daemon_sim *daemon = &nemesis->cluster->storage[i];
        struct partitions *partitions = cluster_partitions(daemon);
        const struct replica *replica =
            partitions != NULL ? partitions_find_named(partitions, slice_str("t"), partition) : NULL;
        if (replica != NULL && replica->state.role == PARTITION_LEADER &&
            partition_isr_size(&replica->state) == CLUSTER_STORAGE)
            return replica->state.high_watermark;
    }
    return -1;
}

static int64_t recovery_point(const struct machine *machine, int partition)
{
    size_t len;
    char want[16];
    long long offset = 0;
    const uint8_t *data = disk_read(machine, slice_str("/data/log/recovery-point-offset-checkpoint"), &len);
    char *text = mem_strndup(data ? (const char *)data : "", len);
    snprintf(want, sizeof want, "\nt %d ", partition);
    const char *row = strstr(text, want);
    if (row != NULL)
        offset = strtoll(row + strlen(want), NULL, 10);
    mem_free(text);
    return offset;
}

// One byte of one of the batches of a segment that lie below an offset; false: there is none.
static bool byte_find(struct nemesis *nemesis, const struct machine *machine, struct slice path,
                      int64_t below, size_t *byte)
{
    size_t len, end = 0;
    struct batch_header header;
    const uint8_t *data = disk_read(machine, path, &len);
    while (batch_parse(slice_of(data + end, len - end), &header) == ST_OK &&
           batch_size(&header) <= len - end && batch_last_offset(&header) < below)
        end += batch_size(&header);
    if (end > 0)
        *byte = (size_t)nemesis_between(nemesis, 0, (int64_t)end - 1);
    return end > 0;
}

static void flip_segment(struct nemesis *nemesis, struct machine *machine, const struct flip_path *at,
                         int64_t below)
{
    char name[16];
    size_t byte;
    int64_t recovered = recovery_point(machine, at->partition);
    if (!byte_find(nemesis, machine, at->path, below < recovered ? below : recovered, &byte))
        return;
    snprintf(name, sizeof name, "t-%d", at->partition);
    if (disk_flip(machine, at->path, byte, (int)nemesis_between(nemesis, 0, 7)))
        check_log_flipped(nemesis->check, machine, name);
}

static void flip(struct nemesis *nemesis)
{
    struct daemon_sim *victim = &nemesis->cluster->storage[nemesis->plan.victim];
    struct flip_path paths[PATHS_MAX];
    int64_t below[HISTORY_PARTITIONS];
    size_t len;
    bool alive = nemesis_percent(nemesis, 30);
    for (int p = 0; p < HISTORY_PARTITIONS; p++)
        if ((below[p] = on_all(nemesis, p) - (alive ? RECENT : 0)) <= 0)
            return;
    if (!alive)
        nemesis_stop(nemesis, victim, true, nemesis_between(nemesis, 1, RESTART_MS_MAX));
    int count = paths_find(nemesis, victim->machine, paths);
    if (count == 0)
        return;
    const struct flip_path *at = &paths[nemesis_between(nemesis, 0, count - 1)];
    disk_read(victim->machine, at->path, &len);
    if (nemesis->plan.segments)
        flip_segment(nemesis, victim->machine, at, below[at->partition]);
    else if (len > 0 &&
             disk_flip(victim->machine, at->path, (size_t)nemesis_between(nemesis, 0, (int64_t)len - 1),
                       (int)nemesis_between(nemesis, 0, 7)))
        check_log_flipped(nemesis->check, victim->machine, NULL);
}

// ---- the seed's course ----

static void strike(struct nemesis *nemesis)
{
    if (nemesis->plan.ill == ILL_FULL)
        fill(nemesis);
    else if (nemesis->plan.ill == ILL_FAILING)
        spoil(nemesis);
    else
        flip(nemesis);
}

static void each_daemon(struct nemesis *nemesis, void (*act)(struct nemesis *, struct daemon_sim *))
{
    for (int i = 0; i < nemesis->cluster->daemon_count; i++)
        act(nemesis, cluster_daemon(nemesis->cluster, i));
}

// A strike lasts a while; then the disks work, and some time later comes the next one.
static void look(struct timer *timer)
{
    struct nemesis *nemesis = timer->context;
    each_daemon(nemesis, nemesis_revive); // who ended by itself
    if (!nemesis->healing)
        strike_returned(nemesis);
    if (nemesis->healing) {
        each_daemon(nemesis, mend); // what damage made fail
    } else if (nemesis->ill && due(nemesis, nemesis->disk_us)) {
        each_daemon(nemesis, mend);
        nemesis->ill = false;
        nemesis->disk_us = later(nemesis, 0, PAUSE_MS_MAX);
    } else if (due(nemesis, nemesis->disk_us)) {
        strike(nemesis);
        nemesis->ill = true;
        int64_t most_ms = nemesis->plan.ill == ILL_FAILING ? FAILING_MS_MAX : ILL_MS_MAX;
        nemesis->disk_us = later(nemesis, ILL_MS_MIN, most_ms);
    }
    timer_start_ms(nemesis->env, timer, LOOK_MS);
}

void nemesis_disk_heal(struct nemesis *nemesis)
{
    each_daemon(nemesis, mend);
}

void nemesis_disk_check(struct nemesis *nemesis)
{
    for (int i = 0; i < CLUSTER_STORAGE; i++) {
        const struct daemon_sim *daemon = &nemesis->cluster->storage[i];
        const struct log *log = failed_log(daemon);
        if (log != NULL)
            history_violation(nemesis->cluster->history, "logs-come-back", "node %d: %s is still offline, %s",
                              daemon->node_id, log_name(log), status_name(log_status(log)));
    }
}

static void plan_print(const struct nemesis *nemesis)
{
    static const char *const ills[] = {"full", "failing", "flipped"};
    const struct nemesis_plan *plan = &nemesis->plan;
    if (nemesis->cluster->world->verbose)
        fprintf(stderr, "nemesis disks are %s victim=%d of=%s restarts=%d\n", ills[plan->ill],
                plan->victim + 1, plan->segments ? "segments" : "what is derived", plan->restarts);
}

void nemesis_disk_begin(struct nemesis *nemesis)
{
    struct nemesis_plan *plan = &nemesis->plan;
    bool removes = nemesis_reassigns(nemesis->cluster->world->seed); // replicas, maybe all the good ones
    plan->ill = (enum nemesis_ill)nemesis_between(nemesis, ILL_FULL, removes ? ILL_FAILING : ILL_FLIPPED);
    plan->victim = (int)nemesis_between(nemesis, 0, CLUSTER_STORAGE - 1);
    plan->segments = nemesis_percent(nemesis, 50);
    plan->restarts = nemesis->cluster->world->seed / 4 % 2;
    plan_print(nemesis);
    timer_init(&nemesis->aimed, look, nemesis);
    timer_start_ms(nemesis->env, &nemesis->aimed, PAUSE_MS_MAX);
}

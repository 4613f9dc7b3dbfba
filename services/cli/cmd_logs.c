// SPDX-License-Identifier: Apache-2.0
// millrace logs: the lines of all daemons' log files in the order of their stamps; -f goes on with new ones.
#include "commands.h"

#include "base/mem.h"
#include "cluster.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STAMP = 24, READ_MAX = 64 << 20, FILES_MAX = CLUSTER_DAEMONS_MAX + 1 };

struct source {
    char path[CLUSTER_PATH_MAX];
    off_t at; // read up to here
    struct buf text;
};

struct lines {
    const char **items; // NUL-terminated, within the sources' texts
    size_t count, cap;
};

static enum cli_exit sources_find(const struct cluster *cluster, const char *wanted, struct source *sources,
                                  size_t *count)
{
    for (size_t i = 0; i < cluster->count; i++) {
        char name[32];
        cluster_daemon_name(&cluster->daemons[i], name);
        if (wanted != NULL && strcmp(wanted, name) != 0 && strcmp(wanted, cluster->daemons[i].role) != 0)
            continue;
        cluster_daemon_log(cluster, &cluster->daemons[i], sources[(*count)++].path);
    }
    if (wanted == NULL || strcmp(wanted, "up") == 0)
        snprintf(sources[(*count)++].path, CLUSTER_PATH_MAX, "%.440s/logs/up.log", cluster->data);
    if (*count == 0)
        return cli_fail(CLI_ABSENT, "no daemon '%s' in this cluster; 'millrace status' lists them", wanted);
    return CLI_DONE;
}

// Whole lines that were added since; the rest of an unfinished one comes next time.
static void source_read(struct source *source)
{
    struct stat info;
    buf_clear(&source->text);
    int fd = open(source->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fstat(fd, &info) == 0 && info.st_size < source->at)
        source->at = 0; // it was emptied or replaced
    off_t left = info.st_size - source->at;
    if (left > READ_MAX) {
        source->at += left - READ_MAX;
        left = READ_MAX;
    }
    if (left > 0 && buf_reserve(&source->text, (size_t)left) == ST_OK) {
        ssize_t got = pread(fd, source->text.data, (size_t)left, source->at);
        source->text.len = got > 0 ? (size_t)got : 0;
    }
    close(fd);
    while (source->text.len > 0 && source->text.data[source->text.len - 1] != '\n')
        source->text.len--;
    source->at += (off_t)source->text.len;
}

static void lines_add(struct lines *lines, struct buf *text)
{
    for (size_t at = 0; at < text->len;) {
        char *line = (char *)text->data + at;
        size_t width = (size_t)((char *)memchr(line, '\n', text->len - at) - line);
        line[width] = '\0';
        if (lines->count == lines->cap) {
            lines->cap = lines->cap > 0 ? 2 * lines->cap : 256;
            lines->items = mem_realloc(lines->items, lines->cap * sizeof *lines->items);
        }
        lines->items[lines->count++] = line;
        at += width + 1;
    }
}

static int by_stamp(const void *a, const void *b)
{
    const char *left = *(const char *const *)a;
    const char *right = *(const char *const *)b;
    int order = strncmp(left, right, STAMP);
    return order != 0 ? order : left < right ? -1 : left > right; // one file's lines keep their order
}

static void new_lines_print(struct source *sources, size_t count, int64_t last)
{
    struct lines lines = {0};
    for (size_t i = 0; i < count; i++) {
        source_read(&sources[i]);
        lines_add(&lines, &sources[i].text);
    }
    if (lines.count > 0)
        qsort(lines.items, lines.count, sizeof *lines.items, by_stamp);
    size_t from = last > 0 && lines.count > (size_t)last ? lines.count - (size_t)last : 0;
    for (size_t i = from; i < lines.count; i++)
        puts(lines.items[i]);
    fflush(stdout);
    mem_free(lines.items);
}

// Until interrupted, or nobody reads any more.
static enum cli_exit follow(const struct cluster *cluster, struct source *sources, size_t count)
{
    char dir[CLUSTER_PATH_MAX + 8], events[4096];
    snprintf(dir, sizeof dir, "%s/logs", cluster->data);
    int fd = inotify_init1(IN_CLOEXEC);
    if (fd < 0 || inotify_add_watch(fd, dir, IN_MODIFY | IN_CREATE) < 0)
        return cli_fail(CLI_FAILED, "%s cannot be watched: %s", dir, strerror(errno));
    do
        new_lines_print(sources, count, 0);
    while (!ferror(stdout) && read(fd, events, sizeof events) > 0);
    close(fd);
    return CLI_DONE;
}

enum cli_exit cmd_logs(int argc, char **argv)
{
    const char *data = NULL;
    bool follows = false;
    int64_t last = 1000;
    const struct cli_arg args[] = {
        {"--data", CLI_TEXT, &data, 0, 0, "DIR",
         "the cluster there ($MILLRACE_DATA, else the newest running one)"},
        {"--follow|-f", CLI_FLAG, &follows, 0, 0, NULL, "go on with new lines"},
        {"--lines|-n", CLI_INT, &last, 0, INT32_MAX, "N", "last lines to begin with (1000; 0: all)"}};
    const struct cli_usage usage = {
        .line = "logs [options] [DAEMON]",
        .help = "Prints the log lines of all daemons, or of one (storage-1) or one role, by time.",
        .args = args,
        .count = sizeof args / sizeof *args,
        .positional_max = 1};
    struct cli_many positional = {0};
    enum cli_exit code;
    if (!cli_args(&usage, argc, argv, &positional, &code))
        return code;
    struct cluster *cluster = mem_calloc(1, sizeof *cluster);
    struct source *sources = mem_calloc(FILES_MAX, sizeof *sources);
    size_t count = 0;
    code = cluster_find(data, cluster);
    if (code == CLI_DONE)
        code = sources_find(cluster, positional.count > 0 ? positional.items[0] : NULL, sources, &count);
    for (size_t i = 0; i < count; i++)
        buf_init(&sources[i].text, READ_MAX);
    if (code == CLI_DONE)
        new_lines_print(sources, count, last);
    if (code == CLI_DONE && follows)
        code = follow(cluster, sources, count);
    for (size_t i = 0; i < count; i++)
        buf_fini(&sources[i].text);
    mem_free(sources);
    mem_free(cluster);
    return code;
}

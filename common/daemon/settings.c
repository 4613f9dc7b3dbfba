// SPDX-License-Identifier: Apache-2.0
// From the outside to typed values: --config FILE first, then MILLRACE_* variables, then --set, later ones
// winning. Keys of Kafka that mean nothing here are passed over with one warning that lists them, so that an
// existing server.properties starts; a misspelt key of ours is an error with a suggestion.
#include "daemon/internal.h"

#include "base/mem.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

enum { FILE_MAX = 1 << 20, VARIABLE_MAX = 128 };

struct reading {
    struct config *config;
    const char *origin; // for messages
    struct buf ignored; // keys passed over
    char error[CONFIG_ERROR_SIZE];
};

static enum status setting_apply(const char *key, const char *value, void *context)
{
    struct reading *reading = context;
    enum status status = config_set(reading->config, key, value, reading->error);
    if (status != ST_NOT_FOUND || config_unknown_is_error(reading->config, key))
        return status;
    reading->error[0] = '\0';
    buf_printf(&reading->ignored, "%s%.100s", reading->ignored.len > 0 ? "," : "", key);
    return ST_OK;
}

static enum status file_slurp(const char *path, struct buf *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return status_from_errno(errno);
    enum status status = ST_OK;
    ssize_t got = 1;
    while (status == ST_OK && got > 0) {
        status = buf_reserve(text, 4096);
        if (status != ST_OK)
            break;
        got = read(fd, text->data + text->len, 4096);
        if (got < 0)
            status = status_from_errno(errno);
        else
            text->len += (size_t)got;
    }
    close(fd);
    return status;
}

static bool file_apply(struct reading *reading, const char *path)
{
    struct buf text;
    int line = 0;
    buf_init(&text, FILE_MAX);
    enum status status = file_slurp(path, &text);
    if (status != ST_OK) {
        fprintf(stderr, "%s: cannot be read: %s\n", path, status_text(status));
        buf_fini(&text);
        return false;
    }
    status = config_parse(buf_slice(&text), setting_apply, reading, &line);
    buf_fini(&text);
    if (status != ST_OK)
        fprintf(stderr, "%s:%d: %s\n", path, line,
                reading->error[0] != '\0' ? reading->error : "not a line of key=value");
    return status == ST_OK;
}

// node.id is MILLRACE_NODE_ID.
static void variable_name(const char *key, char name[VARIABLE_MAX])
{
    size_t len = (size_t)snprintf(name, VARIABLE_MAX, "MILLRACE_%s", key);
    for (size_t i = 0; i < len && i < VARIABLE_MAX - 1; i++)
        name[i] = isalnum((unsigned char)name[i]) ? (char)toupper((unsigned char)name[i]) : '_';
}

static bool environment_apply(struct reading *reading)
{
    const struct config_row *row;
    for (size_t i = 0; (row = config_row_at(reading->config, i)) != NULL; i++) {
        char name[VARIABLE_MAX];
        variable_name(row->key, name);
        const char *value = getenv(name);
        if (value == NULL)
            continue;
        if (config_set(reading->config, row->key, value, reading->error) != ST_OK) {
            fprintf(stderr, "%s: %s\n", name, reading->error);
            return false;
        }
    }
    return true;
}

// Variables that look like a misspelt one of ours; others (MILLRACE_BOOTSTRAP) belong to other programs.
static bool environment_check(const struct config *config)
{
    for (char **at = environ; *at != NULL; at++) {
        char given[VARIABLE_MAX];
        size_t len = strcspn(*at, "=");
        if (strncmp(*at, "MILLRACE_", 9) != 0 || len >= sizeof given)
            continue;
        memcpy(given, *at, len);
        given[len] = '\0';
        int nearest = 3;
        char near[VARIABLE_MAX] = "";
        const struct config_row *row;
        for (size_t i = 0; (row = config_row_at(config, i)) != NULL; i++) {
            char name[VARIABLE_MAX];
            variable_name(row->key, name);
            int distance = edit_distance(given, name, 2);
            if (distance < nearest) {
                nearest = distance;
                memcpy(near, name, sizeof near);
            }
        }
        if (nearest != 0 && nearest < 3) {
            fprintf(stderr, "%s: no such parameter; did you mean %s?\n", given, near);
            return false;
        }
    }
    return true;
}

static bool set_apply(struct reading *reading, const char *text)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL) {
        fprintf(stderr, "--set %.100s: key=value expected\n", text);
        return false;
    }
    char *key = mem_strndup(text, (size_t)(equals - text));
    enum status status = setting_apply(key, equals + 1, reading);
    mem_free(key);
    if (status != ST_OK)
        fprintf(stderr, "--set: %s\n", reading->error);
    return status == ST_OK;
}

// An option with a value: "--name value" or "--name=value". Moves *at past it. False when argv[*at] is
// another.
static bool option_value(int argc, char **argv, int *at, const char *name, const char **value)
{
    size_t len = strlen(name);
    const char *arg = argv[*at];
    if (strncmp(arg, name, len) != 0 || (arg[len] != '\0' && arg[len] != '='))
        return false;
    if (arg[len] == '=')
        *value = arg + len + 1;
    else
        *value = *at + 1 < argc ? argv[++*at] : NULL;
    return true;
}

static bool option_missing(const char *name)
{
    fprintf(stderr, "%s needs a value\n", name);
    return false;
}

// One walk over the arguments: files when sets is false, --set when it is true, so that --set always wins.
static bool arguments_apply(struct reading *reading, int argc, char **argv, bool sets,
                            struct daemon_options *options)
{
    for (int i = 1; i < argc; i++) {
        const char *value = NULL;
        const char *arg = argv[i];
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            options->help = true;
        } else if (strcmp(arg, "--version") == 0) {
            options->version = true;
        } else if (option_value(argc, argv, &i, "--config", &value)) {
            if (value == NULL)
                return option_missing(arg);
            if (!sets && !file_apply(reading, value))
                return false;
        } else if (option_value(argc, argv, &i, "--set", &value)) {
            if (value == NULL)
                return option_missing(arg);
            if (sets && !set_apply(reading, value))
                return false;
        } else if (option_value(argc, argv, &i, "--ready-file", &options->ready_file)) {
            if (options->ready_file == NULL)
                return option_missing(arg);
        } else if (option_value(argc, argv, &i, "--die-with", &value)) {
            if (value == NULL)
                return option_missing(arg);
            options->parent = strtol(value, NULL, 10);
        } else {
            fprintf(stderr, "%s: unknown argument; --help lists them\n", arg);
            return false;
        }
    }
    return true;
}

bool settings_read(const struct daemon_spec *spec, struct config *config, int argc, char **argv,
                   struct daemon_options *options)
{
    struct reading reading = {.config = config};
    buf_init(&reading.ignored, 16 << 10);
    config_declare(config, spec->rows, spec->row_count);
    config_declare(config, config_common_rows, config_common_count);
    bool good = arguments_apply(&reading, argc, argv, false, options) && environment_check(config) &&
                environment_apply(&reading) && arguments_apply(&reading, argc, argv, true, options);
    if (good && reading.ignored.len > 0) {
        struct diag diag = {.level = DIAG_INFO, .who = spec->name};
        DIAG_WARN(&diag, "parameters without a meaning here are ignored keys=%.*s", (int)reading.ignored.len,
                  (const char *)reading.ignored.data);
    }
    buf_fini(&reading.ignored);
    return good;
}

static void row_print(const struct config_row *row)
{
    static const char *const types[] = {"string", "integer", "number", "boolean", "list"};
    printf("  %s\n      %s", row->key, types[row->type]);
    if (row->min != 0 || row->max != 0)
        printf(" %" PRId64 "..%" PRId64, row->min, row->max);
    if (row->choices != NULL)
        printf(" %s", row->choices);
    printf(", default %s%s%s, %s\n      %s\n", row->fallback != NULL && *row->fallback != '\0' ? "'" : "",
           row->fallback != NULL && *row->fallback != '\0' ? row->fallback : "none",
           row->fallback != NULL && *row->fallback != '\0' ? "'" : "",
           row->change == CONFIG_HOT ? "hot" : "cold (needs a restart)", row->help);
}

void settings_help(const struct daemon_spec *spec, const struct config *config)
{
    printf(
        "millrace-%s %s: %s\n\n"
        "usage: millrace-%s [--config FILE] [--set KEY=VALUE]... [--ready-file FILE] [--die-with PID]\n"
        "       millrace-%s --help | --version\n\n"
        "Parameters come from --config FILE (key=value lines as in Kafka's server.properties), then from\n"
        "MILLRACE_* environment variables (MILLRACE_NODE_ID is node.id), then from --set; later ones win.\n"
        "--ready-file FILE is written with the bound addresses as JSON; --die-with PID ends with that "
        "parent.\n"
        "Exit codes: 0 ended by SIGTERM or SIGINT after draining, 1 failed, 2 wrong arguments or "
        "parameters.\n\n"
        "Parameters:\n",
        spec->name, MILLRACE_VERSION, spec->summary, spec->name, spec->name);
    const struct config_row *row;
    for (size_t i = 0; (row = config_row_at(config, i)) != NULL; i++)
        row_print(row);
}

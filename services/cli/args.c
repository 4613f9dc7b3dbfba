// SPDX-License-Identifier: Apache-2.0
// Arguments by table, help texts, and finding a command by name. See cli.h.
#include "cli.h"

#include "base/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum cli_exit cli_fail(enum cli_exit code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "millrace: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    return code;
}

// ---- commands ----

static void commands_print(FILE *to, const char *program, const struct cli_command *table, size_t count)
{
    fprintf(to, "usage: %s COMMAND [options]\n\n", program);
    for (size_t i = 0; i < count; i++)
        fprintf(to, "  %-14s %s\n", table[i].name, table[i].summary);
    fprintf(to, "\n%s COMMAND --help tells more.\n", program);
}

static const char *nearest_command(const struct cli_command *table, size_t count, const char *given)
{
    const char *found = NULL;
    int best = 3;
    for (size_t i = 0; i < count; i++) {
        int distance = edit_distance(given, table[i].name, 2);
        if (distance < best) {
            best = distance;
            found = table[i].name;
        }
    }
    return found;
}

enum cli_exit cli_dispatch(const char *program, const struct cli_command *table, size_t count, int argc,
                           char **argv)
{
    bool help = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
                             strcmp(argv[1], "help") == 0);
    if (argc < 2 || help) {
        commands_print(help ? stdout : stderr, program, table, count);
        return help ? CLI_DONE : CLI_USAGE;
    }
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i].name, argv[1]) == 0)
            return table[i].run(argc - 1, argv + 1);
    const char *near = nearest_command(table, count, argv[1]);
    if (near != NULL)
        return cli_fail(CLI_USAGE, "no command '%s %s'; did you mean '%s'?", program, argv[1], near);
    return cli_fail(CLI_USAGE, "no command '%s %s'; '%s --help' lists them", program, argv[1], program);
}

// ---- arguments ----

// Whether the text of len bytes is one of the spellings in "--follow|-f".
static bool spelling_is(const char *names, const char *text, size_t len)
{
    while (*names != '\0') {
        size_t width = strcspn(names, "|");
        if (width == len && strncmp(names, text, len) == 0)
            return true;
        names += width + (names[width] == '|');
    }
    return false;
}

static const struct cli_arg *arg_find(const struct cli_usage *usage, const char *text, size_t len)
{
    for (size_t i = 0; i < usage->count; i++)
        if (spelling_is(usage->args[i].name, text, len))
            return &usage->args[i];
    return NULL;
}

static bool int_store(const struct cli_arg *arg, const char *value)
{
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || number < arg->min || number > arg->max) {
        cli_fail(CLI_USAGE, "%s: '%s' is not a number within %" PRId64 "..%" PRId64, arg->name, value,
                 arg->min, arg->max);
        return false;
    }
    *(int64_t *)arg->to = number;
    return true;
}

static bool value_store(const struct cli_arg *arg, const char *value)
{
    switch (arg->kind) {
    case CLI_FLAG:
        *(bool *)arg->to = true;
        return true;
    case CLI_INT:
        return int_store(arg, value);
    case CLI_TEXT:
        *(const char **)arg->to = value;
        return true;
    case CLI_MANY:
        break;
    }
    struct cli_many *many = arg->to;
    if (many->count == CLI_MANY_MAX) {
        cli_fail(CLI_USAGE, "%s given more than %d times", arg->name, CLI_MANY_MAX);
        return false;
    }
    many->items[many->count++] = value;
    return true;
}

static bool unknown_option(const struct cli_usage *usage, const char *given)
{
    char found[64] = "";
    int best = 3;
    for (size_t i = 0; i < usage->count; i++) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(usage->args[i].name, "|"), usage->args[i].name);
        int distance = edit_distance(given, name, 2);
        if (distance < best && usage->args[i].help != NULL) {
            best = distance;
            memcpy(found, name, sizeof found);
        }
    }
    if (found[0] != '\0')
        cli_fail(CLI_USAGE, "no option %s; did you mean %s?", given, found);
    else
        cli_fail(CLI_USAGE, "no option %s; usage: millrace %s", given, usage->line);
    return false;
}

static void usage_print(const struct cli_usage *usage)
{
    printf("usage: millrace %s\n\n%s\n", usage->line, usage->help);
    if (usage->count > 0)
        printf("\nOptions:\n");
    for (size_t i = 0; i < usage->count; i++) {
        char left[64];
        if (usage->args[i].help == NULL)
            continue; // one the program gives to itself
        snprintf(left, sizeof left, "%s %s", usage->args[i].name,
                 usage->args[i].value != NULL ? usage->args[i].value : "");
        printf("  %-28s %s\n", left, usage->args[i].help);
    }
    printf("\nExit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no such cluster or broker, 4 not in "
           "time, 5 'why' has found a cause.\n");
}

// One option at argv[*at]; moves past its value.
static bool option_take(const struct cli_usage *usage, int argc, char **argv, int *at)
{
    const char *text = argv[*at];
    size_t len = strcspn(text, "=");
    const struct cli_arg *arg = arg_find(usage, text, len);
    if (arg == NULL) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)(len < 60 ? len : 60), text);
        return unknown_option(usage, name);
    }
    const char *value = text[len] == '=' ? text + len + 1 : NULL;
    if (arg->kind == CLI_FLAG && value != NULL) {
        cli_fail(CLI_USAGE, "%s takes no value", arg->name);
        return false;
    }
    if (arg->kind != CLI_FLAG && value == NULL) {
        if (*at + 1 >= argc) {
            cli_fail(CLI_USAGE, "%s needs a value", arg->name);
            return false;
        }
        value = argv[++*at];
    }
    return value_store(arg, value);
}

static bool positional_check(const struct cli_usage *usage, const struct cli_many *positional)
{
    if (positional->count >= usage->positional_min && positional->count <= usage->positional_max)
        return true;
    cli_fail(CLI_USAGE, "%s; usage: millrace %s",
             positional->count < usage->positional_min ? "too few arguments" : "too many arguments",
             usage->line);
    return false;
}

bool cli_args(const struct cli_usage *usage, int argc, char **argv, struct cli_many *positional,
              enum cli_exit *code)
{
    bool options = true;
    *code = CLI_USAGE;
    for (int i = 1; i < argc; i++) {
        const char *text = argv[i];
        if (options && (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0)) {
            usage_print(usage);
            *code = CLI_DONE;
            return false;
        }
        if (options && strcmp(text, "--") == 0) {
            options = false;
        } else if (options && text[0] == '-' && text[1] != '\0') {
            if (!option_take(usage, argc, argv, &i))
                return false;
        } else if (positional->count < CLI_MANY_MAX) {
            positional->items[positional->count++] = text;
        }
    }
    return positional_check(usage, positional);
}

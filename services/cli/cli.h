// SPDX-License-Identifier: Apache-2.0
// What the commands of `millrace` share: the shape of a command, exit codes, arguments, messages. One
// command, one file cmd_NAME.c; main.c is the table.
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cli_exit {
    CLI_DONE = 0,
    CLI_FAILED = 1,  // refused or failed
    CLI_USAGE = 2,   // wrong arguments
    CLI_ABSENT = 3,  // no such cluster, or no broker reachable
    CLI_TIMEOUT = 4, // not in time
    CLI_FOUND = 5    // `why` has found a cause
};

// argv[0] is the command's own name.
typedef enum cli_exit cli_fn(int argc, char **argv);

struct cli_command {
    const char *name;
    cli_fn *run;
    const char *summary;
};

// Runs the command named by argv[1], or prints the list; a misspelt name gets a suggestion.
enum cli_exit cli_dispatch(const char *program, const struct cli_command *table, size_t count, int argc,
                           char **argv);

// ---- arguments ----
enum cli_arg_kind { CLI_FLAG, CLI_INT, CLI_TEXT, CLI_MANY };

enum { CLI_MANY_MAX = 64 };

struct cli_many {
    const char *items[CLI_MANY_MAX];
    int count;
};

struct cli_arg {
    const char *name; // "--data", or "-f" ; several spellings separated by '|'
    enum cli_arg_kind kind;
    void *to;          // bool, int64_t, const char *, struct cli_many
    int64_t min, max;  // CLI_INT
    const char *value; // what the value is called in the help
    const char *help;  // NULL: not shown
};

struct cli_usage {
    const char *line; // "topic create NAME [options]"
    const char *help; // a few lines
    const struct cli_arg *args;
    size_t count;
    int positional_min, positional_max;
};

// Fills the targets and positional. False: the command ends with *code (help was asked for, or an error was
// printed). "--" ends the options.
bool cli_args(const struct cli_usage *usage, int argc, char **argv, struct cli_many *positional,
              enum cli_exit *code);

// ---- messages ----
// "millrace: ..." on standard error; returns the code, so that a command can end with it.
enum cli_exit cli_fail(enum cli_exit code, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

// SPDX-License-Identifier: Apache-2.0
// millrace version
#include "commands.h"

#include <stdio.h>

enum cli_exit cmd_version(int argc, char **argv)
{
    static const struct cli_usage usage = {.line = "version", .help = "Prints the version of this program."};
    struct cli_many positional = {0};
    enum cli_exit code;
    if (!cli_args(&usage, argc, argv, &positional, &code))
        return code;
    printf("millrace %s\n", MILLRACE_VERSION);
    return CLI_DONE;
}

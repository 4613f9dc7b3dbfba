// SPDX-License-Identifier: Apache-2.0
// millrace group reset-offsets; in a file of its own because of its size. See group_reset.c.
#ifndef CLI_GROUP_RESET_H
#define CLI_GROUP_RESET_H

#include "cli.h"

cli_fn group_reset;

// Milliseconds since 1970 of "1700000000000" or "2026-01-31[T12:30[:15[.250]]][Z]" (UTC). False: neither.
bool time_parse(const char *text, int64_t *ms);

#endif

// SPDX-License-Identifier: Apache-2.0
// The end of the process on a broken assertion: one line that names the place, then abort for the core dump.
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void assert_failed(const char *file, int line, const char *text)
{
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, text);
    abort();
}

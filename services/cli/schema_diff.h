// SPDX-License-Identifier: Apache-2.0
// Two schemas line by line, for people.
#ifndef CLI_SCHEMA_DIFF_H
#define CLI_SCHEMA_DIFF_H

#include <stdbool.h>

// A schema over several lines: JSON is indented, one member or element a line, with all digits of its numbers
// (tree_print_exact); any other text stays as it is. mem_free it.
char *schema_diff_lines(const char *text);

// Prints both, unchanged lines once, taken away ones with "-", new ones with "+". Whether there are any.
// Beyond 4,000 lines all of the older are taken away and all of the newer new.
bool schema_diff_print(const char *before, const char *after);

#endif

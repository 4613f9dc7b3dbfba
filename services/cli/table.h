// SPDX-License-Identifier: Apache-2.0
// What a command shows: rows under named columns, printed as an aligned table for people or as a JSON array
// of objects for programs.
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum { TABLE_COLUMNS_MAX = 12 };

struct table;

// names: lower-case column names, also the members' names in JSON; count of them.
struct table *table_new(const char *const *names, int count);

// Fill the cells of a row from left to right; after the last column the next row begins.
void table_text(struct table *table, struct slice text);
void table_number(struct table *table, int64_t number);
// Node ids as "1,2,3"; cut behind about 240 characters.
void table_nodes(struct table *table, const int32_t *nodes, int32_t count);
// Milliseconds: "1.2 s" for people, the number in JSON; negative: none.
void table_duration(struct table *table, int64_t ms);
// "12.3", the number in JSON; negative: none.
void table_rate(struct table *table, double number);
// A number as it is written, also in JSON.
void table_number_text(struct table *table, const char *number);
// Negative: none.
void table_known(struct table *table, int64_t number);
void table_bool(struct table *table, bool value);
void table_none(struct table *table); // "-" or null

// "350 ms", "1.2 s", "4 min 5 s", "2 h 3 min", "3 d 4 h".
void duration_text(int64_t ms, char text[32]);

int table_rows(const struct table *table);

// Prints and frees. empty: what to say to people when there is no row.
void table_print(struct table **table, bool json, const char *empty);

// Frees without printing.
void table_destroy(struct table **table);

// {"name":value,...} of one object, without a table around; for single results.
void table_print_object(struct table **table, bool json);

#endif

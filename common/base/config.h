// SPDX-License-Identifier: Apache-2.0
// Typed configuration as plain values: a table of rows (key, type, default, range, help) declares what
// exists, texts set values, typed getters read them. Where a parameter is the same thing as in Kafka it has
// Kafka's name. No files, no environment variables here: daemon/ reads those and hands the texts over, the
// simulator and tests set values directly. Libraries of services take a const struct config *.
//
//   static const struct config_row rows[] = {
//       {"log.segment.bytes", CONFIG_INT, "1073741824", 1 << 14, INT32_MAX, CONFIG_COLD, "Size of a
//       segment."}};
//   struct config *config = config_new();
//   config_declare(config, rows, 1);
//   config_set(config, "log.segment.bytes", "65536", error);
//   int64_t bytes = config_int(config, "log.segment.bytes");
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/slice.h"
#include "base/status.h"

enum config_type {
    CONFIG_STRING,
    CONFIG_INT,    // 64 bits, within [min, max]
    CONFIG_DOUBLE, // within [min, max]
    CONFIG_BOOL,   // true or false
    CONFIG_LIST    // comma-separated strings, blanks around them dropped
};

enum config_change { CONFIG_COLD, CONFIG_HOT }; // needs a restart, or may change at run time

struct config_row {
    const char *key;
    enum config_type type;
    const char *fallback; // default as text; NULL: no value ("" for strings, 0, false, empty list)
    int64_t min, max;     // CONFIG_INT and CONFIG_DOUBLE; both 0: any
    enum config_change change;
    const char *help;    // one or two sentences
    const char *choices; // CONFIG_STRING: allowed values separated by '|'; NULL: any
};

enum { CONFIG_ERROR_SIZE = 256, CONFIG_VALUE_MAX = 64 << 10, CONFIG_ROWS_MAX = 512 };

struct config;

struct config *config_new(void);
void config_destroy(struct config **config);

// Adds rows (borrowed, static). A key declared twice keeps its first row; a default that its own row refuses
// is a bug.
void config_declare(struct config *config, const struct config_row *rows, size_t count);

// Sets a value from text. INVALID: refused by type, range or choices; NOT_FOUND: no such key. error tells
// why, naming the key, and suggests a declared key that looks alike ("" when none does).
enum status config_set(struct config *config, const char *key, const char *value,
                       char error[CONFIG_ERROR_SIZE]);

// Whether the key was set (not only defaulted).
bool config_is_set(const struct config *config, const char *key);

// Typed reads. The key must be declared with that type, everything else is a bug. Strings are never NULL and
// live until the next config_set of that key.
const char *config_string(const struct config *config, const char *key);
int64_t config_int(const struct config *config, const char *key);
double config_double(const struct config *config, const char *key);
bool config_bool(const struct config *config, const char *key);
size_t config_list_count(const struct config *config, const char *key);
const char *config_list_at(const struct config *config, const char *key, size_t index);

// The row of a key or NULL; the i-th declared row or NULL behind the last.
const struct config_row *config_row_of(const struct config *config, const char *key);
const struct config_row *config_row_at(const struct config *config, size_t index);

// The present value of a declared key as text.
const char *config_text(const struct config *config, const char *key);

// The declared key that looks most like the given one (at most 2 edits, 3 for long ones), or NULL.
const char *config_suggest(const struct config *config, const char *key);

// How to take a key that config_set did not find: true when it must be one of ours misspelt (looks like a
// declared key, or shares its first word, behind "millrace." its second one, while Kafka has no such family);
// false when it is Kafka's, a plugin's or another daemon's and may be passed over with a warning.
bool config_unknown_is_error(const struct config *config, const char *key);

// Whether the name is one of Apache Kafka's, or (family) begins like a family of them.
bool config_is_kafka_key(const char *key);
bool config_is_kafka_family(const char *key);

// Smallest number of single-character insertions, deletions, substitutions and swaps of neighbours that turns
// a into b; above limit: limit + 1. Texts longer than 127 bytes count as limit + 1 apart.
int edit_distance(const char *a, const char *b, int limit);

// Walks a text in Java's properties syntax (the part Kafka's files use: comments, '=' or ':', blanks, lines
// continued by a backslash). each gets NUL-terminated key and value; its first failure ends the walk.
// MALFORMED: a line without key or longer than CONFIG_VALUE_MAX; *line (from 1) is where it stopped.
typedef enum status config_pair_fn(const char *key, const char *value, void *context);
enum status config_parse(struct slice text, config_pair_fn *each, void *context, int *line);

// Splits "host:port" or "[v6]:port" or "NAME://host:port" (name may be NULL when not wanted). host and name
// have room for 256 bytes. INVALID when it is not of that form or the port is above 65535.
enum status config_address(const char *text, char name[256], char host[256], int *port);

// The rows every daemon has (node.id, rpc.listen, admin.listen, ...); the simulator declares them as well.
extern const struct config_row config_common_rows[];
extern const size_t config_common_count;

#endif

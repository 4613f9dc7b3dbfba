// SPDX-License-Identifier: Apache-2.0
// What kafka-gen knows about the messages of protos/kafka after reading them: parse.c builds this, check.c
// resolves and checks it, header.c and tables.c print it. The tool runs at build time on our own files: any
// mistake in them ends it with file, line and reason. Memory lives until the end in one list of blocks.
#ifndef KAFKA_GEN_MODEL_H
#define KAFKA_GEN_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { VERSION_OPEN = INT16_MAX, NESTING_MAX = 12, FIELDS_MAX = 64 };

// An inclusive range of versions; first > last is the empty range.
struct versions {
    int first;
    int last;
};

struct type;

struct field {
    const char *name;      // as in the .msg file
    const char *snake;     // as in C
    const char *type_name; // without the [] of an array
    int primitive;         // index into primitives[], -1 when it is a structure
    struct type *type;     // the structure, NULL for a primitive
    bool array;
    bool ignorable;
    bool never_flexible;
    bool default_null;
    long long default_number;
    struct versions versions;
    struct versions nullable;
    struct versions tagged;
    int tag; // -1 when never tagged
    int line;
};

struct type {
    const char *name; // NULL for the message itself
    const char *c_name;
    struct field fields[FIELDS_MAX];
    int field_count;
    bool visiting; // a walk is inside it: meeting it again is a cycle
    bool printed;
    struct type *next; // next type of the same message
};

struct message {
    const char *kind; // request, response, header, data, coordinator-key, coordinator-value
    const char *name;
    const char *snake;
    int key; // -1 when it has none
    struct versions valid;
    struct versions flexible;
    bool latest_unstable;
    bool broker;     // listeners=broker
    bool controller; // listeners=controller
    struct type *root;
    struct type *types; // nested and shared structures
    struct file *file;
    int line;
    struct message *next;
};

struct file {
    const char *path;
    const char *stem; // file name without folder and suffix
    struct message *messages;
    struct file *next;
};

struct model {
    struct file *files;
    void *blocks; // every allocation, newest first
};

struct primitive {
    const char *name; // in .msg files
    const char *c_type;
    const char *constant; // enum kafka_type
    bool nullable;
};
extern const struct primitive primitives[];
int primitive_find(const char *name); // -1 when there is none

// names.c: memory and names
void *gen_alloc(struct model *model, size_t size);
char *gen_printf(struct model *model, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *gen_snake(struct model *model, const char *name);
char *gen_upper(struct model *model, const char *name);
void gen_free(struct model *model);
_Noreturn void gen_fail(const struct file *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void parse_file(struct model *model, struct file *file);
void check_file(struct model *model, struct file *file);
void print_header(struct model *model, FILE *out, struct file *file);
void print_tables(struct model *model, FILE *out, struct file *file);
void print_api_keys(struct model *model, FILE *out);
void print_index(struct model *model, FILE *out);

#endif

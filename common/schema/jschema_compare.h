// SPDX-License-Identifier: Apache-2.0
// What the files of the comparison share: jschema_compare.c (pairs, and the shapes without schemas inside),
// jschema_compare_object.c, jschema_compare_array.c, jschema_compare_choice.c, jschema_words.c (codes in
// words). For them only. The writer is Confluent's original, the reader its update.
#ifndef SCHEMA_JSCHEMA_COMPARE_H
#define SCHEMA_JSCHEMA_COMPARE_H

#include "schema/jschema_model.h"
#include "schema/jschema_words.h"

enum {
    JSCHEMA_PAIRS_MAX = 1 << 17,         // pairs of parts that one comparison may take
    JSCHEMA_COMPARE_STEPS_MAX = 1 << 23, // members, elements and patterns it may look at
};

// Where an incompatibility is, from the pair on: one or more steps of a JSON pointer.
struct place {
    const struct place *up;
    const char *keyword; // NULL: name is meant
    struct slice name;   // of a member
    int index;           // behind keyword, or -1
};

// One reason why a pair does not fit: its own, or all of a pair inside of it.
struct reason {
    struct reason *next;
    const char *path; // steps from the pair on, "properties/a"; empty: none
    const char *code; // NULL: those of inner
    const struct tree *reader, *writer;
    const struct outcome *inner;
};

// Of one pair.
struct outcome {
    bool bad, open; // open: being compared
    bool stale;     // it fitted only while another pair was thought to
    bool more;      // reasons that were not kept
    uint32_t count;
    int depth; // of pairs that were open around it
    struct reason *first, **last;
    struct outcome *relies; // outermost open pair that was taken as fitting here, or NULL
    struct outcome *older;  // in comparing.doubtful
};

struct comparing {
    struct arena arena;
    struct map pairs;         // (writer, reader) -> struct outcome
    struct outcome *inmost;   // the pair being compared, or NULL
    struct outcome *doubtful; // those that fit if the open pairs they rely on do, newest first
    bool lenient;             // Confluent's policy
    size_t steps;
    int depth;
    enum status status; // LIMIT: the walk stops
};

// What comparing two parts brings; a pair that is being compared already (a recursive schema) fits. What is
// kept of pairs that lead to each other may lack reasons of the ones around it, never the verdict.
const struct outcome *compare_pair(struct comparing *c, const struct part *writer, const struct part *reader);
bool compare_fits(struct comparing *c, const struct part *writer, const struct part *reader);

// Adds a reason of the outcome's own; either fragment may be NULL: not there.
void compare_fail(struct comparing *c, struct outcome *outcome, const struct place *at, const char *code,
                  const struct tree *writer, const struct tree *reader);

// Compares two parts that stand at a place of the pair and adds what there is against them. Either may be
// NULL: no schema there.
void compare_inside(struct comparing *c, struct outcome *outcome, const struct place *at,
                    const struct part *writer, const struct part *reader);

// Counts steps; false: the walk stops.
bool compare_step(struct comparing *c, size_t steps);

// A keyword with a number that may only be loosened.
struct limit {
    const char *keyword;
    int sign; // 1: an upper bound
    const char *added, *tightened;
};

// from and to: the numbers of writer and reader, NULL: none.
void compare_limit(struct comparing *c, struct outcome *outcome, const struct limit *limit,
                   const struct tree *from, const struct tree *to);
void compare_limits(struct comparing *c, struct outcome *outcome, const struct limit *limits, size_t count,
                    const struct part *writer, const struct part *reader);

// How two lists are related as sets of values.
enum relation { SAME, READER_HAS_MORE, WRITER_HAS_MORE, APART };
enum relation compare_lists(struct comparing *c, const struct tree *writer, const struct tree *reader);

void compare_objects(struct comparing *c, struct outcome *outcome, const struct part *writer,
                     const struct part *reader);
void compare_arrays(struct comparing *c, struct outcome *outcome, const struct part *writer,
                    const struct part *reader);
void compare_choices(struct comparing *c, struct outcome *outcome, const struct part *writer,
                     const struct part *reader);

// schema_check, and with lenient schema_check_lenient, for JSON Schema.
enum status jschema_compare(const struct jschema *reader, const struct jschema *writer, bool lenient,
                            struct schema_findings *findings);

#endif

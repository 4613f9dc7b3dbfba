// SPDX-License-Identifier: Apache-2.0
// What operations have done that may be too dear for the loop: reading a large body, parsing a schema with
// its references, comparing it with older versions, going over its tags. An operation asks for the result.
// Small ones are made on the spot, until the call has worked through its spot_max; what is more is noted,
// with copies of all it needs, and the operation comes to its end without (call->later; what it gave counts
// for nothing). Then chores_work does what is noted, in a job, and the operation is run again on the state as
// it is by then: results are found by what they were made of, so one whose texts have changed meanwhile is
// not taken for another. Nothing of a job goes into the state; the order of decisions is that of the runs
// that came through, on the loop.
#ifndef REGISTRY_CHORES_H
#define REGISTRY_CHORES_H

#include "base/map.h"
#include "call.h"
#include "comparison.h"

enum { CHORES_BYTES_MAX = 32 << 20 }; // of the inputs of one call: more than a body and CALL_PARSED_MAX

enum chore_kind { CHORE_BODY, CHORE_PARSE, CHORE_COMPARE, CHORE_TAGS };

// A schema's text with the texts it refers to, dependencies first.
struct chore_input {
    enum schema_format format;
    struct slice text;
    const struct schema_reference *references;
    size_t reference_count;
};

struct chore {
    enum chore_kind kind;
    bool done;
    struct arena arena;       // what input points at
    struct chore_input input; // BODY, TAGS: no references
    enum schema_text form;    // PARSE: how it is printed
    bool fresh;               // PARSE: it must be valid as a new schema too
    struct comparison by;     // COMPARE
    const struct chore *with; // a PARSE that was done well. COMPARE: the new schema; TAGS: tagging.with
    struct slice wishes;      // TAGS
    // ---- results ----
    enum status status;        // BODY, PARSE, TAGS
    cJSON *body;               // BODY: NULL unless OK
    size_t error_at;           // BODY: byte
    struct schema *schema;     // PARSE: NULL unless OK
    struct schema_error error; // PARSE, TAGS
    struct buf text;           // PARSE: as printed; TAGS: with other tags, or the list of them
    struct messages messages;  // COMPARE: also why the older one cannot be read
    struct chore *next;
    struct chore *same_hash; // made before it
};

struct chores {
    struct chore *first, **end;
    struct map by_hash;    // of what they are made of: the last chore
    size_t bytes;          // of all inputs
    bool spot_only;        // set before a run: nothing may be noted for a job
    _Atomic bool stopping; // the results are not wanted any more
};

// None yet. A call without (NULL) gets its own.
struct chores *chores_new(void);
void chores_destroy(struct chores **chores); // NULL is fine

// NULL: noted, or refused: nothing is copied then. A call whose inputs are too large is answered 42209. What
// is returned is the call's and stays until call_fini.
const struct chore *chore_body(struct call *call);
const struct chore *chore_parse(struct call *call, const struct chore_input *input, enum schema_text form,
                                bool fresh);
const struct chore *chore_compare(struct call *call, const struct chore *with, struct comparison by,
                                  const struct chore_input *old);

// What tags_edit.h does with a schema.
struct chore_tagging {
    enum schema_format format;
    struct slice text;
    const struct chore *with; // Protobuf: the text, parsed
    struct slice wishes;      // empty: they are listed
};
const struct chore *chore_tags(struct call *call, const struct chore_tagging *tagging);

// Does what is noted, in order; of comparisons only up to the first that does not fit. Any thread.
void chores_work(struct chores *chores);

#endif

// SPDX-License-Identifier: Apache-2.0
// A JSON text as a tree in an arena, for schemas: order of members, exact digits and U+0000 in strings are
// kept, which http/json.h need not do for control data. Reads and prints what Jackson's ObjectMapper reads
// and prints, since texts are compared with those that Java programs make: a name given twice keeps its first
// place and last value, integers keep their digits, other numbers are doubles in Java's notation.
#ifndef SCHEMA_TREE_H
#define SCHEMA_TREE_H

#include "base/arena.h"
#include "base/buf.h"

enum tree_kind {
    TREE_NULL,
    TREE_FALSE,
    TREE_TRUE,
    TREE_INTEGER, // any number of digits, in text
    TREE_REAL,    // written with a fraction or an exponent
    TREE_STRING,
    TREE_ARRAY,
    TREE_OBJECT,
};

struct tree {
    enum tree_kind kind;
    uint32_t count;    // elements or members
    struct slice name; // of a member
    struct tree *next; // element or member
    union {
        struct slice text; // STRING, UTF-8; INTEGER: its digits, "-" before them
        struct {
            double real;        // REAL; infinite where no double is large enough
            const char *digits; // as it was written
        };
        struct {
            struct tree *first;
            struct tree **sorted; // OBJECT: the members by name, in Java's order of strings
        };
    };
};

enum { TREE_NUMBER_MAX = 1000 }; // digits of one number, Jackson's StreamReadConstraints

struct tree_fault {
    const char *text;    // what is wrong
    size_t line, column; // from 1, in bytes
};

// Parses one whole text; everything lives in the arena, the text need not. comments: also /* */ and //, which
// Avro's parser admits. MALFORMED: no JSON; LIMIT: deeper than depth_max or the arena is full.
enum status tree_parse(struct arena *arena, struct slice text, int depth_max, bool comments,
                       struct tree **tree, struct tree_fault *fault);

// The member of that name, or NULL, also when object is none. In logarithmic time.
const struct tree *tree_get(const struct tree *object, struct slice name);

// The value of an INTEGER; false: it is none, or beyond 64 bits.
bool tree_integer(const struct tree *tree, int64_t *value);

// The value of a number as a double; 0 for what is none.
double tree_number(const struct tree *tree);

// Appends as Jackson prints it in one line; sorted: members by name.
void tree_print(const struct tree *tree, bool sorted, struct buf *out);

// As tree_print, but a number keeps all its digits: REAL as java.math.BigDecimal's toString prints what was
// written (1.10 stays, 1e5 is 1E+5), which is Jackson with exact decimals.
void tree_print_exact(const struct tree *tree, bool sorted, struct buf *out);

// One string in quotes, escaped where JSON must be and nowhere else.
void tree_put_string(struct slice text, struct buf *out);

// One character below U+0080 as it stands in such a string.
void tree_put_character(uint8_t c, struct buf *out);

// Java's Double.toString and Float.toString (JDK 19 and later: the shortest digits that read back to the same
// value); what is no number as a string.
void tree_put_double(double value, struct buf *out);
void tree_put_float(float value, struct buf *out);

// <0, 0, >0 as Java's String.compareTo: by UTF-16 unit.
int tree_compare(struct slice a, struct slice b);

#endif

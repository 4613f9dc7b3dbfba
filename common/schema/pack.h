// SPDX-License-Identifier: Apache-2.0
// A schema with everything it refers to as one piece of bytes: how a registry hands it to a process that has
// no registry's state (a storage node that looks at payloads). A first byte says the version, so that what
// another build packed is refused instead of misread.
#ifndef SCHEMA_PACK_H
#define SCHEMA_PACK_H

#include "schema/schema.h"

enum {
    SCHEMA_PACK_VERSION = 1,
    // bytes of a packed schema: its texts, and a name with each reference
    SCHEMA_PACK_MAX = SCHEMA_TOTAL_MAX + (1 << 20)
};

// Appends the packed schema. refs as for schema_parse. UNSUPPORTED: Protobuf, whose texts most programs
// cannot read (schema_pack_descriptors); LIMIT: more than schema_parse takes, or out is full. The texts are
// not looked at. out keeps its former length when it fails.
enum status schema_pack(enum schema_format format, struct slice text, const struct schema_reference *refs,
                        size_t n_refs, struct buf *out);

// Appends a parsed Protobuf schema as its descriptors, which whoever unpacks it can read without a parser for
// texts. UNSUPPORTED: of another format; LIMIT: out is full, it keeps its former length.
enum status schema_pack_descriptors(const struct schema *schema, struct buf *out);

// Parses a packed schema; *schema is the caller's (schema_free) and keeps nothing of bytes. MALFORMED: no
// packed schema, or schema_parse says so of what is in it; UNSUPPORTED: of another version, or of a format
// that is not built in; others as of schema_parse. *error says why; *schema is NULL then.
enum status schema_unpack(struct slice bytes, struct schema_error *error, struct schema **schema);

#endif

// SPDX-License-Identifier: Apache-2.0
// Codes of incompatible JSON schemas in words.
#ifndef SCHEMA_JSCHEMA_WORDS_H
#define SCHEMA_JSCHEMA_WORDS_H

struct wording {
    const char *text;   // %1: "new" or "old", which the reader is; %2: the other; %p: the path
    const char *remedy; // what would be accepted
};

// Of a code of schema_check for JSON Schema; text NULL, remedy "": it is none of them.
struct wording jschema_wording(const char *code);

#endif

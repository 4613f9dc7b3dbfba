// SPDX-License-Identifier: Apache-2.0
// Talking to a schema registry for `millrace schema`, produce and consume: where it is, one request, what it
// refuses.
#ifndef CLI_SCHEMA_H
#define CLI_SCHEMA_H

#include "cli.h"

#include <cjson/cJSON.h>

enum { SCHEMA_BODY_MAX = 8 << 20 };

struct schema_options {
    const char *registry; // as given; NULL: found
    int64_t timeout_s;    // 0: not given
    bool json;
};

// Rows for an argument table; behind the command's own. REGISTRY_OPTIONS: for a command with a --json of its
// own.
#define SCHEMA_REGISTRY_OPTIONS(options)                                                                     \
    {"--registry|-r",                                                                                        \
     CLI_TEXT,                                                                                               \
     &(options)->registry,                                                                                   \
     0,                                                                                                      \
     0,                                                                                                      \
     "URL",                                                                                                  \
     "the registry ($MILLRACE_REGISTRY, else the running cluster's, else http://127.0.0.1:8081)"},           \
    {                                                                                                        \
        "--timeout", CLI_INT, &(options)->timeout_s, 1, 3600, "S", "seconds to wait for an answer (30)"      \
    }
#define SCHEMA_OPTIONS(options)                                                                              \
    SCHEMA_REGISTRY_OPTIONS(options),                                                                        \
    {                                                                                                        \
        "--json", CLI_FLAG, &(options)->json, 0, 0, NULL, "print the registry's answer as JSON"              \
    }

struct schema_request {
    const char *method;
    struct buf path; // with its arguments, encoded
    struct buf body; // JSON; empty: none
    bool all_fields; // asks for those that Confluent added later
};
// Begins with a path of one subject: "/subjects/x" and the like; subject NULL: the path as it is.
void schema_request_init(struct schema_request *request, const char *method, const char *path,
                         const char *subject);
void schema_request_fini(struct schema_request *request);

// Asks; *answer (cJSON_Delete) is the JSON of an answer 200, NULL of 204. Otherwise a message was printed.
// Frees the request.
enum cli_exit schema_ask(const struct schema_options *options, struct schema_request *request,
                         cJSON **answer);

// Appends the body that registers a schema, looks it up or checks it: text, its type (NULL: the registry's
// default, Avro) and NAME=SUBJECT:VERSION for each schema it refers to. USAGE, told: another form.
enum cli_exit schema_put_body(struct buf *out, struct slice text, const char *type,
                              const struct cli_many *references);

// Prints an answer as one line of JSON.
void schema_print(const cJSON *answer);

#endif

// SPDX-License-Identifier: Apache-2.0
// See settings.h.
#include "settings.h"

#define INT(name, value, low, high, text)                                                                    \
    {                                                                                                        \
        .key = name, .type = CONFIG_INT, .fallback = value, .min = low, .max = high, .help = text            \
    }

const struct config_row registry_config_rows[] = {
    {.key = "listeners",
     .type = CONFIG_STRING,
     .fallback = "http://127.0.0.1:8081",
     .help = "http://host:port of the REST interface; port 0 picks a free one."},
    {.key = "schema.compatibility.level",
     .type = CONFIG_STRING,
     .fallback = "BACKWARD",
     .choices = "NONE|BACKWARD|BACKWARD_TRANSITIVE|FORWARD|FORWARD_TRANSITIVE|FULL|FULL_TRANSITIVE|none|"
                "backward|backward_transitive|forward|forward_transitive|full|full_transitive",
     .help = "Compatibility level while none is set globally."},
    {.key = "mode.mutability",
     .type = CONFIG_BOOL,
     .fallback = "true",
     .help = "Whether modes may be changed."},
    {.key = "schema.validate.fields",
     .type = CONFIG_BOOL,
     .fallback = "false",
     .help = "What the messages of a refused schema say of validateFields while no config sets it."},
    INT("schema.search.max.limit", "1000", 1, 100000, "Schemas in one answer of GET /schemas."),
    INT("subject.search.max.limit", "20000", 1, 1000000, "Subjects in one answer of a list of subjects."),
    INT("subject.version.search.max.limit", "20000", 1, 1000000,
        "Versions in one answer of a list of versions."),
    INT("millrace.registry.references.max", "1000", 0, 1000,
        "References of one schema, those of its references counted."),
    INT("millrace.registry.reference.depth.max", "32", 1, 200, "How far references may lead from a schema."),
    INT("millrace.registry.associations.max", "100000", 0, 10000000,
        "Associations of subjects and resources."),
    INT("dek.registry.max.keys", "10000", 0, 10000000,
        "Key encryption keys, and data encryption keys, there may be."),
    INT("millrace.registry.keys.page.max", "20000", 1, 1000000, "Keys in one answer of a list of keys."),
    {.key = "millrace.registry.local.kms.secret",
     .type = CONFIG_STRING,
     .fallback = "",
     .help = "What the key of kmsType local-kms is derived from, as LOCAL_SECRET of Confluent's clients; the "
             "same "
             "in all registries. Better in a file or the environment than on a command line."},
    INT("millrace.registry.body.max.bytes", "2097152", 1024, 8 << 20,
        "Largest body of a request; more is answered 413."),
    INT("millrace.registry.connections.max", "1024", 1, 100000,
        "Connections to the REST interface at a time; more wait."),
};
const size_t registry_config_count = sizeof registry_config_rows / sizeof *registry_config_rows;

struct settings settings_of(const struct config *config)
{
    return (struct settings){
        .level = config_string(config, "schema.compatibility.level"),
        .mode_mutable = config_bool(config, "mode.mutability"),
        .validate_fields = config_bool(config, "schema.validate.fields"),
        .schemas_max = config_int(config, "schema.search.max.limit"),
        .subjects_max = config_int(config, "subject.search.max.limit"),
        .versions_max = config_int(config, "subject.version.search.max.limit"),
        .references_max = config_int(config, "millrace.registry.references.max"),
        .reference_depth = config_int(config, "millrace.registry.reference.depth.max"),
        .associations_max = config_int(config, "millrace.registry.associations.max"),
        .keys_max = config_int(config, "dek.registry.max.keys"),
        .keys_page_max = config_int(config, "millrace.registry.keys.page.max"),
        .local_secret = config_string(config, "millrace.registry.local.kms.secret"),
        .body_max = config_int(config, "millrace.registry.body.max.bytes"),
    };
}

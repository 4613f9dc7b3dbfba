// SPDX-License-Identifier: Apache-2.0
// See schema_spec.h.
#include "schema_spec.h"

#include "schema/schema.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && !S_ISDIR(info.st_mode);
}

static enum cli_exit id_parse(const char *text, int32_t *id)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < 0 || number > INT32_MAX)
        return cli_fail(CLI_USAGE, "id:%s: not the id of a schema", text);
    *id = (int32_t)number;
    return CLI_DONE;
}

// What stands behind the last colon, if it is a version: subjects may have colons, contexts do.
static const char *version_of(const char *text)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || strlen(colon + 1) > SCHEMA_VERSION_MAX)
        return NULL;
    bool digits = colon[1] != '\0' && colon[1 + strspn(colon + 1, "0123456789")] == '\0';
    return digits || strcmp(colon + 1, "latest") == 0 ? colon + 1 : NULL;
}

static enum cli_exit subject_parse(const char *text, struct schema_spec *spec)
{
    const char *version = version_of(text);
    size_t len = version != NULL ? (size_t)(version - 1 - text) : strlen(text);
    if (len == 0 || len > SCHEMA_SUBJECT_MAX)
        return cli_fail(CLI_USAGE, "'%.100s' is neither FILE nor SUBJECT[:VERSION] nor id:N", text);
    snprintf(spec->subject, sizeof spec->subject, "%.*s", (int)len, text);
    snprintf(spec->version, sizeof spec->version, "%s", version != NULL ? version : "latest");
    return CLI_DONE;
}

enum cli_exit schema_spec_parse(const char *text, struct schema_spec *spec)
{
    const char *first = text + strspn(text, " \t\r\n");
    *spec = (struct schema_spec){.kind = SCHEMA_SPEC_SUBJECT, .text = text};
    if (strncmp(text, "id:", 3) == 0) {
        spec->kind = SCHEMA_SPEC_ID;
        return id_parse(text + 3, &spec->id);
    }
    if (*first == '{' || *first == '[' || *first == '"')
        spec->kind = SCHEMA_SPEC_TEXT;
    else if (is_file(text))
        spec->kind = SCHEMA_SPEC_FILE;
    return spec->kind == SCHEMA_SPEC_SUBJECT ? subject_parse(text, spec) : CLI_DONE;
}

static bool ends_in(const char *text, const char *end)
{
    size_t len = strlen(text), its = strlen(end);
    return len >= its && strcmp(text + len - its, end) == 0;
}

enum cli_exit schema_spec_type(const char *given, const struct schema_spec *spec, const char **type)
{
    char upper[16];
    enum schema_format format;
    *type = NULL;
    if (given == NULL) {
        if (spec->kind == SCHEMA_SPEC_FILE && ends_in(spec->text, ".proto"))
            *type = schema_format_name(SCHEMA_PROTOBUF);
        return CLI_DONE;
    }
    snprintf(upper, sizeof upper, "%s", given);
    for (char *at = upper; *at != '\0'; at++)
        *at = (char)toupper((unsigned char)*at);
    if (schema_format_find(slice_str(upper), &format) != ST_OK)
        return cli_fail(CLI_USAGE, "--schema-type %s: AVRO, JSON or PROTOBUF", given);
    *type = schema_format_name(format);
    return CLI_DONE;
}

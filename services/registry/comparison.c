// SPDX-License-Identifier: Apache-2.0
// See comparison.h.
#include "comparison.h"

#include "base/utf8.h"
#include "http/json.h"

enum {
    MESSAGES_MAX = 8 << 20,   // never reached: what is told of differences ends long before
    FINDINGS_TOLD = 1 << 20,  // bytes of messages, above: the rest is only said to be there
    MESSAGE_MAX = 64 << 10,
    OLD_TEXT_MAX = 10 << 10   // of a schema in a message, as SchemaValidatorBuilder of Confluent's client
};

// ---- messages ----

void messages_init(struct messages *messages)
{
    messages->count = 0;
    buf_init(&messages->json, MESSAGES_MAX);
}

void messages_fini(struct messages *messages)
{
    buf_fini(&messages->json);
}

void messages_add(struct messages *messages, struct slice text)
{
    if (messages->count++ > 0)
        buf_printf(&messages->json, ",");
    json_put_string(&messages->json, text);
}

void messages_add_printed(struct messages *messages, const char *format, const char *text)
{
    struct buf line;
    buf_init(&line, SCHEMA_TOTAL_MAX);
    buf_printf(&line, "{%s: '", format);
    buf_append(&line, text, strlen(text));
    buf_printf(&line, "'}");
    messages_add(messages, buf_slice(&line));
    buf_fini(&line);
}

void messages_add_old(struct messages *messages, const char *text)
{
    struct buf line;
    size_t len = strlen(text), shown = 0;
    while (shown < len && shown < OLD_TEXT_MAX) {
        size_t step = utf8_length((const uint8_t *)text + shown, len - shown);
        shown += step > 0 ? step : 1;
    }
    buf_init(&line, MESSAGE_MAX);
    if (shown == len)
        buf_printf(&line, "{oldSchema: '");
    else
        buf_printf(&line, "{oldSchema: <truncated to %d characters> '", OLD_TEXT_MAX);
    buf_append(&line, text, shown);
    buf_printf(&line, "'}");
    messages_add(messages, buf_slice(&line));
    buf_fini(&line);
}

void messages_add_all(struct messages *messages, const struct messages *others)
{
    if (messages->count > 0 && others->count > 0)
        buf_printf(&messages->json, ",");
    buf_append(&messages->json, others->json.data, others->json.len);
    messages->count += others->count;
}

static void add_findings(struct messages *messages, const struct schema_findings *findings,
                         bool reader_is_new)
{
    bool more = findings->more;
    for (size_t i = 0; i < findings->count && !more; i++) {
        struct buf line;
        buf_init(&line, MESSAGE_MAX);
        schema_finding_text(&findings->items[i], reader_is_new, &line);
        messages_add(messages, buf_slice(&line));
        buf_fini(&line);
        more = messages->json.len > FINDINGS_TOLD;
    }
    if (more)
        messages_add(messages, slice_str("there are more incompatibilities than are told here"));
}

// ---- comparing ----

bool comparison_equal(struct comparison a, struct comparison b)
{
    return a.level == b.level && a.lenient == b.lenient;
}

// Of the level the direction alone is left: forward where the reader is the old one.
static void check_direction(struct comparison by, const struct schema *reader, const struct schema *writer,
                            struct messages *messages)
{
    struct schema_findings findings;
    schema_findings_init(&findings);
    enum status status = by.lenient ? schema_check_lenient(reader, writer, &findings)
                                    : schema_check(reader, writer, &findings);
    if (status == ST_INVALID)
        messages_add(messages, slice_str("Incompatible because of different schema type"));
    else if (status != ST_OK)
        messages_add(messages, slice_str("the comparison needs more than its limit of time or memory"));
    else
        add_findings(messages, &findings, by.level == LEVEL_BACKWARD);
    schema_findings_fini(&findings);
}

void comparison_run(struct comparison by, const struct schema *fresh, const struct schema *old,
                    struct messages *messages)
{
    if (level_forward(by.level))
        check_direction((struct comparison){LEVEL_FORWARD, by.lenient}, old, fresh, messages);
    if (level_backward(by.level))
        check_direction((struct comparison){LEVEL_BACKWARD, by.lenient}, fresh, old, messages);
}

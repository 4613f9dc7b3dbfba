// SPDX-License-Identifier: Apache-2.0
// /subjects and /subjects/{subject}: the list, looking a schema up, deleting a subject, the latest version
// with given metadata.
#include "answer.h"
#include "contract.h"
#include "erase.h"
#include "http/json.h"
#include "lookup.h"
#include "operations.h"
#include "scope.h"

#include <inttypes.h>

void op_list_subjects(struct call *call)
{
    const char *prefix = call_query(call, "subjectPrefix");
    struct page page = call_page(call, call->settings->subjects_max);
    struct which which = answer_which(call);
    size_t count;
    int64_t seen = 0, shown = 0;
    const struct state_subject *const *subjects = state_subjects(call->state, &count);
    buf_printf(&call->reply, "[");
    for (size_t i = 0; i < count && shown < page.limit; i++) {
        struct slice name = slice_str(subjects[i]->name);
        if (!which_has(which, subjects[i]->live == 0) ||
            !name_has_prefix(name, slice_str(prefix != NULL ? prefix : NAMES_ALL_CONTEXTS)) ||
            !page_has(&page, &seen))
            continue;
        answer_separate(&call->reply, &shown);
        json_put_string(&call->reply, name);
    }
    buf_printf(&call->reply, "]");
}

// ---- look up ----

static bool exists(const struct call *call, bool deleted_too)
{
    const struct state_subject *subject = state_subject(call->state, call->subject);
    return subject != NULL && (subject->live > 0 || deleted_too);
}

static bool not_found(struct call *call, bool deleted_too)
{
    if (!exists(call, deleted_too))
        return call_fail(call, 40401, "Subject '%s' not found.", call->subject);
    return call_fail(call, 40403, "Schema not found");
}

// As registering would look at it: with what it would take over from the latest version.
static const struct state_version *look_up_populated(struct call *call, struct submission *submission,
                                                     bool deleted_too)
{
    const struct state_subject *subject = state_subject(call->state, call->subject);
    const struct state_version *latest = subject != NULL ? state_latest(subject) : NULL;
    if (latest == NULL || !lookup_populate(call, submission, latest, latest->version) ||
        (submission->content.metadata == NULL && submission->content.rule_set == NULL))
        return NULL;
    fingerprint(&submission->content, submission->guid);
    return lookup_version(call, call->subject, submission, deleted_too);
}

static const struct state_version *look_up_elsewhere(struct call *call, const struct submission *submission,
                                                     bool deleted_too)
{
    const struct state_context *context;
    const struct state_version *found = NULL;
    struct name own = name_split(slice_str(call->subject));
    if (!slice_is(own.context, NAMES_DEFAULT_CONTEXT))
        return NULL;
    for (struct map_entry *at = NULL; found == NULL && state_context_next(call->state, &at, &context);) {
        const char *name = name_qualify(&call->arena, (struct name){slice_str(context->name), own.subject});
        found = name != NULL ? lookup_version(call, name, submission, deleted_too) : NULL;
    }
    return found;
}

void op_look_up(struct call *call)
{
    struct submission submission;
    bool deleted_too = call_flag(call, "deleted");
    struct submission_use use = {.normalise = call_flag(call, "normalize") ||
                                              scope_flag(call, call->subject, "normalize", false)};
    if (submission_read(call, &submission) && submission_parse(call, &submission, use)) {
        const struct state_version *found = lookup_version(call, call->subject, &submission, deleted_too);
        if (found == NULL)
            found = look_up_elsewhere(call, &submission, deleted_too);
        if (found != NULL && strcmp(found->subject->name, call->subject) != 0 &&
            !operation_permitted(call, found->subject->name))
            return;
        if (found == NULL)
            found = look_up_populated(call, &submission, deleted_too);
        if (found != NULL)
            answer_put_version(call, found, submission_format(call, found, call_query(call, "format")));
        else
            not_found(call, deleted_too);
    }
}

// ---- delete ----

static bool may_delete(struct call *call, bool permanent)
{
    const struct state_subject *subject = state_subject(call->state, call->subject);
    if (subject == NULL)
        return call_fail(call, 40401, "Subject '%s' not found.", call->subject);
    if (!permanent && subject->live == 0)
        return call_fail(call, 40404,
                         "Subject '%s' was soft deleted.Set permanent=true to delete permanently",
                         call->subject);
    if (!scope_writable(call))
        return false;
    if (associations_first(state_associations(call->state), BY_SUBJECT, subject->name) != NULL)
        return call_fail(call, 40904, "The subject '%s' has an association", subject->name);
    for (size_t i = 0; i < subject->count; i++)
        if ((permanent || !subject->versions[i]->deleted) && !erase_unreferenced(call, subject->versions[i]))
            return false;
    if (permanent && subject->live > 0)
        return call_fail(call, 40405, "Subject '%s' was not deleted first before being permanently deleted",
                         call->subject);
    return true;
}

void op_delete_subject(struct call *call)
{
    bool permanent = call_flag(call, "permanent");
    int64_t shown = 0;
    if (!may_delete(call, permanent))
        return;
    const struct state_subject *subject = state_subject(call->state, call->subject);
    buf_printf(&call->reply, "[");
    for (size_t i = 0; i < subject->count; i++) {
        if (subject->versions[i]->deleted && !permanent)
            continue;
        answer_separate(&call->reply, &shown);
        buf_printf(&call->reply, "%" PRId32, subject->versions[i]->version);
    }
    buf_printf(&call->reply, "]");
    if (permanent)
        erase_subject(call, subject);
    else
        erase_softly(call, subject);
}

// ---- latest with metadata ----

static bool has_properties(const struct call *call, const struct state_version *version)
{
    size_t at_key = 0, at_value = 0;
    bool all = true;
    cJSON *metadata = version->schema->metadata != NULL ? cJSON_Parse(version->schema->metadata) : NULL;
    for (const char *key; all && (key = call_query_next(call, "key", &at_key)) != NULL;) {
        const char *value = call_query_next(call, "value", &at_value);
        const char *its = contract_property(metadata, key);
        all = value != NULL && its != NULL && strcmp(its, value) == 0;
    }
    cJSON_Delete(metadata);
    return all && at_key > 0;
}

void op_latest_with_metadata(struct call *call)
{
    bool deleted_too = call_flag(call, "deleted");
    const struct state_subject *subject = state_subject(call->state, call->subject);
    for (size_t i = subject != NULL ? subject->count : 0; i > 0; i--) {
        const struct state_version *version = subject->versions[i - 1];
        if ((version->deleted && !deleted_too) || !has_properties(call, version))
            continue;
        answer_put_version(call, version, submission_format(call, version, call_query(call, "format")));
        return;
    }
    not_found(call, deleted_too);
}

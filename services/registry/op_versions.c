// SPDX-License-Identifier: Apache-2.0
// /subjects/{subject}/versions but registering: the list, one version, who refers to it, deleting it.
#include "answer.h"
#include "erase.h"
#include "operations.h"
#include "scope.h"
#include "submission.h"
#include "tags.h"

#include <inttypes.h>

void op_list_versions(struct call *call)
{
    const struct state_subject *subject = state_subject(call->state, call->subject);
    struct which which = answer_which(call);
    bool negative = call_flag(call, "deletedAsNegative");
    struct page page = call_page(call, call->settings->versions_max);
    int64_t seen = 0, shown = 0;
    if (negative)
        which = (struct which){.live = true, .deleted = true};
    if (subject == NULL || (subject->live == 0 && !which.deleted)) {
        call_fail(call, 40401, "Subject '%s' not found.", call->subject);
        return;
    }
    buf_printf(&call->reply, "[");
    for (size_t i = 0; i < subject->count; i++) {
        const struct state_version *version = subject->versions[i];
        if (!which_has(which, version->deleted) || !page_has(&page, &seen))
            continue;
        answer_separate(&call->reply, &shown);
        buf_printf(&call->reply, "%s%" PRId32, negative && version->deleted ? "-" : "", version->version);
    }
    buf_printf(&call->reply, "]");
}

void op_get_version(struct call *call)
{
    const struct state_version *version = answer_find_version(call, call_flag(call, "deleted"));
    if (version == NULL)
        return;
    answer_put_version(call, version, submission_format(call, version, call_query(call, "format")));
    tags_answer(call, version);
}

void op_get_version_schema(struct call *call)
{
    const struct state_version *version = answer_find_version(call, call_flag(call, "deleted"));
    if (version == NULL)
        return;
    const char *text = submission_format(call, version, call_query(call, "format"));
    answer_plain(call, text != NULL ? text : version->schema->text);
}

void op_referenced_by(struct call *call)
{
    const struct state_version *version = answer_find_version(call, true);
    struct page page = call_page(call, call->settings->versions_max);
    int64_t seen = 0, shown = 0;
    size_t count;
    if (version == NULL)
        return;
    const int32_t *ids = state_referrers(call->state, version->subject->name, version->version, &count);
    buf_printf(&call->reply, "[");
    for (size_t i = 0; i < count; i++) {
        if (!page_has(&page, &seen))
            continue;
        answer_separate(&call->reply, &shown);
        buf_printf(&call->reply, "%" PRId32, ids[i]);
    }
    buf_printf(&call->reply, "]");
}

// The version to be deleted, which must be the subject's own. NULL: answered.
static const struct state_version *to_delete(struct call *call)
{
    int32_t number;
    if (!answer_read_version(call, &number))
        return NULL;
    const struct state_subject *subject = state_subject(call->state, call->subject);
    const struct state_version *version = NULL;
    if (subject != NULL)
        version = number < 0 ? state_latest(subject) : state_version(subject, number);
    if (subject == NULL)
        call_fail(call, 40401, "Subject '%s' not found.", call->subject);
    else if (version == NULL)
        call_fail(call, 40402, "Version %" PRId32 " not found.", number);
    return version;
}

// A subject with associations keeps a version.
static bool unassociated(struct call *call, const struct state_subject *subject)
{
    const struct association *one =
        associations_first(state_associations(call->state), BY_SUBJECT, subject->name);
    if (one == NULL)
        return true;
    return call_fail(call, one->is.strong ? 40905 : 40904, "The subject '%s' has %s association",
                     subject->name, one->is.strong ? "a strong" : "an");
}

static bool may_delete(struct call *call, const struct state_version *version, bool permanent)
{
    if (!permanent && version->deleted)
        return call_fail(call, 40406,
                         "Subject '%s' Version %" PRId32
                         " was soft deleted.Set permanent=true to delete permanently",
                         call->subject, version->version);
    if (!scope_writable(call) || !erase_unreferenced(call, version) ||
        (!version->deleted && version->subject->live == 1 && !unassociated(call, version->subject)))
        return false;
    if (permanent && !version->deleted)
        return call_fail(call, 40407,
                         "Subject '%s' Version %" PRId32
                         " was not deleted first before being permanently deleted",
                         call->subject, version->version);
    return true;
}

void op_delete_version(struct call *call)
{
    bool permanent = call_flag(call, "permanent");
    const struct state_version *version = to_delete(call);
    if (version == NULL || !may_delete(call, version, permanent))
        return;
    buf_printf(&call->reply, "%" PRId32, version->version);
    if (permanent)
        erase_version(call, version);
    else
        erase_version_softly(call, version);
}

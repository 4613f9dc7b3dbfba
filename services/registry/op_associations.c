// SPDX-License-Identifier: Apache-2.0
// /associations: the subjects of a resource and the resources of a subject, and their end. Making them is in
// op_associate.c.
#include "answer.h"
#include "associate.h"
#include "erase.h"
#include "operations.h"
#include "scope.h"

// ---- lists ----

static void list(struct call *call, enum association_index index, const char *text, const char *name_space)
{
    struct association_filter filter;
    struct page page = call_page(call, call->settings->schemas_max);
    size_t count = 0;
    int64_t seen = 0, shown = 0;
    if (!associate_read_filter(call, &filter))
        return;
    const struct association **found = associate_find(call, index, text, name_space, &filter, &count);
    if (found == NULL)
        return;
    buf_printf(&call->reply, "[");
    for (size_t i = 0; i < count; i++) {
        if (!page_has(&page, &seen))
            continue;
        answer_separate(&call->reply, &shown);
        associate_put(&call->reply, found[i]);
    }
    buf_printf(&call->reply, "]");
}

void op_subject_associations(struct call *call)
{
    list(call, BY_SUBJECT, call->subject, NULL);
}

void op_name_associations(struct call *call)
{
    list(call, BY_RESOURCE_NAME, call->name, call->name_space);
}

void op_resource_associations(struct call *call)
{
    list(call, BY_RESOURCE_ID, call->id, NULL);
}

// ---- the end ----

static bool cascades(const struct call *call, const struct association *association)
{
    return call_flag(call, "cascadeLifecycle") && association->is.strong &&
           scope_mode(call, association->is.subject) != MODE_IMPORT;
}

static bool unreferenced(struct call *call, const char *name)
{
    const struct state_subject *subject = state_subject(call->state, name);
    for (size_t i = 0; subject != NULL && i < subject->count; i++)
        if (!erase_unreferenced(call, subject->versions[i]))
            return false;
    return true;
}

static bool may_end(struct call *call, const struct association *association)
{
    if (!associate_may_write(call, association->is.subject))
        return false;
    if (association->is.frozen && !call_flag(call, "cascadeLifecycle"))
        return call_fail(call, 40908, "The %s association of subject '%s' is frozen", association->is.type,
                         association->is.subject);
    return !cascades(call, association) || unreferenced(call, association->is.subject);
}

static bool delete_subject(struct call *call, const char *subject, const char *permanent)
{
    const struct state_subject *there = state_subject(call->state, subject);
    if (there == NULL || (there->live == 0 && strcmp(permanent, "true") != 0))
        return true;
    struct call inner;
    call_init(&inner);
    inner.subject = subject;
    inner.query[inner.query_count++] = (struct call_pair){"permanent", permanent};
    operation_run_inside(call, &inner, "delete-subject");
    bool good = inner.code == 200;
    if (!good)
        answer_pass_on(call, &inner);
    call_fini(&inner);
    return good && call_settle(call);
}

// The subjects go after the associations, which keep them from being deleted.
static void end(struct call *call, const struct association **found, size_t count)
{
    const char **subjects = arena_calloc(&call->arena, count, sizeof *subjects);
    size_t gone = 0;
    for (size_t i = 0; i < count; i++) {
        const struct association_fields *is = &found[i]->is;
        if (subjects != NULL && cascades(call, found[i]))
            subjects[gone++] = arena_strndup(&call->arena, is->subject, strlen(is->subject));
        call_put(call, slice_str(found[i]->record_key), (struct slice){0});
    }
    bool good = subjects != NULL && (gone == 0 || call_settle(call));
    for (size_t i = 0; i < gone && good; i++)
        good = subjects[i] != NULL && delete_subject(call, subjects[i], "false") &&
               delete_subject(call, subjects[i], "true");
    if (good)
        call->code = 204;
}

void op_delete_associations(struct call *call)
{
    struct association_filter filter;
    size_t count = 0;
    if (!associate_read_filter(call, &filter))
        return;
    filter.lifecycle = NULL;
    const struct association **found = associate_find(call, BY_RESOURCE_ID, call->id, NULL, &filter, &count);
    if (found == NULL)
        return;
    if (count == 0) {
        call_fail(call, 40410, "Association for resource '%s' not found.", call->id);
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (!may_end(call, found[i]))
            return;
    if (call_flag(call, "dryRun"))
        call->code = 204;
    else
        end(call, found, count);
}

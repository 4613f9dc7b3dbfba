// SPDX-License-Identifier: Apache-2.0
// See retention.h.
#include "log/retention.h"

static int64_t add_ms(int64_t a, int64_t b)
{
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

int64_t log_retention_upper(const struct log_retention_view *view, int i)
{
    return i + 1 < view->count ? view->segments[i + 1]->base : view->end;
}

// LogSegment.largestTimestamp: without one, when the segment was last known to change.
static int64_t largest_ms(const struct log_segment *segment)
{
    return segment->max_timestamp >= 0 ? segment->max_timestamp : segment->created_ms;
}

static bool may_go(const struct log_retention_view *view, int i)
{
    bool empty_active = i + 1 == view->count && view->segments[i]->size == 0;
    return i < view->count && !empty_active && log_retention_upper(view, i) <= view->high_watermark;
}

static bool below_start(const struct log_retention_view *view, int i)
{
    return i + 1 < view->count && view->segments[i + 1]->base <= view->start;
}

static int64_t expiry_ms(const struct log_segment *segment, const struct log_retention_rules *rules)
{
    int64_t over_ms = add_ms(largest_ms(segment), rules->ms);
    bool late = !segment->found && over_ms < segment->created_ms;
    return late ? add_ms(segment->created_ms, rules->late_ms) : over_ms;
}

static bool expired(const struct log_retention_view *view, const struct log_retention_rules *rules, int i)
{
    return rules->ms >= 0 && view->now_ms > expiry_ms(view->segments[i], rules);
}

int log_retention_choose(const struct log_retention_view *view, const struct log_retention_rules *rules)
{
    int count = 0;
    int64_t bytes = view->bytes;
    while (may_go(view, count) && below_start(view, count))
        bytes -= view->segments[count++]->size;
    if (!rules->deletes)
        return count;
    while (rules->bytes >= 0 && may_go(view, count) && bytes - view->segments[count]->size >= rules->bytes)
        bytes -= view->segments[count++]->size;
    while (may_go(view, count) && expired(view, rules, count))
        count++;
    return count;
}

int64_t log_retention_due_ms(const struct log_retention_view *view, const struct log_retention_rules *rules)
{
    if (!rules->deletes || rules->ms < 0 || view->count == 0 ||
        (view->count == 1 && view->segments[0]->size == 0))
        return INT64_MAX;
    return add_ms(expiry_ms(view->segments[0], rules), 1);
}

int64_t log_retention_bytes_max(const struct log_retention_view *view,
                                const struct log_retention_rules *rules)
{
    if (!rules->deletes || rules->bytes < 0 || view->count == 0)
        return INT64_MAX;
    return add_ms(rules->bytes, view->segments[0]->size);
}

int64_t log_retention_roll_ms(const struct log_segment *active, int64_t after_ms)
{
    if (active->size == 0)
        return INT64_MAX;
    int64_t from = active->first_timestamp;
    if (from < 0 || (!active->found && from < active->created_ms))
        from = active->created_ms;
    return add_ms(add_ms(from, after_ms), 1);
}

bool log_clock_rests(struct log_clock *clock, int64_t wall_ms, int64_t now_ms)
{
    int64_t apart_ms = wall_ms - now_ms, leap_ms = apart_ms - clock->apart_ms;
    bool leapt = clock->begun && leap_ms > LOG_LEAP_MS;
    if (leapt && !clock->resting)
        clock->until_ms = now_ms + LOG_REST_MS;
    clock->resting = leapt && now_ms < clock->until_ms;
    if (!clock->resting)
        clock->apart_ms = apart_ms;
    clock->begun = true;
    return clock->resting;
}

// SPDX-License-Identifier: Apache-2.0
// See lag_figures.h.
#include "lag_figures.h"

enum {
    RATE_US_MIN = 900000, // two samples nearer to one another say little about a rate
    RATE_MEMORY_US =
        30000000 // so long a sample counts: the weight of a new one is elapsed / (elapsed + this)
};

static const double US_PER_SECOND = 1e6, MS_PER_SECOND = 1e3;

struct lag_figures lag_figures_none(void)
{
    return (struct lag_figures){.commit_rate = -1, .produce_rate = -1};
}

static void rate_take(double *rate, int64_t records, int64_t elapsed_us)
{
    double now = (double)records * US_PER_SECOND / (double)elapsed_us;
    double weight = (double)elapsed_us / (double)(elapsed_us + RATE_MEMORY_US);
    *rate = *rate < 0 ? now : *rate + (now - *rate) * weight;
}

void lag_figures_take(struct lag_figures *figures, const struct lag_sample *sample)
{
    bool back =
        figures->known && (sample->committed < figures->rated.committed || sample->end < figures->rated.end);
    if (!figures->known || back) {
        *figures = lag_figures_none();
        figures->rated = *sample;
    }
    figures->known = true;
    figures->newest = *sample;
    int64_t elapsed_us = sample->at_us - figures->rated.at_us;
    if (elapsed_us < RATE_US_MIN)
        return;
    rate_take(&figures->commit_rate, sample->committed - figures->rated.committed, elapsed_us);
    rate_take(&figures->produce_rate, sample->end - figures->rated.end, elapsed_us);
    figures->rated = *sample;
}

int64_t lag_records(const struct lag_figures *figures)
{
    if (!figures->known)
        return LAG_UNKNOWN;
    int64_t lag = figures->newest.end - figures->newest.committed;
    return lag > 0 ? lag : 0;
}

int64_t lag_drain_ms(const struct lag_figures *figures)
{
    int64_t lag = lag_records(figures);
    if (lag <= 0)
        return lag;
    if (figures->commit_rate < 0)
        return LAG_UNKNOWN;
    double gain = figures->commit_rate - figures->produce_rate; // records per second
    double ms = gain > 0 ? (double)lag / gain * MS_PER_SECOND : 0;
    return gain > 0 && ms < (double)INT64_MAX ? (int64_t)ms : LAG_NEVER;
}

int64_t lag_age_ms(const struct lag_figures *figures, bool has_time, int64_t written_ms, int64_t now_ms)
{
    int64_t lag = lag_records(figures);
    if (lag <= 0)
        return lag;
    if (!has_time)
        return LAG_UNKNOWN;
    return now_ms > written_ms ? now_ms - written_ms : 0;
}

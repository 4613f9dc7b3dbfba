// SPDX-License-Identifier: Apache-2.0
// Buckets by the position of the highest bit and the six bits behind it; see hist.h.
#include "base/hist.h"

#include <inttypes.h>

enum { STEP_BITS = 6, STEPS = 1 << STEP_BITS };

void hist_add(struct hist *hist, int64_t us)
{
    uint64_t value = us < 0 ? 0 : (uint64_t)us;
    int shift = value < 2 * STEPS ? 0 : 63 - __builtin_clzll(value) - STEP_BITS;
    int64_t bucket = (int64_t)shift * STEPS + (int64_t)(value >> shift);
    hist->counts[bucket < HIST_BUCKETS ? bucket : HIST_BUCKETS - 1]++;
}

static int64_t largest(int bucket)
{
    int shift = bucket < 2 * STEPS ? 0 : bucket / STEPS - 1;
    return ((int64_t)(bucket - shift * STEPS + 1) << shift) - 1;
}

void hist_print(const struct hist *hist, FILE *out)
{
    const char *comma = "";
    fputc('[', out);
    for (int i = 0; i < HIST_BUCKETS; i++) {
        if (hist->counts[i] == 0)
            continue;
        fprintf(out, "%s[%" PRId64 ", %" PRId64 "]", comma, largest(i), hist->counts[i]);
        comma = ", ";
    }
    fputc(']', out);
}

int64_t hist_count(const struct hist *hist)
{
    int64_t count = 0;
    for (int i = 0; i < HIST_BUCKETS; i++)
        count += hist->counts[i];
    return count;
}

int64_t hist_quantile(const struct hist *hist, double share)
{
    double wanted = share * (double)hist_count(hist);
    int64_t below = 0;
    for (int i = 0; i < HIST_BUCKETS; i++) {
        below += hist->counts[i];
        if (below > 0 && (double)below >= wanted)
            return largest(i);
    }
    return 0;
}

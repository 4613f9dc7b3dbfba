// SPDX-License-Identifier: Apache-2.0
// What recovery has to read: recovery points follow what is written, and what lies below them is left alone.
#include "log_help.h"

#include "log/internal.h"

#include <criterion/criterion.h>

// The clock moves by seconds: no checkpoint of its own is due.
Test(recovery, recovery_points_follow_what_is_written_not_only_the_clock)
{
    struct help help;
    help_init(&help, 1);
    help.config.checkpoint_bytes = 64 << 10;
    help_open(&help, true);
    for (int i = 0; i < 40; i++) {
        help_append(&help, 2, 4000, 0);
        help_flush(&help);
    }
    fake_advance_ms(help.env, 1000);
    int64_t first = help.log->recovery_point;
    cr_assert_geq(first, 16, "%lld", (long long)first);
    for (int i = 0; i < 40; i++) {
        help_append(&help, 2, 4000, 0);
        help_flush(&help);
    }
    fake_advance_ms(help.env, 2000); // they rest a second in between
    help_append(&help, 2, 4000, 0);
    help_flush(&help);
    cr_assert_geq(help.log->recovery_point, first + 16);
    help_crash(&help, true, false);
    help_open(&help, false);
    cr_assert_eq(help_check_content(&help), 81);
    help_fini(&help);
}

Test(recovery, recovery_does_not_read_the_segments_below_the_recovery_point)
{
    struct help help;
    help_init(&help, 1);
    help_open(&help, true);
    for (int i = 0; i < 400; i++) {
        help_append(&help, 2, 100, 0);
        help_flush(&help);
    }
    cr_assert_gt(help.log->state.count, 20);
    int64_t all = help.log->bytes;
    log_set_checkpoint(help.set, NULL, NULL);
    fake_run(help.env);
    help_crash(&help, true, false);
    fake_of(help.env)->read_bytes = 0;
    help_open(&help, false);
    // These segments are no larger than a window, which is read of each for its first timestamp; once, not
    // twice.
    cr_assert_lt(fake_of(help.env)->read_bytes, all * 3 / 2);
    cr_assert_eq(help_check_content(&help), 400);
    help_fini(&help);
}

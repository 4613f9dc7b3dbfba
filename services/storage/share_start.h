// SPDX-License-Identifier: Apache-2.0
// How a share partition begins to be served: what is kept of it is read from the share coordinator, and a
// group that has no offset yet begins where its configuration share.auto.offset.reset says. See
// share_served.h.
#ifndef STORAGE_SHARE_START_H
#define STORAGE_SHARE_START_H

#include "share_served.h"

// Asks for the state. The end is SHARE_READY with its waits woken, or the served is dropped.
void share_start_read(struct share_served *served);
// Nothing calls back any more from a search of the log.
void share_start_cancel(struct share_served *served);

// ---- in share_served.c ----
// The partition from an offset on.
void share_served_init(struct share_served *served, int64_t start);
// Writes where the group begins; READY when that is done.
void share_served_begin(struct share_served *served, int64_t start);
// The partition is whole: whoever waits is woken.
void share_served_ready(struct share_served *served);

#endif

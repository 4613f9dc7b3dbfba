// SPDX-License-Identifier: Apache-2.0
// Voters that nobody can lead because they do not find one another: when all of them have moved, the
// addresses in the log are of no use, and no leader can write new ones. Whoever knows no leader asks at every
// address it has been configured with who is there; a voter of its own set is then reached there, an election
// follows, and joining.c tells the new leader where everybody is. Used by joining.c only.
#ifndef CONTROLLER_SEEKING_H
#define CONTROLLER_SEEKING_H

#include "state.h"

struct controllers;
struct seeking;

struct seeking *seeking_new(struct controller *controller);
void seeking_destroy(struct seeking **seeking);

// Every now and then: says in a diagnostic line, and again each half minute, that no leader has been known
// for five seconds, and where the voters are looked for.
void seeking_tick(struct seeking *seeking);

// Asks who is at the addresses, unless a leader is known or the last questions are still open.
void seeking_ask(struct seeking *seeking, const struct controllers *addresses);

#endif

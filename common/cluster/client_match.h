// SPDX-License-Identifier: Apache-2.0
// Which clients a client metrics subscription is for (KIP-714): its key match, "selector=regular
// expression,...", of which all must hold. Expressions are Perl's, which are Java's as far as anybody uses
// them here, and must match the whole text. Matching has a step limit, so that no expression holds up the
// loop.
#ifndef CLUSTER_CLIENT_MATCH_H
#define CLUSTER_CLIENT_MATCH_H

#include "base/slice.h"
#include "base/status.h"

enum { CLIENT_MATCH_MAX = 16, CLIENT_MATCH_PATTERN_MAX = 512, CLIENT_MATCH_WHY_SIZE = 200 };

// Ascending in the order of ClientMetricsConfigs' parameter names.
enum client_match_selector {
    CLIENT_MATCH_INSTANCE_ID,
    CLIENT_MATCH_ID,
    CLIENT_MATCH_SOFTWARE_NAME,
    CLIENT_MATCH_SOFTWARE_VERSION,
    CLIENT_MATCH_SOURCE_ADDRESS,
    CLIENT_MATCH_SOURCE_PORT,
    CLIENT_MATCH_SELECTORS
};

struct client_match;

// Empty text: every client. INVALID with a text for people: not of that form, an unknown selector, an
// expression that cannot be compiled or is too long, too many of them.
enum status client_match_new(struct slice text, struct client_match **match, char why[CLIENT_MATCH_WHY_SIZE]);
void client_match_destroy(struct client_match **match);

// What the client is, by selector; NULL data: nothing is known, which no expression matches.
bool client_match_holds(const struct client_match *match, const struct slice client[CLIENT_MATCH_SELECTORS]);

#endif

// SPDX-License-Identifier: Apache-2.0
// Random instances of any message, for what Kafka's classes shall read from us.
#ifndef GOLDEN_FILL_H
#define GOLDEN_FILL_H

#include "base/arena.h"
#include "base/prng.h"
#include "kafka/message.h"

enum fill_kind { FILL_DEFAULT, FILL_FULL, FILL_NULL, FILL_MAX, FILL_MIN, FILL_HUGE, FILL_RANDOM };

// Fills *out with what the version can carry. Everything it points to is in the arena.
void fill_message(const struct kafka_message *message, int16_t version, enum fill_kind kind,
                  struct prng *prng, struct arena *arena, void *out);

#endif

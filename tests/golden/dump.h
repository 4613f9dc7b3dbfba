// SPDX-License-Identifier: Apache-2.0
// One canonical text for the value of a message, the same as tests/clients/java/oracle prints from Kafka's
// classes, so that values are compared and not only bytes:
//   {name:value,...,#TAG:hex,}  structure: fields of the version, lower case without underscores, tagged ones
//                               last and by tag; then unknown tags
//   [value,...]  array;  ~  null;  t f  bool;  decimal  integers;  d and 16 hex digits of the bits  float64
//   32 hex digits  uuid;  x and hex digits  string, bytes, records
#ifndef GOLDEN_DUMP_H
#define GOLDEN_DUMP_H

#include "base/buf.h"
#include "kafka/message.h"

void dump_message(const struct kafka_message *message, int16_t version, const void *in, struct buf *out);

// One field of a structure, whatever the version. Structures and arrays with content are not dumped here.
void dump_scalar(const struct kafka_field *field, const void *structure, struct buf *out);

// Whether text is the field's name in the dump.
bool dump_name_is(const struct kafka_field *field, const char *text, size_t len);

#endif

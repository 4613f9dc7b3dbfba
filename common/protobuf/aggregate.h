// SPDX-License-Identifier: Apache-2.0
// Values of options as text.
#ifndef PROTOBUF_AGGREGATE_H
#define PROTOBUF_AGGREGATE_H

#include <string>

// In quotes, escaped as Confluent's ProtobufSchemaUtils does; what is no UTF-8, and other control characters,
// in octal digits.
std::string protobuf_quote(const std::string &text);

// Each line two blanks further in.
std::string protobuf_indent(const std::string &lines);

// The aggregate value of an option, as the parser keeps it, with one member in a line; sorted: by name.
std::string protobuf_aggregate(const std::string &value, bool sorted);

#endif

// SPDX-License-Identifier: Apache-2.0
// Values of options as text.
#ifndef PROTOBUF_AGGREGATE_H
#define PROTOBUF_AGGREGATE_H

#include <google/protobuf/descriptor.pb.h>

#include <string>

// In quotes, escaped as Confluent's ProtobufSchemaUtils does; what is no UTF-8, and other control characters,
// in octal digits.
std::string protobuf_quote(const std::string &text);

// The value of an option, unless it is an aggregate.
bool protobuf_scalar(const google::protobuf::UninterpretedOption &option, std::string *out);

struct protobuf_layout {
    bool sorted;  // members by name
    size_t level; // blocks around the value: two blanks each, in front of all lines but the first
    size_t *left; // bytes that may still be written; std::length_error when they do not suffice
};

// The aggregate value of an option, as the parser keeps it, with one member in a line.
std::string protobuf_aggregate(const std::string &value, const protobuf_layout &layout);

#endif

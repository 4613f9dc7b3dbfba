// SPDX-License-Identifier: Apache-2.0
// Messages as JSON and back by libprotobuf's json_util (protobuf_text.h), for the command line.
#include "protobuf/error.h"

#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver_util.h>

#include <memory>

namespace pb = google::protobuf;

namespace
{

const char *const PREFIX = "type.googleapis.com";

// Descriptors of a set, linked.
class Types
{
  public:
    bool build(struct slice bytes)
    {
        pb::FileDescriptorSet set;
        if (!set.ParseFromArray(bytes.data, static_cast<int>(bytes.len)))
            return false;
        for (const auto &file : set.file())
            if (pool.BuildFile(file) == nullptr)
                return false;
        resolver.reset(pb::util::NewTypeResolverForDescriptorPool(PREFIX, &pool));
        return true;
    }
    pb::util::TypeResolver *get() const
    {
        return resolver.get();
    }

  private:
    pb::LogSilencer silence;
    pb::DescriptorPool pool;
    std::unique_ptr<pb::util::TypeResolver> resolver;
};

std::string url(const char *message)
{
    return std::string(PREFIX) + "/" + message;
}

enum status to_json(struct slice set, const char *message, struct slice payload, struct buf *json)
{
    Types types;
    std::string text;
    std::string bytes(reinterpret_cast<const char *>(payload.data), payload.len);
    if (!types.build(set) || !pb::util::BinaryToJsonString(types.get(), url(message), bytes, &text).ok())
        return ST_MALFORMED;
    return buf_append(json, text.data(), text.size());
}

enum status from_json(const struct protobuf_json *question, struct schema_error *error, struct buf *payload)
{
    Types types;
    std::string bytes, json(reinterpret_cast<const char *>(question->json.data), question->json.len);
    if (!types.build(question->set))
        return schema_fail(error, ST_MALFORMED, "the descriptors do not fit together");
    auto status = pb::util::JsonToBinaryString(types.get(), url(question->message), json, &bytes);
    if (!status.ok())
        return schema_fail(error, ST_MALFORMED, "%s", std::string(status.message()).c_str());
    return buf_append(payload, bytes.data(), bytes.size());
}

} // namespace

extern "C" enum status protobuf_to_json(struct slice set, const char *message, struct slice payload,
                                        struct buf *json)
{
    return protobuf_guard(nullptr, [&] { return to_json(set, message, payload, json); });
}

extern "C" enum status protobuf_from_json(const struct protobuf_json *question, struct schema_error *error,
                                          struct buf *payload)
{
    return protobuf_guard(error, [&] { return from_json(question, error, payload); });
}

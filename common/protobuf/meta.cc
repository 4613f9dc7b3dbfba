// SPDX-License-Identifier: Apache-2.0
// See meta.h.
#include "protobuf/meta.h"

#include <algorithm>
#include <vector>

namespace pb = google::protobuf;

bool protobuf_is_meta(const pb::UninterpretedOption &option, const char *name)
{
    if (option.name_size() == 0 || !option.name(0).is_extension())
        return false;
    const std::string &own = option.name(0).name_part();
    return own.compare(own[0] == '.' ? 1 : 0, std::string::npos, name) == 0;
}

namespace
{

const char *const FILE_NAME = "confluent/meta.proto";

// All of them in a file. Messages in messages are as deep as the caller has allowed.
class Found
{
  public:
    std::vector<pb::UninterpretedOption *> options;

    void file(pb::FileDescriptorProto *file)
    {
        add(file, "confluent.file_meta");
        messages(file->mutable_message_type());
        enums(file->mutable_enum_type());
        fields(file->mutable_extension());
    }

  private:
    template <class T> using List = pb::RepeatedPtrField<T>;

    template <class T> void add(T *element, const char *name)
    {
        if (!element->has_options())
            return;
        for (auto &option : *element->mutable_options()->mutable_uninterpreted_option())
            if (protobuf_is_meta(option, name))
                options.push_back(&option);
    }

    void messages(List<pb::DescriptorProto> *list)
    {
        for (auto &one : *list) {
            add(&one, "confluent.message_meta");
            fields(one.mutable_field());
            fields(one.mutable_extension());
            enums(one.mutable_enum_type());
            messages(one.mutable_nested_type());
        }
    }

    void fields(List<pb::FieldDescriptorProto> *list)
    {
        for (auto &one : *list)
            add(&one, "confluent.field_meta");
    }

    void enums(List<pb::EnumDescriptorProto> *list)
    {
        for (auto &one : *list) {
            add(&one, "confluent.enum_meta");
            for (auto &value : *one.mutable_value())
                add(&value, "confluent.enum_value_meta");
        }
    }
};

} // namespace

bool protobuf_has_meta(pb::FileDescriptorProto *file, bool reveal)
{
    Found found;
    found.file(file);
    if (found.options.empty() || !reveal)
        return !found.options.empty();
    for (auto *option : found.options) {
        std::string *name = option->mutable_name(0)->mutable_name_part();
        if ((*name)[0] != '.')
            name->insert(0, 1, '.');
    }
    const auto &imports = file->dependency();
    if (std::count(imports.begin(), imports.end(), FILE_NAME) == 0)
        file->add_dependency(FILE_NAME);
    return true;
}

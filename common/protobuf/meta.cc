// SPDX-License-Identifier: Apache-2.0
// See meta.h.
#include "protobuf/meta.h"

#include "protobuf/builtin.h"

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
const int NUMBER = 1088; // of its extensions

// All of them in a file. Messages in messages are as deep as the caller has allowed.
class Found
{
  public:
    std::vector<pb::UninterpretedOption *> options;
    bool numbered = false; // there are such as a descriptor has them
    bool defined = false;  // the number is an extension of the file's own

    void file(pb::FileDescriptorProto *file)
    {
        add(file, "confluent.file_meta");
        messages(file->mutable_message_type());
        enums(file->mutable_enum_type());
        extensions(file->mutable_extension());
    }

  private:
    template <class T> using List = pb::RepeatedPtrField<T>;

    template <class T> void add(T *element, const char *name)
    {
        if (!element->has_options())
            return;
        const auto &unknown = element->options().unknown_fields();
        for (int i = 0; i < unknown.field_count(); i++)
            numbered = numbered || unknown.field(i).number() == NUMBER;
        for (auto &option : *element->mutable_options()->mutable_uninterpreted_option())
            if (protobuf_is_meta(option, name))
                options.push_back(&option);
    }

    void messages(List<pb::DescriptorProto> *list)
    {
        for (auto &one : *list) {
            add(&one, "confluent.message_meta");
            fields(one.mutable_field());
            extensions(one.mutable_extension());
            enums(one.mutable_enum_type());
            messages(one.mutable_nested_type());
        }
    }

    void fields(List<pb::FieldDescriptorProto> *list)
    {
        for (auto &one : *list)
            add(&one, "confluent.field_meta");
    }

    void extensions(List<pb::FieldDescriptorProto> *list)
    {
        fields(list);
        for (const auto &one : *list)
            defined = defined || one.number() == NUMBER;
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

bool imports(const pb::FileDescriptorProto &file, const char *name)
{
    return std::count(file.dependency().begin(), file.dependency().end(), name) > 0;
}

// Nobody but the file itself can have given the number another meaning.
bool imports_only_known(const pb::FileDescriptorProto &file)
{
    return std::all_of(file.dependency().begin(), file.dependency().end(), [](const std::string &name) {
        return name.compare(0, 16, "google/protobuf/") == 0 || protobuf_builtin(name.c_str()) != nullptr;
    });
}

} // namespace

bool protobuf_has_meta(pb::FileDescriptorProto *file, bool reveal)
{
    Found found;
    found.file(file);
    bool hidden = found.numbered && !found.defined && imports_only_known(*file);
    if ((hidden || (reveal && !found.options.empty())) && !imports(*file, FILE_NAME))
        file->add_dependency(FILE_NAME);
    for (auto *option : found.options) {
        std::string *name = option->mutable_name(0)->mutable_name_part();
        if (reveal && (*name)[0] != '.')
            name->insert(0, 1, '.');
    }
    return !found.options.empty();
}

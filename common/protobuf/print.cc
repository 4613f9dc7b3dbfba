// SPDX-License-Identifier: Apache-2.0
// Forms of a schema's text (protobuf_text.h), laid out as Confluent's ProtobufSchemaUtils does, since texts
// are compared with those in its registry: comments are dropped, each kind of element has a section of its
// own, two blanks indent. The normal form has names in full, and imports, options, reserved, fields and
// constants sorted.
#include "protobuf/aggregate.h"
#include "protobuf/error.h"

#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/stubs/strutil.h>

#include <algorithm>

namespace pb = google::protobuf;

namespace
{

using Option = pb::UninterpretedOption;

// The same element twice: as it was written, and linked.
template <class T> struct Two {
    const T &written, &linked;
};

template <class T> struct ByFirst {
    bool operator()(const T &a, const T &b) const
    {
        return a.first < b.first;
    }
};

class Printer
{
  public:
    Printer(enum schema_text form, bool proto3)
        : normal(form == SCHEMA_TEXT_NORMAL || form == SCHEMA_TEXT_CANONICAL), bare(form == SCHEMA_TEXT_BARE),
          proto3(proto3)
    {
    }

    std::string file(const Two<pb::FileDescriptorProto> &file) const
    {
        const auto &own = file.written;
        std::string out;
        if (own.has_syntax())
            out += "syntax = \"" + own.syntax() + "\";\n";
        if (own.has_package())
            out += "package " + own.package() + ";\n";
        section(&out, imports(own));
        section(&out, option_lines(own.options()));
        section(&out, types(file.written.message_type(), file.linked.message_type(), own.enum_type(), {}));
        section(&out, bare ? "" : extends(own.extension(), file.linked.extension()));
        std::string services;
        for (int i = 0; i < own.service_size(); i++)
            services += service({own.service(i), file.linked.service(i)});
        section(&out, services);
        return out;
    }

  private:
    const bool normal, bare, proto3;

    template <class T> using List = pb::RepeatedPtrField<T>;

    static void section(std::string *out, const std::string &lines)
    {
        if (!lines.empty())
            *out += "\n" + lines;
    }

    // "KEYWORD NAME {", sections, "}".
    static std::string block(const std::string &head, const std::string &body)
    {
        return head + " {" + body + "}\n";
    }

    std::string imports(const pb::FileDescriptorProto &file) const
    {
        std::vector<std::string> lists[2]; // not public, public
        for (int i = 0; i < file.dependency_size(); i++) {
            const auto &open = file.public_dependency();
            lists[std::count(open.begin(), open.end(), i)].push_back(file.dependency(i));
        }
        std::string out;
        for (int i = 0; i < 2; i++) {
            if (normal)
                std::sort(lists[i].begin(), lists[i].end());
            for (const auto &name : lists[i])
                out += (i == 0 ? "import \"" : "import public \"") + name + "\";\n";
        }
        return out;
    }

    // ---- options ----

    static std::string name(const Option &option)
    {
        std::string out;
        for (const auto &part : option.name()) {
            out += out.empty() ? "" : ".";
            out += part.is_extension() ? "(" + part.name_part() + ")" : part.name_part();
        }
        return out;
    }

    std::string value(const Option &option) const
    {
        if (option.has_identifier_value())
            return option.identifier_value();
        if (option.has_positive_int_value())
            return std::to_string(option.positive_int_value());
        if (option.has_negative_int_value())
            return std::to_string(option.negative_int_value());
        if (option.has_double_value())
            return pb::SimpleDtoa(option.double_value());
        if (option.has_string_value())
            return protobuf_quote(option.string_value());
        return protobuf_aggregate(option.aggregate_value(), normal);
    }

    using Pair = std::pair<std::string, std::string>; // what it is sorted by, "name = value"

    template <class T> std::vector<Pair> pairs(const T &options) const
    {
        std::vector<Pair> out;
        for (const auto &option : options.uninterpreted_option())
            if (!bare || option.name_size() == 0 || !option.name(0).is_extension())
                out.emplace_back(option.name_size() > 0 ? option.name(0).name_part() : "",
                                 name(option) + " = " + value(option));
        return out;
    }

    void sort(std::vector<Pair> *pairs) const
    {
        if (normal)
            std::stable_sort(pairs->begin(), pairs->end(), ByFirst<Pair>());
    }

    template <class T> std::string option_lines(const T &options) const
    {
        std::string out;
        auto list = pairs(options);
        sort(&list);
        for (const auto &one : list)
            out += "option " + one.second + ";\n";
        return out;
    }

    // " [a = b]", or one in a line when there are more.
    std::string bracket(std::vector<Pair> list) const
    {
        std::string out;
        sort(&list);
        if (list.size() == 1)
            return " [" + list[0].second + "]";
        for (size_t i = 0; i < list.size(); i++)
            out += protobuf_indent(list[i].second + (i + 1 < list.size() ? "," : ""));
        return list.empty() ? "" : " [\n" + out + "]";
    }

    // ---- fields ----

    using Field = Two<pb::FieldDescriptorProto>;
    using Nested = List<pb::DescriptorProto>;

    static const pb::DescriptorProto *named(const Nested &nested, const std::string &name)
    {
        for (const auto &one : nested)
            if (one.name() == name)
                return &one;
        return nullptr;
    }

    std::string type(const Field &field) const
    {
        static const char *const names[] = {"",         "double",   "float",   "int64",  "uint64",
                                            "int32",    "fixed64",  "fixed32", "bool",   "string",
                                            "group",    "message",  "bytes",   "uint32", "enum",
                                            "sfixed32", "sfixed64", "sint32",  "sint64"};
        if (field.written.has_type_name())
            return normal ? field.linked.type_name() : field.written.type_name();
        return names[field.written.type()];
    }

    // "" for what has none. outer, linked: nested types of the message that the field is in.
    std::string label(const pb::FieldDescriptorProto &field, bool is_map) const
    {
        if (is_map || field.has_oneof_index())
            return field.proto3_optional() ? "optional " : "";
        if (field.label() == pb::FieldDescriptorProto::LABEL_REPEATED)
            return "repeated ";
        if (field.label() == pb::FieldDescriptorProto::LABEL_REQUIRED)
            return "required ";
        return proto3 && !field.proto3_optional() ? "" : "optional ";
    }

    std::string tail(const pb::FieldDescriptorProto &field) const
    {
        auto list = pairs(field.options());
        bool quoted = field.type() == pb::FieldDescriptorProto::TYPE_STRING;
        bool bytes = field.type() == pb::FieldDescriptorProto::TYPE_BYTES;
        if (field.has_default_value() && bytes)
            list.emplace_back("default", "default = \"" + field.default_value() + "\"");
        else if (field.has_default_value())
            list.emplace_back("default", "default = " + (quoted ? protobuf_quote(field.default_value())
                                                                : field.default_value()));
        if (field.has_json_name())
            list.emplace_back("json_name", "json_name = " + protobuf_quote(field.json_name()));
        return field.name() + " = " + std::to_string(field.number()) + bracket(list) + ";\n";
    }

    std::string field(const Field &field, const Two<Nested> &nested) const
    {
        const auto *entry = named(nested.written, field.written.type_name());
        bool is_map = entry != nullptr && entry->options().map_entry() && entry->field_size() == 2;
        if (!is_map)
            return label(field.written, false) + type(field) + " " + tail(field.written);
        const auto *linked = named(nested.linked, entry->name());
        if (linked == nullptr || linked->field_size() != 2)
            throw std::runtime_error("a map without an entry");
        return "map<" + type({entry->field(0), linked->field(0)}) + ", " +
               type({entry->field(1), linked->field(1)}) + "> " + tail(field.written);
    }

    // A group's message is declared by its field.
    std::string group(const Field &field, const Two<Nested> &nested) const
    {
        const auto *written = named(nested.written, field.written.type_name());
        const auto *linked = named(nested.linked, field.written.type_name());
        if (written == nullptr || linked == nullptr)
            throw std::runtime_error("a group without a message");
        return block(label(field.written, false) + "group " + written->name() + " = " +
                         std::to_string(field.written.number()) + bracket(pairs(field.written.options())),
                     sections({*written, *linked}));
    }

    using Numbered = std::pair<int, std::string>;

    std::string join(std::vector<Numbered> list) const
    {
        std::string out;
        if (normal)
            std::stable_sort(list.begin(), list.end(), ByFirst<Numbered>());
        for (const auto &one : list)
            out += protobuf_indent(one.second);
        return out;
    }

    // ---- messages ----

    using Message = Two<pb::DescriptorProto>;

    static std::string range(int first, int last)
    {
        return std::to_string(first) + (last > first ? " to " + std::to_string(last) : "");
    }

    // Statements of one value each in the normal form, else numbers in one and names in another.
    template <class T> std::string reserved(const T &type, int exclusive) const
    {
        std::vector<Numbered> numbers;
        std::vector<std::string> names(type.reserved_name().begin(), type.reserved_name().end());
        std::string out;
        for (const auto &one : type.reserved_range())
            numbers.emplace_back(one.start(), range(one.start(), one.end() - exclusive));
        if (normal) {
            std::stable_sort(numbers.begin(), numbers.end(), ByFirst<Numbered>());
            std::sort(names.begin(), names.end());
        }
        for (size_t i = 0; i < numbers.size(); i++)
            out += (i == 0 ? "  reserved " : separator("reserved ")) + numbers[i].second;
        out += numbers.empty() ? "" : ";\n";
        for (size_t i = 0; i < names.size(); i++)
            out += (i == 0 ? "  reserved " : separator("reserved ")) + protobuf_quote(names[i]);
        return out + (names.empty() ? "" : ";\n");
    }

    std::string separator(const char *keyword) const
    {
        return normal ? std::string(";\n  ") + keyword : ", ";
    }

    std::string extensions(const pb::DescriptorProto &message) const
    {
        std::string out;
        for (const auto &one : message.extension_range()) {
            bool open = one.end() > 536870911;
            out += (out.empty() ? "  extensions " : ", ") +
                   (open ? std::to_string(one.start()) + " to max" : range(one.start(), one.end() - 1));
        }
        return out + (out.empty() ? "" : ";\n");
    }

    std::string oneof(const Message &message, int index) const
    {
        const auto &own = message.written.oneof_decl(index);
        std::vector<Numbered> fields;
        std::string groups;
        Two<Nested> nested = {message.written.nested_type(), message.linked.nested_type()};
        for (int i = 0; i < message.written.field_size(); i++) {
            Field one = {message.written.field(i), message.linked.field(i)};
            if (!one.written.has_oneof_index() || one.written.oneof_index() != index)
                continue;
            if (one.written.type() == pb::FieldDescriptorProto::TYPE_GROUP)
                groups += protobuf_indent(group(one, nested));
            else
                fields.emplace_back(one.written.number(), field(one, nested));
        }
        std::string body;
        section(&body, protobuf_indent(option_lines(own.options())));
        section(&body, join(fields));
        section(&body, groups);
        return block("oneof " + own.name(), body);
    }

    // Oneofs in the order of their first, or lowest, field. Those of proto3's optional are none.
    std::string oneofs(const Message &message) const
    {
        std::vector<Numbered> list;
        for (int i = 0; i < message.written.oneof_decl_size(); i++) {
            int lowest = 0;
            bool synthetic = false;
            for (const auto &field : message.written.field()) {
                if (!field.has_oneof_index() || field.oneof_index() != i)
                    continue;
                lowest = lowest == 0 ? field.number() : std::min(lowest, field.number());
                synthetic = synthetic || field.proto3_optional();
            }
            if (!synthetic)
                list.emplace_back(lowest, oneof(message, i));
        }
        return join(list);
    }

    std::string sections(const Message &message) const
    {
        const auto &own = message.written;
        std::vector<Numbered> fields;
        std::string out, groups;
        std::vector<std::string> declared; // by fields
        Two<Nested> nested = {own.nested_type(), message.linked.nested_type()};
        for (int i = 0; i < own.field_size(); i++) {
            Field one = {own.field(i), message.linked.field(i)};
            bool is_group = one.written.type() == pb::FieldDescriptorProto::TYPE_GROUP;
            if (is_group)
                declared.push_back(one.written.type_name());
            if (one.written.has_oneof_index() && !one.written.proto3_optional())
                continue;
            if (is_group)
                groups += protobuf_indent(group(one, nested));
            else
                fields.emplace_back(one.written.number(), field(one, nested));
        }
        section(&out, reserved(own, 1));
        section(&out, protobuf_indent(option_lines(own.options())));
        section(&out, join(fields));
        section(&out, oneofs(message));
        section(&out, groups);
        section(&out, bare ? "" : extensions(own));
        section(&out, protobuf_indent(types(nested.written, nested.linked, own.enum_type(), declared)));
        section(&out, bare ? "" : protobuf_indent(extends(own.extension(), message.linked.extension())));
        return out;
    }

    // Messages, then enums. declared: by fields already.
    std::string types(const Nested &written, const Nested &linked, const List<pb::EnumDescriptorProto> &enums,
                      const std::vector<std::string> &declared) const
    {
        std::string out;
        for (int i = 0; i < written.size(); i++) {
            const auto &one = written.Get(i);
            bool known = std::count(declared.begin(), declared.end(), one.name()) > 0;
            if (!one.options().map_entry() && !known)
                out += block("message " + one.name(), sections({one, linked.Get(i)}));
        }
        for (const auto &one : enums)
            out += enumeration(one);
        return out;
    }

    // Negative numbers last: proto3 begins with 0.
    std::string enumeration(const pb::EnumDescriptorProto &one) const
    {
        std::vector<std::pair<std::pair<uint32_t, std::string>, std::string>> constants;
        for (const auto &value : one.value())
            constants.push_back({{static_cast<uint32_t>(value.number()), value.name()},
                                 value.name() + " = " + std::to_string(value.number()) +
                                     bracket(pairs(value.options())) + ";\n"});
        if (normal)
            std::sort(constants.begin(), constants.end());
        std::string body = reserved(one, 0) + protobuf_indent(option_lines(one.options()));
        for (const auto &constant : constants)
            body += protobuf_indent(constant.second);
        return block("enum " + one.name(), body.empty() ? "" : "\n" + body);
    }

    // Extensions of one message behind one another are one statement.
    std::string extends(const List<pb::FieldDescriptorProto> &written,
                        const List<pb::FieldDescriptorProto> &linked) const
    {
        std::string out, body;
        static const Nested none;
        for (int i = 0; i < written.size(); i++) {
            const Field one = {written.Get(i), linked.Get(i)};
            if (one.written.type() == pb::FieldDescriptorProto::TYPE_GROUP)
                throw std::runtime_error("groups in extensions are not supported");
            body += protobuf_indent(field(one, {none, none}));
            bool last = i + 1 == written.size() || written.Get(i + 1).extendee() != one.written.extendee();
            if (!last)
                continue;
            out += block("extend " + (normal ? one.linked.extendee() : one.written.extendee()), "\n" + body);
            body.clear();
        }
        return out;
    }

    // ---- services ----

    std::string method(const Two<pb::MethodDescriptorProto> &method) const
    {
        const auto &own = method.written, &types = normal ? method.linked : method.written;
        std::string options = protobuf_indent(option_lines(own.options()));
        return "rpc " + own.name() + " (" + (own.client_streaming() ? "stream " : "") + types.input_type() +
               ") returns (" + (own.server_streaming() ? "stream " : "") + types.output_type() + ")" +
               (options.empty() ? "" : " {\n" + options + "}") + ";\n";
    }

    std::string service(const Two<pb::ServiceDescriptorProto> &service) const
    {
        std::string body, methods;
        for (int i = 0; i < service.written.method_size(); i++)
            methods += protobuf_indent(method({service.written.method(i), service.linked.method(i)}));
        section(&body, protobuf_indent(option_lines(service.written.options())));
        section(&body, methods);
        return block("service " + service.written.name(), body);
    }
};

enum status print(struct slice set, struct slice written, enum schema_text form, struct buf *out)
{
    pb::FileDescriptorSet all;
    pb::FileDescriptorProto own;
    std::string text;
    if (!all.ParseFromArray(set.data, static_cast<int>(set.len)) || all.file_size() == 0 ||
        !own.ParseFromArray(written.data, static_cast<int>(written.len)))
        return ST_MALFORMED;
    const auto &linked = all.file(all.file_size() - 1);
    if (form == SCHEMA_TEXT_SERIALIZED)
        pb::Base64Escape(linked.SerializeAsString(), &text);
    else
        text = Printer(form, own.syntax() == "proto3").file({own, linked});
    return buf_append(out, text.data(), text.size());
}

} // namespace

extern "C" enum status protobuf_print(struct slice set, struct slice written, enum schema_text form,
                                      struct buf *out)
{
    return protobuf_guard(nullptr, [&] { return print(set, written, form, out); });
}

// SPDX-License-Identifier: Apache-2.0
// Forms of a schema's text (protobuf_text.h), laid out as Confluent's ProtobufSchemaUtils does, since texts
// are compared with those in its registry: comments are dropped, each kind of element has a section of its
// own, two blanks indent. The normal form has names in full, and imports, options, reserved, fields and
// constants sorted.
#include "protobuf/aggregate.h"
#include "protobuf/error.h"
#include "protobuf/lines.h"

#include <google/protobuf/descriptor.pb.h>

#include <algorithm>
#include <set>
#include <unordered_map>

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
    Printer(enum schema_text form, bool proto3, Lines *to)
        : normal(form == SCHEMA_TEXT_NORMAL || form == SCHEMA_TEXT_CANONICAL), bare(form == SCHEMA_TEXT_BARE),
          proto3(proto3), to(to)
    {
    }

    void file(const Two<pb::FileDescriptorProto> &file) const
    {
        const auto &own = file.written;
        if (own.has_syntax())
            to->line("syntax = \"" + own.syntax() + "\";");
        if (own.has_package())
            to->line("package " + own.package() + ";");
        to->section();
        imports(own);
        to->section();
        options(own.options());
        to->section();
        const Scope scope(own.message_type(), file.linked.message_type());
        std::set<std::string> declared;
        groups(own.extension(), &declared);
        types(own.message_type(), file.linked.message_type(), own.enum_type(), declared);
        to->section();
        extends(own.extension(), file.linked.extension(), scope);
        to->section();
        for (int i = 0; i < own.service_size(); i++)
            service({own.service(i), file.linked.service(i)});
    }

  private:
    const bool normal, bare, proto3;
    Lines *const to;

    template <class T> using List = pb::RepeatedPtrField<T>;

    void imports(const pb::FileDescriptorProto &file) const
    {
        std::vector<std::string> lists[2]; // not public, public
        for (int i = 0; i < file.dependency_size(); i++) {
            const auto &open = file.public_dependency();
            lists[std::count(open.begin(), open.end(), i)].push_back(file.dependency(i));
        }
        for (int i = 0; i < 2; i++) {
            if (normal)
                std::sort(lists[i].begin(), lists[i].end());
            for (const auto &name : lists[i])
                to->line((i == 0 ? "import \"" : "import public \"") + name + "\";");
        }
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

    // level: of the line that it begins in.
    std::string value(const Option &option, size_t level) const
    {
        std::string text;
        if (protobuf_scalar(option, &text))
            return text;
        return protobuf_aggregate(option.aggregate_value(), {normal, level, &to->values});
    }

    using Pair = std::pair<std::string, std::string>; // what it is sorted by, "name = value"

    template <class T> std::vector<const Option *> shown(const T &options) const
    {
        std::vector<const Option *> out;
        for (const auto &option : options.uninterpreted_option())
            if (!bare || option.name_size() == 0 || !option.name(0).is_extension())
                out.push_back(&option);
        return out;
    }

    std::vector<Pair> pairs(const std::vector<const Option *> &options, size_t level) const
    {
        std::vector<Pair> out;
        for (const auto *option : options)
            out.emplace_back(option->name_size() > 0 ? option->name(0).name_part() : "",
                             name(*option) + " = " + value(*option, level));
        return out;
    }

    void sort(std::vector<Pair> *pairs) const
    {
        if (normal)
            std::stable_sort(pairs->begin(), pairs->end(), ByFirst<Pair>());
    }

    template <class T> void options(const T &options) const
    {
        auto list = pairs(shown(options), to->depth());
        sort(&list);
        for (const auto &one : list)
            to->line("option " + one.second + ";");
    }

    // " [a = b]", or one in a line when there are more: those of others and of the element itself.
    template <class T> std::string bracket(const T &others, const std::vector<Pair> &own = {}) const
    {
        auto known = shown(others);
        bool single = known.size() + own.size() == 1;
        size_t level = to->depth() + (single ? 0 : 1);
        auto list = pairs(known, level);
        list.insert(list.end(), own.begin(), own.end());
        if (list.empty())
            return "";
        sort(&list);
        if (single)
            return " [" + list[0].second + "]";
        std::string out;
        for (const auto &one : list)
            out += (out.empty() ? " [\n" : ",\n") + std::string(2 * level, ' ') + one.second;
        return out + "\n" + std::string(2 * to->depth(), ' ') + "]";
    }

    // ---- fields ----

    using Field = Two<pb::FieldDescriptorProto>;
    using Nested = List<pb::DescriptorProto>;

    // Messages declared in one place, to be found by name.
    struct Scope {
        const Nested &written, &linked;
        std::unordered_map<std::string, int> numbers;

        Scope(const Nested &written, const Nested &linked) : written(written), linked(linked)
        {
            for (int i = 0; i < written.size() && i < linked.size(); i++)
                numbers.emplace(written.Get(i).name(), i);
        }

        // -1: none of that name.
        int named(const std::string &name) const
        {
            auto found = numbers.find(name);
            return found != numbers.end() ? found->second : -1;
        }
    };

    // A message with what is asked for by name or number.
    struct Message {
        const pb::DescriptorProto &written, &linked;
        const Scope scope;
        std::vector<std::vector<int>> oneofs; // which fields

        Message(const pb::DescriptorProto &written, const pb::DescriptorProto &linked)
            : written(written), linked(linked), scope(written.nested_type(), linked.nested_type()),
              oneofs(written.oneof_decl_size())
        {
            for (int i = 0; i < written.field_size(); i++)
                if (written.field(i).has_oneof_index())
                    oneofs.at(written.field(i).oneof_index()).push_back(i);
        }

        Field field(int i) const
        {
            return {written.field(i), linked.field(i)};
        }
    };

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

    // "" for what has none.
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
        std::vector<Pair> list;
        bool quoted = field.type() == pb::FieldDescriptorProto::TYPE_STRING;
        bool bytes = field.type() == pb::FieldDescriptorProto::TYPE_BYTES;
        if (field.has_default_value() && bytes)
            list.emplace_back("default", "default = \"" + field.default_value() + "\"");
        else if (field.has_default_value())
            list.emplace_back("default", "default = " + (quoted ? protobuf_quote(field.default_value())
                                                                : field.default_value()));
        if (field.has_json_name())
            list.emplace_back("json_name", "json_name = " + protobuf_quote(field.json_name()));
        return field.name() + " = " + std::to_string(field.number()) + bracket(field.options(), list) + ";";
    }

    // outer: the message that it is in, or nullptr.
    void field(const Field &field, const Message *outer) const
    {
        const auto &name = field.written.type_name();
        int nested = outer != nullptr && !name.empty() ? outer->scope.named(name) : -1;
        if (nested >= 0 && outer->written.nested_type(nested).options().map_entry())
            to->line(map(outer->written.nested_type(nested), outer->linked.nested_type(nested)) +
                     tail(field.written));
        else
            to->line(label(field.written, false) + type(field) + " " + tail(field.written));
    }

    std::string map(const pb::DescriptorProto &written, const pb::DescriptorProto &linked) const
    {
        if (written.field_size() != 2 || linked.field_size() != 2)
            throw std::runtime_error("a map without an entry");
        return "map<" + type({written.field(0), linked.field(0)}) + ", " +
               type({written.field(1), linked.field(1)}) + "> ";
    }

    // A group's message is declared by its field, where that stands.
    void group(const Field &field, const Scope &scope) const
    {
        int nested = scope.named(field.written.type_name());
        if (nested < 0)
            throw std::runtime_error("a group without a message");
        to->open(label(field.written, false) + "group " + field.written.type_name() + " = " +
                 std::to_string(field.written.number()) + bracket(field.written.options()));
        sections({scope.written.Get(nested), scope.linked.Get(nested)});
        to->close();
    }

    // Adds the names of the messages that these fields declare.
    static void groups(const List<pb::FieldDescriptorProto> &fields, std::set<std::string> *names)
    {
        for (const auto &one : fields)
            if (one.type() == pb::FieldDescriptorProto::TYPE_GROUP)
                names->insert(one.type_name());
    }

    using Numbered = std::pair<int, int>; // number, index

    void order(std::vector<Numbered> *list) const
    {
        if (normal)
            std::stable_sort(list->begin(), list->end(), ByFirst<Numbered>());
    }

    // Groups behind the others, in a section of their own; between: writes what is between them.
    template <class Function>
    void fields(const Message &message, const std::vector<int> &which, Function between) const
    {
        std::vector<Numbered> list;
        std::vector<int> groups;
        for (int i : which)
            if (message.written.field(i).type() == pb::FieldDescriptorProto::TYPE_GROUP)
                groups.push_back(i);
            else
                list.emplace_back(message.written.field(i).number(), i);
        order(&list);
        to->section();
        for (const auto &one : list)
            field(message.field(one.second), &message);
        between();
        to->section();
        for (int i : groups)
            group(message.field(i), message.scope);
    }

    // ---- messages ----

    static std::string range(int first, int last)
    {
        return std::to_string(first) + (last > first ? " to " + std::to_string(last) : "");
    }

    // Statements of one value each in the normal form, else numbers in one and names in another.
    template <class T> void reserved(const T &type, int exclusive) const
    {
        std::vector<std::pair<int, std::string>> numbers;
        std::vector<std::string> ranges, names;
        for (const auto &one : type.reserved_range())
            numbers.emplace_back(one.start(), range(one.start(), one.end() - exclusive));
        if (normal)
            std::stable_sort(numbers.begin(), numbers.end(), ByFirst<std::pair<int, std::string>>());
        for (const auto &one : numbers)
            ranges.push_back(one.second);
        for (const auto &name : type.reserved_name())
            names.push_back(protobuf_quote(name));
        if (normal)
            std::sort(names.begin(), names.end());
        statements(ranges);
        statements(names);
    }

    void statements(const std::vector<std::string> &values) const
    {
        if (normal) {
            for (const auto &value : values)
                to->line("reserved " + value + ";");
        } else if (!values.empty()) {
            listed("reserved ", values);
        }
    }

    void listed(std::string text, const std::vector<std::string> &values) const
    {
        for (size_t i = 0; i < values.size(); i++)
            text += (i == 0 ? "" : ", ") + values[i];
        to->line(text + ";");
    }

    void extensions(const pb::DescriptorProto &message) const
    {
        std::vector<std::string> ranges;
        for (const auto &one : message.extension_range()) {
            bool open = one.end() > 536870911;
            ranges.push_back(open ? std::to_string(one.start()) + " to max"
                                  : range(one.start(), one.end() - 1));
        }
        if (!ranges.empty() && !bare)
            listed("extensions ", ranges);
    }

    void oneof(const Message &message, int index) const
    {
        const auto &own = message.written.oneof_decl(index);
        to->open("oneof " + own.name());
        to->section();
        options(own.options());
        fields(message, message.oneofs[index], [] {});
        to->close();
    }

    // Oneofs in the order of their first, or lowest, field. Those of proto3's optional are none.
    void oneofs(const Message &message) const
    {
        std::vector<Numbered> list;
        for (size_t i = 0; i < message.oneofs.size(); i++) {
            int lowest = 0;
            bool synthetic = false;
            for (int which : message.oneofs[i]) {
                const auto &field = message.written.field(which);
                lowest = lowest == 0 ? field.number() : std::min(lowest, field.number());
                synthetic = synthetic || field.proto3_optional();
            }
            if (!synthetic)
                list.emplace_back(lowest, static_cast<int>(i));
        }
        order(&list);
        for (const auto &one : list)
            oneof(message, one.second);
    }

    void sections(const Message &message) const
    {
        const auto &own = message.written;
        std::set<std::string> declared; // by fields
        std::vector<int> alone;
        groups(own.field(), &declared);
        groups(own.extension(), &declared);
        for (int i = 0; i < own.field_size(); i++) {
            const auto &one = own.field(i);
            if (!one.has_oneof_index() || one.proto3_optional())
                alone.push_back(i);
        }
        to->section();
        reserved(own, 1);
        to->section();
        options(own.options());
        fields(message, alone, [&] {
            to->section();
            oneofs(message);
        });
        to->section();
        extensions(own);
        to->section();
        types(own.nested_type(), message.linked.nested_type(), own.enum_type(), declared);
        to->section();
        extends(own.extension(), message.linked.extension(), message.scope);
    }

    // Messages, then enums. declared: by fields already.
    void types(const Nested &written, const Nested &linked, const List<pb::EnumDescriptorProto> &enums,
               const std::set<std::string> &declared) const
    {
        for (int i = 0; i < written.size(); i++) {
            const auto &one = written.Get(i);
            if (one.options().map_entry() || declared.count(one.name()) > 0)
                continue;
            to->open("message " + one.name());
            sections({one, linked.Get(i)});
            to->close();
        }
        for (const auto &one : enums)
            enumeration(one);
    }

    // Negative numbers last: proto3 begins with 0.
    void enumeration(const pb::EnumDescriptorProto &one) const
    {
        std::vector<std::pair<std::pair<uint32_t, std::string>, int>> constants;
        for (int i = 0; i < one.value_size(); i++)
            constants.push_back({{static_cast<uint32_t>(one.value(i).number()), one.value(i).name()}, i});
        if (normal)
            std::sort(constants.begin(), constants.end());
        to->open("enum " + one.name());
        reserved(one, 0);
        options(one.options());
        for (const auto &constant : constants) {
            const auto &value = one.value(constant.second);
            to->line(value.name() + " = " + std::to_string(value.number()) + bracket(value.options()) + ";");
        }
        to->close();
    }

    // Extensions of one message behind one another are one statement. scope: where they stand.
    void extends(const List<pb::FieldDescriptorProto> &written, const List<pb::FieldDescriptorProto> &linked,
                 const Scope &scope) const
    {
        for (int i = 0; i < written.size() && !bare; i++) {
            const Field one = {written.Get(i), linked.Get(i)};
            if (i == 0 || written.Get(i - 1).extendee() != one.written.extendee())
                to->open("extend " + (normal ? one.linked.extendee() : one.written.extendee()));
            if (one.written.type() == pb::FieldDescriptorProto::TYPE_GROUP)
                group(one, scope);
            else
                field(one, nullptr);
            if (i + 1 == written.size() || written.Get(i + 1).extendee() != one.written.extendee())
                to->close();
        }
    }

    // ---- services ----

    void method(const Two<pb::MethodDescriptorProto> &method) const
    {
        const auto &own = method.written, &types = normal ? method.linked : method.written;
        std::string head = "rpc " + own.name() + " (" + (own.client_streaming() ? "stream " : "") +
                           types.input_type() + ") returns (" + (own.server_streaming() ? "stream " : "") +
                           types.output_type() + ")";
        if (shown(own.options()).empty()) {
            to->line(head + ";");
            return;
        }
        to->open(head);
        options(own.options());
        to->close(";");
    }

    void service(const Two<pb::ServiceDescriptorProto> &service) const
    {
        to->open("service " + service.written.name());
        to->section();
        options(service.written.options());
        to->section();
        for (int i = 0; i < service.written.method_size(); i++)
            method({service.written.method(i), service.linked.method(i)});
        to->close();
    }
};

enum status print(struct slice set, struct slice written, enum schema_text form, struct buf *out)
{
    pb::FileDescriptorSet all;
    pb::FileDescriptorProto own;
    if (!all.ParseFromArray(set.data, static_cast<int>(set.len)) || all.file_size() == 0 ||
        !own.ParseFromArray(written.data, static_cast<int>(written.len)))
        return ST_MALFORMED;
    const auto &linked = all.file(all.file_size() - 1);
    Lines text(out->max - out->len, PROTOBUF_VALUES_MAX);
    if (form == SCHEMA_TEXT_SERIALIZED)
        pb::Base64Escape(linked.SerializeAsString(), &text.out);
    else
        Printer(form, own.syntax() == "proto3", &text).file({own, linked});
    return buf_append(out, text.out.data(), text.out.size());
}

} // namespace

extern "C" enum status protobuf_print(struct slice set, struct slice written, enum schema_text form,
                                      struct buf *out)
{
    return protobuf_guard(nullptr, [&] { return print(set, written, form, out); });
}

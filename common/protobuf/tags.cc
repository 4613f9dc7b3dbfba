// SPDX-License-Identifier: Apache-2.0
// Tags of messages and fields (protobuf_text.h), read from options as they are written and written back into
// them. An option may say all of it, "(confluent.field_meta) = { doc: 'x', tags: ['a'] }", or a part,
// "(confluent.field_meta).tags = 'a'".
#include "protobuf/aggregate.h"
#include "protobuf/error.h"
#include "protobuf/meta.h"

extern "C" {
#include "base/utf8.h"
}

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <set>
#include <vector>

namespace pb = google::protobuf;

namespace
{

using Tokenizer = pb::io::Tokenizer;

struct Member {
    std::string key, value; // value: its tokens
};

class Silent : public pb::io::ErrorCollector
{
    void AddError(int, pb::io::ColumnNumber, const std::string &) override
    {
    }
};

// ---- values ----

// Tokens of protobuf's text format, of which it is known that they are in order: they were linked.
class Tokens
{
  public:
    explicit Tokens(const std::string &text)
        : stream(text.data(), static_cast<int>(text.size())), tokenizer(&stream, &silent)
    {
        tokenizer.set_comment_style(Tokenizer::SH_COMMENT_STYLE);
        tokenizer.Next();
    }

    bool none()
    {
        return tokenizer.current().type == Tokenizer::TYPE_END;
    }

    std::vector<Member> members()
    {
        std::vector<Member> out;
        while (!none()) {
            std::string key = at("[") ? enclosed() : next();
            if (at(":"))
                next();
            out.push_back({key, value()});
            if (at(",") || at(";"))
                next();
        }
        return out;
    }

    // Strings behind one another are one.
    std::vector<std::string> strings()
    {
        std::vector<std::string> out;
        for (bool again = false; !none(); next()) {
            bool string = tokenizer.current().type == Tokenizer::TYPE_STRING;
            if (string && !again)
                out.emplace_back();
            if (string)
                Tokenizer::ParseStringAppend(tokenizer.current().text, &out.back());
            again = string;
        }
        return out;
    }

  private:
    Silent silent;
    pb::io::ArrayInputStream stream;
    Tokenizer tokenizer;

    bool at(const char *text)
    {
        return tokenizer.current().text == text;
    }

    std::string next()
    {
        std::string text = tokenizer.current().text;
        tokenizer.Next();
        return text;
    }

    // Up to the bracket that closes the one that is next.
    std::string enclosed()
    {
        static const std::string opening = "{[<", closing = "}]>";
        std::string out;
        long open = 0;
        do {
            std::string token = next();
            open += token.size() == 1 && opening.find(token) != std::string::npos;
            open -= token.size() == 1 && closing.find(token) != std::string::npos;
            out += token + " ";
        } while (open > 0 && !none());
        return out;
    }

    std::string value()
    {
        if (at("{") || at("[") || at("<"))
            return enclosed();
        std::string out = next();
        if (out == "-")
            out += next();
        while (tokenizer.current().type == Tokenizer::TYPE_STRING)
            out += " " + next();
        return out;
    }
};

// The value of an option in text format.
std::string value_of(const pb::UninterpretedOption &option)
{
    std::string text;
    return protobuf_scalar(option, &text) ? text : "{ " + option.aggregate_value() + " }";
}

std::string key_of(const pb::UninterpretedOption::NamePart &part)
{
    return part.is_extension() ? "[" + part.name_part() + "]" : part.name_part();
}

// ---- options of one element ----

class Meta
{
  public:
    std::vector<std::string> tags; // each once

    template <class T> Meta(const T &options, const char *name) : name(name)
    {
        for (const auto &option : options.uninterpreted_option())
            if (protobuf_is_meta(option, name))
                read(option);
    }

    // In place of the first of the options that this was read from.
    template <class T> void write(T *options) const
    {
        auto *list = options->mutable_uninterpreted_option();
        std::string text = members();
        bool written = text.empty();
        pb::RepeatedPtrField<pb::UninterpretedOption> kept;
        for (const auto &option : *list) {
            bool meta = protobuf_is_meta(option, name);
            if (meta && !written)
                put(option.name(0).name_part(), text, &kept);
            written = written || meta;
            if (!meta)
                *kept.Add() = option;
        }
        if (!written)
            put(name, text, &kept);
        list->Swap(&kept);
    }

  private:
    const char *const name;
    std::set<std::string> known; // tags
    std::vector<Member> others;
    size_t at = 0;      // where among them the tags are
    bool there = false; // tags

    void read(const pb::UninterpretedOption &option)
    {
        if (option.name_size() == 1) {
            for (const auto &member : Tokens(option.aggregate_value()).members())
                add(member);
            return;
        }
        std::string value = value_of(option);
        for (int i = option.name_size() - 1; i > 1; i--)
            value = "{ " + key_of(option.name(i)) + " : " + value + " }";
        add({key_of(option.name(1)), value});
    }

    void add(const Member &member)
    {
        if (member.key != "tags") {
            others.push_back(member);
            return;
        }
        at = there ? at : others.size();
        there = true;
        for (const auto &tag : Tokens(member.value).strings())
            if (known.insert(tag).second)
                tags.push_back(tag);
    }

    std::string members() const
    {
        std::string text;
        for (size_t i = 0; i <= others.size(); i++) {
            if (i == (there ? at : others.size()) && !tags.empty())
                text += "tags : " + list() + " ";
            if (i < others.size())
                text += others[i].key + " : " + others[i].value + " ";
        }
        return text;
    }

    std::string list() const
    {
        std::string text;
        for (const auto &tag : tags)
            text += (text.empty() ? "[ " : " , ") + protobuf_quote(tag);
        return text + " ]";
    }

    static void put(const std::string &name, const std::string &text,
                    pb::RepeatedPtrField<pb::UninterpretedOption> *list)
    {
        auto *option = list->Add();
        auto *part = option->add_name();
        part->set_name_part(name);
        part->set_is_extension(true);
        option->set_aggregate_value(text);
    }
};

bool told(const std::string &tag)
{
    return tag.find('\0') == std::string::npos && utf8_valid(slice_of(tag.data(), tag.size()));
}

const char *meta_name(const pb::DescriptorProto &)
{
    return "confluent.message_meta";
}

const char *meta_name(const pb::FieldDescriptorProto &)
{
    return "confluent.field_meta";
}

// ---- entities ----

struct Place {
    std::string path, by_oneof; // by_oneof: "" for none
    bool field;
};

// Calls visit with each message and field and its place.
template <class Visit> class Walk
{
  public:
    explicit Walk(Visit visit) : visit(visit)
    {
    }

    void file(pb::FileDescriptorProto *file)
    {
        std::set<std::string> groups;
        find_groups(file->extension(), &groups);
        for (auto &one : *file->mutable_message_type())
            if (groups.count(one.name()) == 0)
                message(&one, "");
    }

  private:
    Visit visit;
    size_t left = PROTOBUF_PATHS_MAX;

    // Names of messages that fields declare.
    static void find_groups(const pb::RepeatedPtrField<pb::FieldDescriptorProto> &fields,
                            std::set<std::string> *names)
    {
        for (const auto &one : fields)
            if (one.type() == pb::FieldDescriptorProto::TYPE_GROUP)
                names->insert(one.type_name());
    }

    void take(size_t bytes)
    {
        if (bytes > left)
            throw std::length_error("the schema has too many names");
        left -= bytes;
    }

    void message(pb::DescriptorProto *one, const std::string &outer)
    {
        std::set<std::string> groups;
        take(outer.size() + one->name().size() + 1);
        std::string path = outer + "." + one->name();
        find_groups(one->field(), &groups);
        find_groups(one->extension(), &groups);
        visit(one, Place{path, "", false});
        for (auto &inner : *one->mutable_field())
            if (inner.type() != pb::FieldDescriptorProto::TYPE_GROUP)
                field(&inner, *one, path);
        for (auto &inner : *one->mutable_nested_type())
            if (!inner.options().map_entry() && groups.count(inner.name()) == 0)
                message(&inner, path);
    }

    void field(pb::FieldDescriptorProto *one, const pb::DescriptorProto &outer, const std::string &path)
    {
        std::string by_oneof;
        take(path.size() + one->name().size() + 1);
        if (one->has_oneof_index() && !one->proto3_optional()) {
            const std::string &oneof = outer.oneof_decl(one->oneof_index()).name();
            take(path.size() + oneof.size() + one->name().size() + 2);
            by_oneof = path + "." + oneof + "." + one->name();
        }
        visit(one, Place{path + "." + one->name(), by_oneof, true});
    }
};

template <class Visit> void walk(pb::FileDescriptorProto *file, Visit visit)
{
    Walk<Visit>(visit).file(file);
}

void parse(struct slice bytes, pb::FileDescriptorProto *file)
{
    if (!file->ParseFromArray(bytes.data, static_cast<int>(bytes.len)))
        throw std::runtime_error("no descriptor");
}

enum status entities(struct slice written, protobuf_entity_fn *tell, void *context)
{
    pb::FileDescriptorProto file;
    parse(written, &file);
    walk(&file, [&](auto *element, const Place &place) {
        Meta meta(element->options(), meta_name(*element));
        std::vector<const char *> tags;
        for (const auto &tag : meta.tags)
            if (told(tag))
                tags.push_back(tag.c_str());
        const struct protobuf_entity entity = {place.path.c_str(),
                                               place.by_oneof.empty() ? nullptr : place.by_oneof.c_str(),
                                               place.field, tags.data(), tags.size()};
        tell(&entity, context);
    });
    return ST_OK;
}

enum status retag(const struct protobuf_retagging *wanted, struct buf *out)
{
    const struct protobuf_tags *at = wanted->entities, *end = at + wanted->count;
    pb::FileDescriptorProto file;
    size_t entity = 0;
    parse(wanted->written, &file);
    walk(&file, [&](auto *element, const Place &) {
        if (at == end || at->entity != entity++)
            return;
        Meta meta(element->options(), meta_name(*element));
        meta.tags.erase(std::remove_if(meta.tags.begin(), meta.tags.end(), told), meta.tags.end());
        meta.tags.insert(meta.tags.end(), at->tags, at->tags + at->count);
        meta.write(element->mutable_options());
        at++;
    });
    std::string bytes = file.SerializeAsString();
    return protobuf_print(wanted->set, slice_of(bytes.data(), bytes.size()), SCHEMA_TEXT_PLAIN, out);
}

} // namespace

extern "C" enum status protobuf_entities(struct slice written, protobuf_entity_fn *tell, void *context)
{
    return protobuf_guard(nullptr, [&] { return entities(written, tell, context); });
}

extern "C" enum status protobuf_retag(const struct protobuf_retagging *wanted, struct buf *out)
{
    return protobuf_guard(nullptr, [&] { return retag(wanted, out); });
}

// SPDX-License-Identifier: Apache-2.0
// See aggregate.h. An aggregate is a message in protobuf's text format; its nesting is bounded by the
// brackets that the whole schema may have open. It is written in place, as a small one can become long.
#include "protobuf/aggregate.h"

extern "C" {
#include "base/utf8.h"
}

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/strutil.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

namespace io = google::protobuf::io;

std::string protobuf_quote(const std::string &text)
{
    static const char plain[] = "\a\b\f\n\r\t\v\\'\"", escaped[] = "abfnrtv\\'\"";
    bool utf8 = utf8_valid(slice_of(text.data(), text.size()));
    std::string out = "\"";
    for (char c : text) {
        const char *found = c != '\0' ? strchr(plain, c) : nullptr;
        unsigned char byte = static_cast<unsigned char>(c);
        char octal[5];
        if (found != nullptr) {
            out += '\\';
            out += escaped[found - plain];
        } else if (byte < 0x20 || byte == 0x7f || (byte > 0x7f && !utf8)) {
            snprintf(octal, sizeof octal, "\\%03o", byte);
            out += octal;
        } else {
            out += c;
        }
    }
    return out + "\"";
}

bool protobuf_scalar(const google::protobuf::UninterpretedOption &option, std::string *out)
{
    if (option.has_identifier_value())
        *out = option.identifier_value();
    else if (option.has_positive_int_value())
        *out = std::to_string(option.positive_int_value());
    else if (option.has_negative_int_value())
        *out = std::to_string(option.negative_int_value());
    else if (option.has_double_value())
        *out = google::protobuf::SimpleDtoa(option.double_value());
    else if (option.has_string_value())
        *out = protobuf_quote(option.string_value());
    else
        return false;
    return true;
}

namespace
{

class Silent : public io::ErrorCollector
{
    void AddError(int, io::ColumnNumber, const std::string &) override
    {
    }
};

class Reader
{
  public:
    Reader(const std::string &value, const protobuf_layout &layout)
        : stream(value.data(), static_cast<int>(value.size())), tokenizer(&stream, &silent),
          sorted(layout.sorted), level(layout.level), left(layout.left)
    {
        tokenizer.Next();
    }
    std::string out;

    // Members up to `end`, or the end of the text, in braces.
    void members(const char *end)
    {
        std::vector<Member> list;
        put("{\n");
        level++;
        size_t begin = out.size();
        while (!at(end) && tokenizer.current().type != io::Tokenizer::TYPE_END) {
            put(list.empty() ? "" : ",\n");
            size_t start = out.size();
            std::string key = name();
            take(":");
            indent();
            put(key + ": ");
            value();
            list.push_back({key, start, out.size() - start});
            take(",") || take(";");
        }
        if (sorted)
            sort(&list, begin);
        put(list.empty() ? "" : "\n");
        level--;
        indent();
        put("}");
    }

  private:
    struct Member {
        std::string key;
        size_t start, len; // in out
    };

    Silent silent;
    io::ArrayInputStream stream;
    io::Tokenizer tokenizer;
    const bool sorted;
    size_t level;
    size_t *left;

    void put(const std::string &text)
    {
        if (text.size() > *left)
            throw std::length_error("the values of options are too long");
        *left -= text.size();
        out += text;
    }

    void indent()
    {
        put(std::string(2 * level, ' '));
    }

    // All of them, which begin at `begin`.
    void sort(std::vector<Member> *list, size_t begin)
    {
        auto by_key = [](const Member &a, const Member &b) { return a.key < b.key; };
        if (std::is_sorted(list->begin(), list->end(), by_key))
            return;
        std::stable_sort(list->begin(), list->end(), by_key);
        std::string again;
        for (const auto &one : *list)
            again.append(again.empty() ? "" : ",\n").append(out, one.start, one.len);
        out.replace(begin, std::string::npos, again);
    }

    bool at(const char *text)
    {
        return text != nullptr && tokenizer.current().text == text;
    }

    bool take(const char *text)
    {
        bool found = at(text);
        if (found)
            tokenizer.Next();
        return found;
    }

    std::string next()
    {
        std::string text = tokenizer.current().text;
        if (tokenizer.current().type == io::Tokenizer::TYPE_END)
            throw std::runtime_error("the value of an option ends too early");
        tokenizer.Next();
        return text;
    }

    // A field, or an extension or type in brackets.
    std::string name()
    {
        std::string out = next();
        while (out[0] == '[' && out.back() != ']')
            out += next();
        return out;
    }

    void value()
    {
        if (take("{"))
            enclosed("}");
        else if (take("<"))
            enclosed(">");
        else if (take("["))
            list();
        else if (tokenizer.current().type == io::Tokenizer::TYPE_STRING)
            strings();
        else
            number();
    }

    void enclosed(const char *end)
    {
        members(end);
        take(end);
    }

    void number()
    {
        std::string sign = at("-") ? next() : "";
        put(sign + next());
    }

    void strings()
    {
        std::string text;
        while (tokenizer.current().type == io::Tokenizer::TYPE_STRING)
            io::Tokenizer::ParseStringAppend(next(), &text);
        put(protobuf_quote(text));
    }

    void list()
    {
        put("[\n");
        level++;
        for (bool first = true; !at("]"); first = false) {
            put(first ? "" : ",\n");
            indent();
            value();
            take(",");
            put(at("]") ? "\n" : "");
        }
        next();
        level--;
        indent();
        put("]");
    }
};

} // namespace

std::string protobuf_aggregate(const std::string &value, const protobuf_layout &layout)
{
    Reader reader(value, layout);
    reader.members(nullptr);
    return reader.out;
}

// SPDX-License-Identifier: Apache-2.0
// See aggregate.h. An aggregate is a message in protobuf's text format; its nesting is bounded by the
// brackets that the whole schema may have open.
#include "protobuf/aggregate.h"

extern "C" {
#include "base/utf8.h"
}

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

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

std::string protobuf_indent(const std::string &lines)
{
    std::string out;
    for (size_t at = 0; at < lines.size();) {
        size_t end = std::min(lines.find('\n', at), lines.size());
        out += "  " + lines.substr(at, end - at) + "\n";
        at = end + 1;
    }
    return out;
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
    Reader(const std::string &value, bool sorted)
        : stream(value.data(), static_cast<int>(value.size())), tokenizer(&stream, &silent), sorted(sorted)
    {
        tokenizer.Next();
    }

    // Members up to `end`, or the end of the text.
    std::string members(const char *end)
    {
        std::vector<std::pair<std::string, std::string>> list;
        while (!at(end) && tokenizer.current().type != io::Tokenizer::TYPE_END) {
            std::string key = name();
            take(":");
            list.emplace_back(key, value());
            take(",") || take(";");
        }
        if (sorted)
            std::stable_sort(list.begin(), list.end(),
                             [](const auto &a, const auto &b) { return a.first < b.first; });
        std::string out;
        for (size_t i = 0; i < list.size(); i++)
            out += protobuf_indent(list[i].first + ": " + list[i].second + (i + 1 < list.size() ? "," : ""));
        return "{\n" + out + "}";
    }

  private:
    Silent silent;
    io::ArrayInputStream stream;
    io::Tokenizer tokenizer;
    const bool sorted;

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

    std::string value()
    {
        if (take("{"))
            return enclosed("}");
        if (take("<"))
            return enclosed(">");
        if (take("["))
            return list();
        if (tokenizer.current().type == io::Tokenizer::TYPE_STRING)
            return strings();
        std::string sign = at("-") ? next() : "";
        return sign + next();
    }

    std::string enclosed(const char *end)
    {
        std::string out = members(end);
        take(end);
        return out;
    }

    std::string strings()
    {
        std::string out;
        while (tokenizer.current().type == io::Tokenizer::TYPE_STRING)
            io::Tokenizer::ParseStringAppend(next(), &out);
        return protobuf_quote(out);
    }

    std::string list()
    {
        std::vector<std::string> items;
        while (!at("]")) {
            items.push_back(value());
            take(",");
        }
        next();
        std::string out;
        for (size_t i = 0; i < items.size(); i++)
            out += protobuf_indent(items[i] + (i + 1 < items.size() ? "," : ""));
        return "[\n" + out + "]";
    }
};

} // namespace

std::string protobuf_aggregate(const std::string &value, bool sorted)
{
    return Reader(value, sorted).members(nullptr);
}

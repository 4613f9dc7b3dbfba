// SPDX-License-Identifier: Apache-2.0
// .proto texts to descriptors by libprotobuf (protobuf_text.h). A text is bounded before it is parsed: its
// size by schema_parse, the brackets open at once here, and before it is linked what linking it costs: the
// length of all full names, which a small text can make long by nesting, and lists that libprotobuf compares
// pair by pair.
#include "protobuf/builtin.h"
#include "protobuf/error.h"
#include "protobuf/meta.h"

#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/descriptor_database.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/strutil.h>

#include <algorithm>
#include <set>

namespace pb = google::protobuf;

namespace
{

const char *const MAIN = "default"; // the name of a schema's own file, as Confluent's

// ---- what linking costs ----

class Weight
{
  public:
    // Adds a file. Why all of them are too dear, or nullptr. binary: nobody has looked at the values of its
    // options yet.
    const char *of(const pb::FileDescriptorProto &file, bool binary)
    {
        unseen = binary;
        size_t scope = file.package().size();
        for (const auto &one : file.message_type())
            message(one, scope + 1 + one.name().size(), 1);
        for (const auto &one : file.enum_type())
            enumeration(one, scope);
        for (const auto &one : file.extension())
            field(one, scope, 1);
        for (const auto &one : file.service())
            service(one, scope);
        options(file.options());
        return names > PROTOBUF_NAMES_MAX ? "the names are too long together" : why;
    }

  private:
    size_t names = 0;
    bool unseen = false;
    const char *why = nullptr;

    template <class T> void options(const T &options)
    {
        if (options.uninterpreted_option_size() > PROTOBUF_OPTIONS_MAX)
            why = "an element has too many options";
        for (const auto &option : options.uninterpreted_option())
            if (unseen && opened(option.aggregate_value()) > SCHEMA_DEPTH_MAX)
                why = "the value of an option has too many brackets";
    }

    // Brackets, those in its strings too: linking calls itself for each that is open.
    static long opened(const std::string &value)
    {
        return std::count_if(value.begin(), value.end(),
                             [](char c) { return c == '{' || c == '[' || c == '<'; });
    }

    void service(const pb::ServiceDescriptorProto &one, size_t scope)
    {
        options(one.options());
        for (const auto &method : one.method()) {
            names += scope + one.name().size() + method.name().size();
            options(method.options());
        }
    }

    void ranges(int count)
    {
        if (count > PROTOBUF_RANGES_MAX)
            why = "a type has too many reserved or extension ranges";
    }

    // A type that is named is looked for in each scope around the field.
    void field(const pb::FieldDescriptorProto &field, size_t scope, size_t depth)
    {
        names += scope + field.name().size();
        if (!field.type_name().empty())
            names += depth * (scope + field.type_name().size());
        options(field.options());
    }

    void enumeration(const pb::EnumDescriptorProto &one, size_t scope)
    {
        ranges(one.reserved_range_size() + one.reserved_name_size());
        options(one.options());
        for (const auto &value : one.value()) {
            names += scope + value.name().size();
            options(value.options());
        }
    }

    void message(const pb::DescriptorProto &one, size_t scope, size_t depth)
    {
        if (depth > PROTOBUF_NEST_MAX)
            why = "messages are declared too deep inside of each other";
        if (names > PROTOBUF_NAMES_MAX || why != nullptr)
            return;
        ranges(one.reserved_range_size() + one.reserved_name_size() + one.extension_range_size());
        options(one.options());
        for (const auto &inner : one.field())
            field(inner, scope, depth);
        for (const auto &inner : one.extension())
            field(inner, scope, depth);
        for (const auto &inner : one.extension_range())
            options(inner.options());
        for (const auto &inner : one.oneof_decl()) {
            names += scope + inner.name().size();
            options(inner.options());
        }
        for (const auto &inner : one.enum_type())
            enumeration(inner, scope);
        for (const auto &inner : one.nested_type())
            message(inner, scope + 1 + inner.name().size(), depth + 1);
    }
};

// ---- errors ----

// Keeps the first error, with its place.
class Errors : public pb::DescriptorPool::ErrorCollector, public pb::io::ErrorCollector
{
  public:
    explicit Errors(struct schema_error *error) : error(error)
    {
    }
    pb::compiler::SourceLocationTable places;
    std::string parsing; // name of the file that is being parsed

    void AddError(int line, int column, const std::string &message) override
    {
        place(parsing, line, column, message);
    }

    void AddError(const std::string &file, const std::string &element, const pb::Message *descriptor,
                  ErrorLocation location, const std::string &message) override
    {
        int line = -1, column = 0;
        if (location == IMPORT)
            places.FindImport(descriptor, element, &line, &column);
        else
            places.Find(descriptor, location, &line, &column);
        place(file, line, column, message);
    }

    void place(const std::string &file, int line, int column, const std::string &message)
    {
        std::string where = file == MAIN ? "" : file + ":";
        if (line >= 0)
            where += std::to_string(line + 1) + ":" + std::to_string(column + 1) + ":";
        fail(ST_MALFORMED, where + (where.empty() ? "" : " ") + message);
    }

    void fail(enum status status, const std::string &text)
    {
        schema_fail(error, status, "%s", text.c_str());
    }

    bool none() const
    {
        return error->code == ST_OK;
    }

  private:
    struct schema_error *error;
};

// ---- what parsing costs ----

// A text up to its first error. What the parser does to get over an error calls itself for each brace behind
// it, whether they match or not; and so it meets the end of the text instead.
class Input : public pb::io::ZeroCopyInputStream
{
  public:
    Input(const std::string &text, const Errors *errors)
        : stream(text.data(), static_cast<int>(text.size()), BLOCK), errors(errors)
    {
    }

    bool Next(const void **data, int *size) override
    {
        return errors->none() && stream.Next(data, size);
    }

    void BackUp(int count) override
    {
        stream.BackUp(count);
    }

    bool Skip(int count) override
    {
        return stream.Skip(count);
    }

    int64_t ByteCount() const override
    {
        return stream.ByteCount();
    }

  private:
    enum { BLOCK = 1024 }; // bytes; what is still read after an error
    pb::io::ArrayInputStream stream;
    const Errors *errors;
};

// Whether more brackets are open at once than may be, counted over the tokens that the parser is going to
// see, up to the first error. A bracket that does not match closes nothing.
bool deep(const std::string &text, Errors *errors)
{
    static const std::string opening = "{[<(", closing = "}]>)";
    Input input(text, errors);
    pb::io::Tokenizer tokenizer(&input, errors);
    std::string open; // what closes them
    while (open.size() <= SCHEMA_DEPTH_MAX && errors->none() && tokenizer.Next()) {
        const auto &token = tokenizer.current();
        size_t which =
            token.type == pb::io::Tokenizer::TYPE_SYMBOL ? opening.find(token.text[0]) : std::string::npos;
        if (which != std::string::npos)
            open.push_back(closing[which]);
        else if (!open.empty() && token.text[0] == open.back())
            open.pop_back();
    }
    return open.size() > SCHEMA_DEPTH_MAX;
}

// ---- files by name ----

class Files : public pb::DescriptorDatabase
{
  public:
    // reveal: options of confluent/meta.proto are found whatever is imported and whatever the package is.
    Files(const struct schema_source *source, Errors *errors, bool reveal)
        : source(source), errors(errors), reveal(reveal)
    {
    }
    pb::FileDescriptorProto written; // the schema's own file
    bool binary = false;             // it came as a descriptor
    bool meta = false;               // a file has such options

    bool FindFileByName(const std::string &name, pb::FileDescriptorProto *out) override
    {
        std::string text;
        if (name != MAIN && known(name, out))
            return true;
        if (!find(name, &text) || !read(name, text, out))
            return false;
        out->set_name(name);
        if (name == MAIN)
            written = *out;
        meta = protobuf_has_meta(out, reveal) || meta;
        return true;
    }
    bool FindFileContainingSymbol(const std::string &, pb::FileDescriptorProto *) override
    {
        return false;
    }
    bool FindFileContainingExtension(const std::string &, int, pb::FileDescriptorProto *) override
    {
        return false;
    }

  private:
    const struct schema_source *source;
    Errors *errors;
    const bool reveal;
    Weight weight; // of all files that were read

    // The tokenizer's errors do not end the parser, and are looked for before.
    bool parse(const std::string &name, const std::string &text, pb::FileDescriptorProto *out)
    {
        errors->parsing = name;
        if (deep(text, errors))
            errors->fail(ST_LIMIT,
                         "more than " + std::to_string(SCHEMA_DEPTH_MAX) + " brackets are open at once");
        if (!errors->none())
            return false;
        Input input(text, errors);
        pb::io::Tokenizer tokenizer(&input, errors);
        pb::compiler::Parser parser;
        parser.RecordErrorsTo(errors);
        parser.RecordSourceLocationsTo(&errors->places);
        return parser.Parse(&tokenizer, out);
    }

    static bool known(const std::string &name, pb::FileDescriptorProto *out)
    {
        if (name.compare(0, 16, "google/protobuf/") != 0)
            return false;
        const auto *file = pb::DescriptorPool::generated_pool()->FindFileByName(name);
        if (file != nullptr)
            file->CopyTo(out);
        return file != nullptr;
    }

    bool find(const std::string &name, std::string *text)
    {
        struct slice found = name == MAIN ? source->text : slice_str(protobuf_builtin(name.c_str()));
        bool there = name == MAIN || found.data != nullptr;
        for (size_t i = source->n_refs; i > 0 && name != MAIN; i--)
            if (slice_equal(source->refs[i - 1].name, slice_of(name.data(), name.size()))) {
                found = source->refs[i - 1].text;
                there = true;
            }
        text->assign(reinterpret_cast<const char *>(found.data), found.len);
        return there;
    }

    // As a text, or else as the base64 of a descriptor.
    bool read(const std::string &name, const std::string &text, pb::FileDescriptorProto *out)
    {
        std::string bytes;
        bool is_binary = text.find('{') == std::string::npos && pb::Base64Unescape(text, &bytes) &&
                         !bytes.empty() && out->ParseFromString(bytes);
        binary = binary || (is_binary && name == MAIN);
        if (!is_binary)
            out->Clear();
        if (!is_binary && !parse(name, text, out))
            return false;
        out->clear_weak_dependency(); // they need not be there otherwise, and are not printed as weak
        const char *dear = weight.of(*out, is_binary);
        if (dear != nullptr)
            errors->fail(ST_LIMIT, dear);
        return dear == nullptr;
    }
};

// Dependencies first.
void add_file(const pb::FileDescriptor *file, std::set<const pb::FileDescriptor *> *added,
              pb::FileDescriptorSet *set)
{
    if (!added->insert(file).second)
        return;
    for (int i = 0; i < file->dependency_count(); i++)
        add_file(file->dependency(i), added, set);
    file->CopyTo(set->add_file());
}

enum status append(const pb::Message &message, struct buf *out)
{
    std::string bytes;
    if (!message.SerializeToString(&bytes))
        return ST_LIMIT;
    return buf_append(out, bytes.data(), bytes.size());
}

struct Output {
    struct buf *set, *written;
};

// As protoc does, and once more as Confluent's registry does (meta.h) when that fails.
enum status compile(const struct schema_source *source, struct schema_error *error, const Output &out,
                    bool reveal = false)
{
    pb::LogSilencer silence;
    Errors errors(error);
    Files files(source, &errors, reveal);
    pb::DescriptorPool pool(&files, &errors);
    const pb::FileDescriptor *file = pool.FindFileByName(MAIN);
    if (file == nullptr) {
        struct schema_error ignored = {};
        errors.fail(ST_MALFORMED, "the schema cannot be linked");
        if (reveal || !files.meta || error->code != ST_MALFORMED ||
            compile(source, &ignored, out, true) != ST_OK)
            return error->code;
        *error = {};
        return ST_OK;
    }
    if (files.binary) { // from its text, so that what is written and what is linked are in one order
        std::string text = file->DebugString();
        struct schema_source again = *source;
        again.text = slice_of(text.data(), text.size());
        return compile(&again, error, out);
    }
    std::set<const pb::FileDescriptor *> added;
    pb::FileDescriptorSet all;
    add_file(file, &added, &all);
    enum status status = append(all, out.set);
    if (status == ST_OK)
        status = append(files.written, out.written);
    return status == ST_OK ? status : schema_fail(error, status, "the schema needs too much memory");
}

} // namespace

extern "C" enum status protobuf_compile(const struct schema_source *source, struct schema_error *error,
                                        struct buf *set, struct buf *written)
{
    return protobuf_guard(error, [&] { return compile(source, error, {set, written}); });
}

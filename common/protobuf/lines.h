// SPDX-License-Identifier: Apache-2.0
// A text in blocks, written from its beginning to its end: each line is two blanks further in for each block
// around it, and what would pass the limit throws std::length_error.
#ifndef PROTOBUF_LINES_H
#define PROTOBUF_LINES_H

#include <stdexcept>
#include <string>

class Lines
{
  public:
    // max: bytes. values: of them, those of all values of options together.
    Lines(size_t max, size_t values) : values(values), max(max)
    {
    }
    std::string out;
    size_t values; // left

    // Of blocks around the next line.
    size_t depth() const
    {
        return level;
    }

    // The next line, when one comes before the block ends, follows an empty one, or else the block's head.
    void section()
    {
        gap = true;
    }

    void line(const std::string &text)
    {
        begin();
        add(text + "\n");
    }

    // "HEAD {", and what follows until close is inside.
    void open(const std::string &head)
    {
        begin();
        add(head + " {");
        level++;
        empty = true;
        gap = false;
    }

    // tail: behind the brace.
    void close(const char *tail = "")
    {
        level--;
        if (!empty)
            indent(level);
        add(std::string("}") + tail + "\n");
        empty = gap = false;
    }

  private:
    size_t max, level = 0;
    bool empty = false; // nothing behind the last "{"
    bool gap = false;

    void add(const std::string &text)
    {
        if (text.size() > max - out.size())
            throw std::length_error("the text is too long");
        out += text;
    }

    void indent(size_t levels)
    {
        add(std::string(2 * levels, ' '));
    }

    // An empty line is as far in as the block that it is in: Confluent's way.
    void begin()
    {
        if (gap && !empty && level > 0)
            indent(level - 1);
        if (gap || empty)
            add("\n");
        indent(level);
        empty = gap = false;
    }
};

#endif

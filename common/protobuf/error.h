// SPDX-License-Identifier: Apache-2.0
// What every function of this folder does: no exception leaves it.
#ifndef PROTOBUF_ERROR_H
#define PROTOBUF_ERROR_H

extern "C" {
#include "base/buf.h"
}
#include "schema/protobuf_text.h"

#include <exception>
#include <new>
#include <stdexcept>

// error may be nullptr.
template <class Function> enum status protobuf_guard(struct schema_error *error, Function function)
{
    struct schema_error ignored = {};
    error = error != nullptr ? error : &ignored;
    try {
        return function();
    } catch (const std::bad_alloc &) {
        return schema_fail(error, ST_NO_MEMORY, "out of memory");
    } catch (const std::length_error &failed) {
        return schema_fail(error, ST_LIMIT, "%s", failed.what());
    } catch (const std::exception &failed) {
        return schema_fail(error, ST_MALFORMED, "%s", failed.what());
    }
}

#endif

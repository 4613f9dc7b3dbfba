// SPDX-License-Identifier: Apache-2.0
// The four codecs of record batches: gzip, snappy (raw, and the xerial framing the Java client writes), lz4
// frames and zstd. Decompression streams into a bounded buffer: input is hostile, so the output grows only as
// it is produced and stops at a maximum size and at a maximum ratio to the input. No state; any thread may
// call.
#ifndef KAFKA_COMPRESS_H
#define KAFKA_COMPRESS_H

#include "base/buf.h"

enum compression {
    COMPRESSION_NONE = 0,
    COMPRESSION_GZIP = 1,
    COMPRESSION_SNAPPY = 2,
    COMPRESSION_LZ4 = 3,
    COMPRESSION_ZSTD = 4,
    COMPRESSION_COUNT = 5
};

// How much may come out of a compressed input. Output up to free_bytes is never judged by its ratio: small
// batches of very regular records are honest.
struct compress_limits {
    size_t bytes_max;  // largest output in bytes
    size_t free_bytes; // output up to this size may have any ratio
    int ratio_max;     // output may be this many times the input, beyond free_bytes
};

extern const struct compress_limits compress_limits_default; // 64 MiB, 4 MiB, 512

// Appends the decompressed input to out. ST_OK; ST_MALFORMED for bytes that are not of that codec, end too
// early or go on behind the end; ST_LIMIT beyond the limits or out's own maximum; ST_UNSUPPORTED for an
// unknown codec; ST_NO_MEMORY. On failure out has its former length.
enum status compress_unpack(enum compression compression, struct slice input,
                            const struct compress_limits *limits, struct buf *out);

// The levels of Kafka's compression.*.level: gzip -1 (default) to 9, lz4 1 to 17 (9, its default, is the fast
// compressor), zstd -131072 to 22; snappy has none.
int compress_level_default(enum compression compression);

// Room compress_pack asks out for before it packs so many bytes.
size_t compress_pack_bound(enum compression compression, size_t len);

// Appends the compressed input to out at a level, which must be in the codec's range; snappy in xerial
// framing, lz4 with independent blocks of 64 KiB (what Kafka's Java reader takes). ST_LIMIT when out's
// maximum is reached.
enum status compress_pack_at(enum compression compression, int level, struct slice input, struct buf *out);
// ... at its default level.
enum status compress_pack(enum compression compression, struct slice input, struct buf *out);

// "none" | "gzip" | "snappy" | "lz4" | "zstd"; false when it is none of them. Never NULL for a known codec.
bool compression_parse(const char *name, enum compression *compression);
const char *compression_name(enum compression compression);

#endif

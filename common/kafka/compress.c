// SPDX-License-Identifier: Apache-2.0
// Compression of record batches over zlib, snappy, lz4 and zstd. See compress.h. Every decoder below writes
// into a sink: a window of the caller's buffer that is moved forward in steps of at most 64 KiB and that
// knows how much may come out, so that a small hostile input can neither reserve nor produce more than the
// limits say. Snappy is not a streaming format but declares its size first; that claim is checked before
// anything is allocated (its chunk lengths are the subject of CVE-2023-34455 and CVE-2023-43642).
#include "kafka/compress.h"

#include "base/bytes.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

const struct compress_limits compress_limits_default = {
    .bytes_max = 64u << 20, .free_bytes = 4u << 20, .ratio_max = 512};

static const char *const names[COMPRESSION_COUNT] = {"none", "gzip", "snappy", "lz4", "zstd"};

enum {
    STEP = 64 << 10,      // output produced at a time
    ZSTD_WINDOW_LOG = 27, // largest window a producer can make without asking for more
    XERIAL_HEADER_SIZE = 16,
    XERIAL_CHUNK = 32 << 10 // uncompressed bytes per chunk, as snappy-java's default
};

static const uint8_t xerial_magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};

struct sink {
    struct buf *out;
    size_t base; // length of out before
    size_t max;  // output bytes allowed
};

static size_t sink_max(const struct compress_limits *limits, size_t input)
{
    size_t by_ratio =
        input > SIZE_MAX / (size_t)limits->ratio_max ? SIZE_MAX : input * (size_t)limits->ratio_max;
    if (by_ratio < limits->free_bytes)
        by_ratio = limits->free_bytes;
    return by_ratio < limits->bytes_max ? by_ratio : limits->bytes_max;
}

// Room for the next step: at least one byte, or ST_LIMIT. *room is how much may be written at buf->data +
// len.
static enum status sink_room(struct sink *sink, size_t *room)
{
    size_t left = sink->max - (sink->out->len - sink->base);
    size_t want = left < STEP ? left : STEP;
    if (want > sink->out->max - sink->out->len)
        want = sink->out->max - sink->out->len;
    if (want == 0)
        return ST_LIMIT;
    *room = want;
    return buf_reserve(sink->out, want);
}

static enum status unpack_none(struct slice input, struct sink *sink)
{
    return input.len > sink->max ? ST_LIMIT : buf_append(sink->out, input.data, input.len);
}

// One step of inflate; *ended when the whole input has been used up at the end of a gzip member.
static enum status inflate_step(z_stream *z, struct sink *sink, bool *ended)
{
    size_t room;
    enum status status = sink_room(sink, &room);
    // A full sink is an error only when more comes: one byte aside tells.
    uint8_t spare;
    bool full = status == ST_LIMIT;
    if (status != ST_OK && !full)
        return status;
    z->next_out = full ? &spare : sink->out->data + sink->out->len;
    z->avail_out = full ? 1 : (uInt)room;
    int result = inflate(z, Z_NO_FLUSH);
    if (full && z->avail_out == 0)
        return ST_LIMIT;
    if (!full)
        sink->out->len += room - z->avail_out;
    if (result == Z_MEM_ERROR)
        return ST_NO_MEMORY;
    if (result == Z_STREAM_END) {
        *ended = z->avail_in == 0;
        return !*ended && inflateReset(z) != Z_OK ? ST_MALFORMED : ST_OK;
    }
    return result == Z_OK ? ST_OK : ST_MALFORMED; // Z_BUF_ERROR: the input ends too early
}

static enum status unpack_gzip(struct slice input, struct sink *sink)
{
    if (input.len > UINT32_MAX)
        return ST_LIMIT;
    z_stream z = {.next_in = (Bytef *)(uintptr_t)input.data, .avail_in = (uInt)input.len};
    if (inflateInit2(&z, 15 + 16) != Z_OK)
        return ST_NO_MEMORY;
    enum status status = ST_OK;
    bool ended = false;
    while (status == ST_OK && !ended)
        status = inflate_step(&z, sink, &ended);
    inflateEnd(&z);
    return status;
}

static enum status unpack_snappy_chunk(struct slice chunk, struct sink *sink)
{
    size_t len;
    if (snappy_uncompressed_length((const char *)chunk.data, chunk.len, &len) != SNAPPY_OK)
        return ST_MALFORMED;
    if (len > sink->max - (sink->out->len - sink->base) || len > sink->out->max - sink->out->len)
        return ST_LIMIT;
    // A copy element of 2 bytes makes at most 64: a larger claim is a lie, found before memory is taken for
    // it.
    if (len / 64 > chunk.len)
        return ST_MALFORMED;
    enum status status = buf_reserve(sink->out, len);
    if (status != ST_OK)
        return status;
    char nothing;
    char *to = len > 0 ? (char *)sink->out->data + sink->out->len : &nothing;
    if (snappy_uncompress((const char *)chunk.data, chunk.len, to, &len) != SNAPPY_OK)
        return ST_MALFORMED;
    sink->out->len += len;
    return ST_OK;
}

static enum status unpack_snappy(struct slice input, struct sink *sink)
{
    if (input.len < XERIAL_HEADER_SIZE || memcmp(input.data, xerial_magic, sizeof xerial_magic) != 0)
        return unpack_snappy_chunk(input, sink);
    size_t at = XERIAL_HEADER_SIZE; // magic, version, lowest compatible version
    while (at < input.len) {
        if (input.len - at < 4)
            return ST_MALFORMED;
        size_t len = load_be32(input.data + at);
        at += 4;
        if (len > input.len - at)
            return ST_MALFORMED;
        enum status status = unpack_snappy_chunk(slice_of(input.data + at, len), sink);
        if (status != ST_OK)
            return status;
        at += len;
    }
    return ST_OK;
}

// Decodes on, from *at; *ended when a frame and the input end together.
static enum status lz4_step(LZ4F_dctx *context, struct slice input, size_t *at, struct sink *sink,
                            bool *ended)
{
    size_t room = 0;
    uint8_t spare;
    enum status status = sink_room(sink, &room);
    bool full = status == ST_LIMIT;
    if (status != ST_OK && !full)
        return status;
    size_t produced = full ? 1 : room, used = input.len - *at;
    void *to = full ? &spare : sink->out->data + sink->out->len;
    size_t hint = LZ4F_decompress(context, to, &produced, input.data + *at, &used, NULL);
    if (LZ4F_isError(hint))
        return ST_MALFORMED;
    if (full && produced > 0)
        return ST_LIMIT;
    sink->out->len += produced;
    *at += used;
    *ended = hint == 0 && *at == input.len;
    return !*ended && produced == 0 && used == 0 ? ST_MALFORMED : ST_OK; // no progress: ends too early
}

static enum status unpack_lz4(struct slice input, struct sink *sink)
{
    LZ4F_dctx *context;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
        return ST_NO_MEMORY;
    enum status status = ST_OK;
    bool ended = false;
    size_t at = 0;
    while (status == ST_OK && !ended)
        status = lz4_step(context, input, &at, sink, &ended);
    LZ4F_freeDecompressionContext(context);
    return status;
}

static enum status zstd_step(ZSTD_DStream *stream, ZSTD_inBuffer *in, struct sink *sink, bool *ended)
{
    size_t room = 0, before = in->pos;
    uint8_t spare;
    enum status status = sink_room(sink, &room);
    bool full = status == ST_LIMIT;
    if (status != ST_OK && !full)
        return status;
    ZSTD_outBuffer to = {.dst = full ? (void *)&spare : sink->out->data + sink->out->len,
                         .size = full ? 1 : room};
    size_t hint = ZSTD_decompressStream(stream, &to, in);
    if (ZSTD_isError(hint))
        return ST_MALFORMED;
    if (full && to.pos > 0)
        return ST_LIMIT;
    sink->out->len += to.pos;
    *ended = hint == 0 && in->pos == in->size;
    return !*ended && to.pos == 0 && in->pos == before ? ST_MALFORMED : ST_OK;
}

static enum status unpack_zstd(struct slice input, struct sink *sink)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    if (stream == NULL)
        return ST_NO_MEMORY;
    ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
    ZSTD_inBuffer in = {.src = input.data, .size = input.len};
    enum status status = ST_OK;
    bool ended = false;
    while (status == ST_OK && !ended)
        status = zstd_step(stream, &in, sink, &ended);
    ZSTD_freeDStream(stream);
    return status;
}

enum status compress_unpack(enum compression compression, struct slice input,
                            const struct compress_limits *limits, struct buf *out)
{
    static enum status (*const unpack[COMPRESSION_COUNT])(struct slice, struct sink *) = {
        unpack_none, unpack_gzip, unpack_snappy, unpack_lz4, unpack_zstd};
    if ((unsigned)compression >= COMPRESSION_COUNT)
        return ST_UNSUPPORTED;
    struct sink sink = {.out = out, .base = out->len, .max = sink_max(limits, input.len)};
    enum status status = buf_status(out);
    if (status == ST_OK)
        status = unpack[compression](input, &sink);
    if (status != ST_OK)
        out->len = sink.base;
    return status;
}

// ---- packing ----

static const LZ4F_preferences_t lz4_preferences = {
    .frameInfo = {.blockSizeID = LZ4F_max64KB,
                  .blockMode = LZ4F_blockIndependent}}; // Java refuses linked ones

int compress_level_default(enum compression compression)
{
    static const int levels[COMPRESSION_COUNT] = {
        [COMPRESSION_GZIP] = Z_DEFAULT_COMPRESSION, [COMPRESSION_LZ4] = 9, [COMPRESSION_ZSTD] = 3};
    return (unsigned)compression < COMPRESSION_COUNT ? levels[compression] : 0;
}

static size_t snappy_bound(size_t len)
{
    return XERIAL_HEADER_SIZE + (len / XERIAL_CHUNK + 1) * (4 + snappy_max_compressed_length(XERIAL_CHUNK));
}

size_t compress_pack_bound(enum compression compression, size_t len)
{
    switch (compression) {
    case COMPRESSION_GZIP:
        return compressBound((uLong)len) + 64; // gzip's header and trailer are longer than zlib's
    case COMPRESSION_SNAPPY:
        return snappy_bound(len);
    case COMPRESSION_LZ4:
        return LZ4F_compressFrameBound(len, &lz4_preferences);
    case COMPRESSION_ZSTD:
        return ZSTD_compressBound(len);
    default:
        return len;
    }
}

static enum status pack_gzip(int level, struct slice input, struct buf *out)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)input.data, .avail_in = (uInt)input.len};
    if (deflateInit2(&z, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return ST_NO_MEMORY;
    size_t bound = compress_pack_bound(COMPRESSION_GZIP, input.len);
    enum status status = buf_reserve(out, bound);
    if (status == ST_OK) {
        z.next_out = out->data + out->len;
        z.avail_out = (uInt)bound;
        status = deflate(&z, Z_FINISH) == Z_STREAM_END ? ST_OK : ST_INVALID;
        out->len += z.total_out;
    }
    deflateEnd(&z);
    return status;
}

static enum status pack_snappy(int level, struct slice input, struct buf *out)
{
    buf_append(out, xerial_magic, sizeof xerial_magic);
    buf_put_be32(out, 1); // version
    buf_put_be32(out, 1); // lowest compatible version
    for (size_t at = 0; at < input.len; at += XERIAL_CHUNK) {
        size_t len = input.len - at < XERIAL_CHUNK ? input.len - at : XERIAL_CHUNK;
        size_t packed = snappy_max_compressed_length(len);
        enum status status = buf_reserve(out, packed + 4);
        if (status != ST_OK)
            return status;
        uint8_t *to = out->data + out->len;
        if (snappy_compress((const char *)input.data + at, len, (char *)to + 4, &packed) != SNAPPY_OK)
            return ST_INVALID;
        store_be32(to, (uint32_t)packed);
        out->len += packed + 4;
    }
    return buf_status(out);
}

// Kafka packs with the fast compressor at its default level and with the thorough one at any other, where
// liblz4 has the thorough one from LZ4_HC_FROM on.
static int lz4_level(int level)
{
    enum { LZ4_HC_FROM = 3 };
    if (level == compress_level_default(COMPRESSION_LZ4))
        return 0;
    return level < LZ4_HC_FROM ? LZ4_HC_FROM : level;
}

static enum status pack_lz4(int level, struct slice input, struct buf *out)
{
    LZ4F_preferences_t preferences = lz4_preferences;
    preferences.compressionLevel = lz4_level(level);
    size_t bound = compress_pack_bound(COMPRESSION_LZ4, input.len);
    enum status status = buf_reserve(out, bound);
    if (status != ST_OK)
        return status;
    size_t len = LZ4F_compressFrame(out->data + out->len, bound, input.data, input.len, &preferences);
    if (LZ4F_isError(len))
        return ST_INVALID;
    out->len += len;
    return ST_OK;
}

static enum status pack_zstd(int level, struct slice input, struct buf *out)
{
    size_t bound = ZSTD_compressBound(input.len);
    enum status status = buf_reserve(out, bound);
    if (status != ST_OK)
        return status;
    size_t len = ZSTD_compress(out->data + out->len, bound, input.data, input.len, level);
    if (ZSTD_isError(len))
        return ZSTD_getErrorCode(len) == ZSTD_error_memory_allocation ? ST_NO_MEMORY : ST_INVALID;
    out->len += len;
    return ST_OK;
}

static enum status pack_none(int level, struct slice input, struct buf *out)
{
    return buf_append(out, input.data, input.len);
}

enum status compress_pack_at(enum compression compression, int level, struct slice input, struct buf *out)
{
    static enum status (*const pack[COMPRESSION_COUNT])(int, struct slice, struct buf *) = {
        pack_none, pack_gzip, pack_snappy, pack_lz4, pack_zstd};
    if ((unsigned)compression >= COMPRESSION_COUNT)
        return ST_UNSUPPORTED;
    if (input.len > INT32_MAX)
        return ST_LIMIT;
    size_t before = out->len;
    enum status status = pack[compression](level, input, out);
    if (status != ST_OK)
        out->len = before;
    return status;
}

enum status compress_pack(enum compression compression, struct slice input, struct buf *out)
{
    return compress_pack_at(compression, compress_level_default(compression), input, out);
}

bool compression_parse(const char *name, enum compression *compression)
{
    for (int i = 0; i < COMPRESSION_COUNT; i++) {
        if (strcmp(name, names[i]) == 0) {
            *compression = (enum compression)i;
            return true;
        }
    }
    return false;
}

const char *compression_name(enum compression compression)
{
    return (unsigned)compression < COMPRESSION_COUNT ? names[compression] : "unknown";
}

// SPDX-License-Identifier: Apache-2.0
// Decisions of several log entries (KIP-868). Between the marks records are kept as bytes; the end applies
// them as if they stood in one record. So whoever reads a log that ends in the middle, or a snapshot taken
// there, has the image from before the decision.
#include "cluster/image_state.h"

#include "cluster/records.h"

enum {
    DECISION_BYTES_MAX = 256 << 20, // above what a leader puts into one (metadata.c in the controller)
    RECORD_ARENA_MAX = 4 << 20
};

bool image_decision_open(const struct image *image)
{
    return image->decision_open;
}

void image_decision_forget(struct image *image)
{
    buf_fini(&image->decision);
    image->decision_done = 0;
    image->decision_open = false;
}

enum status image_decision_keep(struct image *image, const Millrace__MetadataRecord *record,
                                struct slice bytes)
{
    enum status status =
        bytes.len > 0 ? records_put_packed(&image->decision, bytes) : records_put(&image->decision, record);
    return status == ST_OK ? ST_OK : image_refuse(image, status, "a decision is too large");
}

static enum status apply_next(struct image *image, struct arena *arena, struct slice *rest, int64_t offset)
{
    struct slice bytes;
    Millrace__MetadataRecord *record;
    enum status status = records_next(rest, &bytes);
    if (status == ST_OK)
        status = records_unpack(arena, bytes, &record);
    if (status == ST_OK)
        status = image_apply_body(image, record, offset);
    arena_reset(arena);
    return status;
}

static enum status apply_kept(struct image *image, int64_t offset, size_t max)
{
    struct arena arena;
    enum status status = ST_OK;
    arena_init(&arena, RECORD_ARENA_MAX);
    while (status == ST_OK && max-- > 0 && image->decision_done < image->decision.len) {
        struct slice all = buf_slice(&image->decision);
        struct slice rest = slice_of(all.data + image->decision_done, all.len - image->decision_done);
        status = apply_next(image, &arena, &rest, offset);
        image->decision_done = all.len - rest.len;
    }
    arena_fini(&arena);
    if (status == ST_OK && image->decision_done < image->decision.len)
        return ST_AGAIN;
    image_decision_forget(image);
    return status;
}

enum status image_decision_mark(struct image *image, const Millrace__DecisionRecord *record, int64_t offset,
                                size_t max)
{
    bool begins = record->mark == MILLRACE__DECISION_RECORD__MARK__BEGIN;
    if (begins == image->decision_open)
        return image_refuse(image, ST_INVALID, "a decision %s",
                            begins ? "begins inside another one" : "ends that has not begun");
    switch (record->mark) {
    case MILLRACE__DECISION_RECORD__MARK__BEGIN:
        image->decision_open = true;
        buf_init(&image->decision, DECISION_BYTES_MAX);
        return ST_OK;
    case MILLRACE__DECISION_RECORD__MARK__END:
        return apply_kept(image, offset, max);
    case MILLRACE__DECISION_RECORD__MARK__DROP:
        image_decision_forget(image);
        return ST_OK;
    default:
        return image_refuse(image, ST_UNSUPPORTED, "unknown mark %d of a decision", (int)record->mark);
    }
}

enum status image_decision_encode(const struct image *image, struct buf *out)
{
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    Millrace__DecisionRecord body = MILLRACE__DECISION_RECORD__INIT;
    if (!image->decision_open)
        return ST_OK;
    body.mark = MILLRACE__DECISION_RECORD__MARK__BEGIN;
    record.version = IMAGE_RECORD_VERSION;
    record.body_case = MILLRACE__METADATA_RECORD__BODY_DECISION;
    record.decision = &body;
    enum status status = records_put(out, &record);
    struct slice all = buf_slice(&image->decision);
    return status == ST_OK ? buf_append(out, all.data + image->decision_done, all.len - image->decision_done)
                           : status;
}

// SPDX-License-Identifier: Apache-2.0
// Configurations: who votes. Encoded as a version byte, a count and per voter the id (big-endian) and the 16
// bytes of its directory id.
#include "raft/types.h"

#include "base/assert.h"
#include "base/bytes.h"

enum { CONFIG_VERSION = 1, CONFIG_HEAD = 2, CONFIG_VOTER = 20 };

bool raft_voter_equal(struct raft_voter a, struct raft_voter b)
{
    return a.id == b.id && uuid_equal(a.directory, b.directory);
}

int raft_config_find(const struct raft_config *config, struct raft_voter voter)
{
    for (int i = 0; i < config->count; i++)
        if (raft_voter_equal(config->voters[i], voter))
            return i;
    return -1;
}

struct block *raft_config_encode(const struct raft_config *config)
{
    ASSERT(config->count >= 0 && config->count <= RAFT_VOTERS_MAX);
    uint8_t bytes[CONFIG_HEAD + RAFT_VOTERS_MAX * CONFIG_VOTER];
    bytes[0] = CONFIG_VERSION;
    bytes[1] = (uint8_t)config->count;
    uint8_t *at = bytes + CONFIG_HEAD;
    for (int i = 0; i < config->count; i++, at += CONFIG_VOTER) {
        store_be32(at, (uint32_t)config->voters[i].id);
        memcpy(at + 4, config->voters[i].directory.bytes, 16);
    }
    struct block *block = block_copy(slice_of(bytes, (size_t)(at - bytes)));
    ASSERT(block != NULL);
    return block;
}

enum status raft_config_decode(struct slice bytes, struct raft_config *config)
{
    if (bytes.len < CONFIG_HEAD || bytes.data[0] != CONFIG_VERSION)
        return ST_MALFORMED;
    int count = bytes.data[1];
    if (count > RAFT_VOTERS_MAX || bytes.len != (size_t)(CONFIG_HEAD + count * CONFIG_VOTER))
        return ST_MALFORMED;
    *config = (struct raft_config){.count = count};
    const uint8_t *at = bytes.data + CONFIG_HEAD;
    for (int i = 0; i < count; i++, at += CONFIG_VOTER) {
        config->voters[i].id = (int32_t)load_be32(at);
        memcpy(config->voters[i].directory.bytes, at + 4, 16);
        if (config->voters[i].id < 0 || (i > 0 && config->voters[i].id <= config->voters[i - 1].id))
            return ST_MALFORMED;
    }
    return ST_OK;
}

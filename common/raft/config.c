// SPDX-License-Identifier: Apache-2.0
// Configurations: who votes. Encoded as a version byte, a count and per voter the id (big-endian) and the 16
// bytes of its directory id. Version 2 has behind each voter the length (2 bytes) and the bytes of its
// address; it is written only when one of them has an address, so that what needs no new version can be read
// by old ones.
#include "raft/types.h"

#include "base/assert.h"
#include "base/bytes.h"

#include <string.h>

enum {
    VERSION_VOTERS = 1,
    VERSION_ENDPOINTS = 2,
    CONFIG_HEAD = 2,
    CONFIG_VOTER = 20,
    CONFIG_LENGTH = 2,
    CONFIG_MAX = CONFIG_HEAD + RAFT_VOTERS_MAX * (CONFIG_VOTER + CONFIG_LENGTH + RAFT_ENDPOINT_SIZE)
};

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

int raft_config_find_id(const struct raft_config *config, int32_t id)
{
    for (int i = 0; i < config->count; i++)
        if (config->voters[i].id == id)
            return i;
    return -1;
}

bool raft_config_addressed(const struct raft_config *config)
{
    for (int i = 0; i < config->count; i++)
        if (config->endpoints[i][0] == 0)
            return false;
    return config->count > 0;
}

void raft_config_insert(struct raft_config *config, struct raft_voter voter, const char *endpoint)
{
    ASSERT(config->count < RAFT_VOTERS_MAX && raft_config_find_id(config, voter.id) < 0);
    ASSERT(strlen(endpoint) < RAFT_ENDPOINT_SIZE);
    int at = config->count++;
    for (; at > 0 && config->voters[at - 1].id > voter.id; at--) {
        config->voters[at] = config->voters[at - 1];
        memcpy(config->endpoints[at], config->endpoints[at - 1], RAFT_ENDPOINT_SIZE);
    }
    config->voters[at] = voter;
    memcpy(config->endpoints[at], endpoint, strlen(endpoint) + 1);
}

void raft_config_remove(struct raft_config *config, int at)
{
    ASSERT(at >= 0 && at < config->count);
    config->count--;
    for (int i = at; i < config->count; i++) {
        config->voters[i] = config->voters[i + 1];
        memcpy(config->endpoints[i], config->endpoints[i + 1], RAFT_ENDPOINT_SIZE);
    }
    config->voters[config->count] = (struct raft_voter){0};
    config->endpoints[config->count][0] = 0;
}

static bool has_endpoints(const struct raft_config *config)
{
    for (int i = 0; i < config->count; i++)
        if (config->endpoints[i][0] != 0)
            return true;
    return false;
}

struct block *raft_config_encode(const struct raft_config *config)
{
    ASSERT(config->count >= 0 && config->count <= RAFT_VOTERS_MAX);
    uint8_t bytes[CONFIG_MAX];
    bool endpoints = has_endpoints(config);
    bytes[0] = endpoints ? VERSION_ENDPOINTS : VERSION_VOTERS;
    bytes[1] = (uint8_t)config->count;
    uint8_t *at = bytes + CONFIG_HEAD;
    for (int i = 0; i < config->count; i++) {
        store_be32(at, (uint32_t)config->voters[i].id);
        memcpy(at + 4, config->voters[i].directory.bytes, 16);
        at += CONFIG_VOTER;
        if (!endpoints)
            continue;
        size_t len = strlen(config->endpoints[i]);
        ASSERT(len < RAFT_ENDPOINT_SIZE);
        store_be16(at, (uint16_t)len);
        memcpy(at + CONFIG_LENGTH, config->endpoints[i], len);
        at += CONFIG_LENGTH + len;
    }
    struct block *block = block_copy(slice_of(bytes, (size_t)(at - bytes)));
    ASSERT(block != NULL);
    return block;
}

bool raft_endpoint_valid(struct slice text)
{
    static const char scheme[] = "tcp://";
    if (text.len == 0)
        return true;
    if (text.len >= RAFT_ENDPOINT_SIZE || text.len < sizeof scheme ||
        memcmp(text.data, scheme, sizeof scheme - 1) != 0)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    return true;
}

static bool take(struct slice *bytes, size_t count, const uint8_t **at)
{
    if (bytes->len < count)
        return false;
    *at = bytes->data;
    *bytes = slice_of(bytes->data + count, bytes->len - count);
    return true;
}

static bool decode_endpoint(struct slice *bytes, char endpoint[RAFT_ENDPOINT_SIZE])
{
    const uint8_t *at;
    if (!take(bytes, CONFIG_LENGTH, &at))
        return false;
    size_t len = load_be16(at);
    if (!take(bytes, len, &at) || !raft_endpoint_valid(slice_of(at, len)))
        return false;
    memcpy(endpoint, at, len);
    endpoint[len] = 0;
    return true;
}

static bool decode_voter(struct slice *bytes, bool endpoints, struct raft_config *config)
{
    const uint8_t *at;
    int i = config->count++;
    if (!take(bytes, CONFIG_VOTER, &at))
        return false;
    config->voters[i].id = (int32_t)load_be32(at);
    memcpy(config->voters[i].directory.bytes, at + 4, 16);
    if (config->voters[i].id < 0 || (i > 0 && config->voters[i].id <= config->voters[i - 1].id))
        return false;
    return !endpoints || decode_endpoint(bytes, config->endpoints[i]);
}

enum status raft_config_decode(struct slice bytes, struct raft_config *config)
{
    const uint8_t *head;
    *config = (struct raft_config){0};
    if (!take(&bytes, CONFIG_HEAD, &head) || head[0] < VERSION_VOTERS || head[0] > VERSION_ENDPOINTS ||
        head[1] > RAFT_VOTERS_MAX)
        return ST_MALFORMED;
    for (int i = 0; i < head[1]; i++)
        if (!decode_voter(&bytes, head[0] == VERSION_ENDPOINTS, config))
            return ST_MALFORMED;
    return bytes.len == 0 ? ST_OK : ST_MALFORMED;
}

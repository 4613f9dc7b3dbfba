// SPDX-License-Identifier: Apache-2.0
// Looks at the controllers while they run: whoever has committed the same offset has the same metadata (the
// committed prefix of every voter is equal). See check.h.
#include "check.h"

#include "controller.h"

#include "base/hash.h"
#include "cluster/image.h"

enum { IMAGE_MAX = 64 << 20 };

static void look_at_image(struct check *check, const struct daemon_sim *daemon)
{
    const struct image *image = controller_image(daemon->controller);
    if (image == NULL || image_offset(image) == check->looked[daemon->index])
        return;
    int64_t offset = check->looked[daemon->index] = image_offset(image);
    struct buf bytes;
    buf_init(&bytes, IMAGE_MAX);
    image_encode_snapshot(image, &bytes);
    uintptr_t print = (uintptr_t)(hash_bytes(11, bytes.data, bytes.len) | 1);
    buf_fini(&bytes);
    uintptr_t seen = (uintptr_t)map_get_u64(&check->images, (uint64_t)offset);
    if (seen == 0)
        map_put_u64(&check->images, (uint64_t)offset, (void *)print);
    else if (seen != print)
        history_violation(check->history, "metadata-prefix-equal",
                          "controller %d has other metadata at offset %lld than another had", daemon->node_id,
                          (long long)offset);
}

void check_metadata(struct check *check)
{
    for (int i = 0; i < check->cluster->controller_count; i++) {
        const struct daemon_sim *daemon = &check->cluster->controllers[i];
        if (daemon->process == NULL || daemon->controller == NULL)
            continue;
        look_at_image(check, daemon);
    }
}

// SPDX-License-Identifier: Apache-2.0
// Looks at the controllers' Raft after every event, so that nothing is too short to be seen: one leader per
// term, what one voter has committed is never another entry at any voter (State Machine Safety, §5.4.3 of the
// paper), and a new leader has everything that is committed (Leader Completeness). See check.h.
#include "check.h"

#include "base/hash.h"
#include "state.h"

// Term, kind and bytes of an entry; never 0.
static uintptr_t entry_print(const struct raft_entry *entry)
{
    uint64_t print = hash_u64((uint64_t)entry->kind + 1, (uint64_t)entry->term);
    if (entry->data != NULL)
        print = hash_u64(print, hash_bytes(12, entry->data->data, entry->data->len));
    return (uintptr_t)(print | 1);
}

static void look_at_leader(struct check *check, const struct daemon_sim *daemon, const struct raft *raft)
{
    uint64_t term = (uint64_t)raft_term(raft);
    uintptr_t seen = (uintptr_t)map_get_u64(&check->terms, term);
    int64_t index = check->committed_index;
    world_count(check->history->world, COUNT_controller_elected);
    if (seen == 0)
        map_put_u64(&check->terms, term, (void *)(uintptr_t)(daemon->node_id + 1));
    else if (seen != (uintptr_t)(daemon->node_id + 1))
        history_violation(check->history, "one-controller-per-term", "term %llu has leaders %d and %d",
                          (unsigned long long)term, (int)seen - 1, daemon->node_id);
    if (index < raft_first_index(raft))
        return; // covered by a snapshot
    if (index > raft_last_index(raft) ||
        entry_print(raft_entry(raft, index)) != (uintptr_t)map_get_u64(&check->committed, (uint64_t)index))
        history_violation(check->history, "leader-has-committed",
                          "controller %d leads term %llu without the committed entry %lld", daemon->node_id,
                          (unsigned long long)term, (long long)index);
}

static void look_at_commit(struct check *check, const struct daemon_sim *daemon, const struct raft *raft,
                           int64_t from)
{
    for (int64_t i = from < raft_first_index(raft) ? raft_first_index(raft) : from; i <= raft_commit(raft);
         i++) {
        uintptr_t print = entry_print(raft_entry(raft, i));
        uintptr_t seen = (uintptr_t)map_get_u64(&check->committed, (uint64_t)i);
        if (seen == 0) {
            map_put_u64(&check->committed, (uint64_t)i, (void *)print);
            world_count(check->history->world, COUNT_metadata_committed);
        } else if (seen != print) {
            history_violation(check->history, "committed-entry-stays",
                              "controller %d has committed another entry %lld than was committed before",
                              daemon->node_id, (long long)i);
        }
    }
    if (raft_commit(raft) > check->committed_index)
        check->committed_index = raft_commit(raft);
}

// Whether what was the last entry a moment ago is gone.
static bool was_overwritten(const struct raft *raft, const struct check_voter *seen)
{
    return seen->last >= raft_first_index(raft) &&
           (seen->last > raft_last_index(raft) || raft_entry(raft, seen->last)->term != seen->last_term);
}

void check_quorum(struct check *check)
{
    for (int i = 0; i < check->cluster->controller_count; i++) {
        const struct daemon_sim *daemon = &check->cluster->controllers[i];
        struct check_voter *seen = &check->voters[i];
        if (daemon->process == NULL || daemon->controller == NULL || daemon->controller->quorum == NULL)
            continue;
        const struct raft *raft = quorum_raft(daemon->controller->quorum);
        if (seen->generation != daemon->process->generation)
            *seen = (struct check_voter){.generation = daemon->process->generation};
        if (raft_role(raft) == RAFT_LEADER && seen->led_term != raft_term(raft)) {
            seen->led_term = raft_term(raft);
            look_at_leader(check, daemon, raft);
        }
        if (raft_commit(raft) > seen->commit)
            look_at_commit(check, daemon, raft, seen->commit + 1);
        check_isr_note(check, controller_image(daemon->controller)); // it may follow the commit a moment later
        seen->commit = raft_commit(raft);
        if (was_overwritten(raft, seen))
            world_count(check->history->world, COUNT_metadata_overwritten);
        seen->last = raft_last_index(raft);
        seen->last_term =
            seen->last >= raft_first_index(raft) ? raft_entry(raft, seen->last)->term : seen->last_term;
    }
}

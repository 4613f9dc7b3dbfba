// SPDX-License-Identifier: Apache-2.0
// The metrics of a data directory, each with the directory's label where there are several (log_set_config).
#include "log/internal.h"

void log_set_init_metrics(struct log_set *set)
{
    set->m_rounds =
        (struct metric){.name = "millrace_log_flush_rounds_total", .help = "Flush rounds finished."};
    set->m_syncs = (struct metric){.name = "millrace_log_syncs_total",
                                   .help = "Files, directories and file systems synced by rounds."};
    set->m_flush_us = (struct metric){
        .name = "millrace_log_flush_seconds", .help = "Duration of flush rounds.", .kind = METRIC_HISTOGRAM};
    set->m_tail_bytes = (struct metric){.name = "millrace_log_tail_bytes",
                                        .help = "Record bytes not yet written to segments.",
                                        .kind = METRIC_GAUGE};
    set->m_written_bytes =
        (struct metric){.name = "millrace_log_written_bytes_total", .help = "Record bytes written."};
    set->m_journal_bytes =
        (struct metric){.name = "millrace_log_journal_bytes_total", .help = "Bytes written to the journal."};
    set->m_journal_blocks = (struct metric){.name = "millrace_log_journal_blocks",
                                            .help = "Blocks of the journal in use, of 4.",
                                            .kind = METRIC_GAUGE};
    set->m_backlog_bytes = (struct metric){.name = "millrace_log_backlog_bytes",
                                           .help = "Record bytes in the journal and not yet in segments.",
                                           .kind = METRIC_GAUGE};
    set->m_write_backs =
        (struct metric){.name = "millrace_log_write_backs_total", .help = "Write-backs finished."};
    set->m_segments_removed = (struct metric){.name = "millrace_log_segments_removed_total",
                                              .help = "Segments that retention or DeleteRecords removed."};
    set->m_removed_bytes =
        (struct metric){.name = "millrace_log_removed_bytes_total",
                        .help = "Record bytes of removed segments, given back to the disk."};
    set->m_doomed_bytes = (struct metric){.name = "millrace_log_doomed_bytes",
                                          .help = "Record bytes of removed segments still on the disk.",
                                          .kind = METRIC_GAUGE};
    set->m_resting = (struct metric){.name = "millrace_log_retention_paused",
                                     .help = "1 while time retention rests because the clock has leapt.",
                                     .kind = METRIC_GAUGE};
    set->m_offline = (struct metric){.name = "millrace_log_offline",
                                     .help = "Partitions that their disk has failed.",
                                     .kind = METRIC_GAUGE};
    set->m_healed = (struct metric){.name = "millrace_log_healed_total",
                                    .help = "Times that a failed partition was read anew and is back."};
    set->m_heal_failures = (struct metric){.name = "millrace_log_heal_failures_total",
                                           .help = "Times that its disk still failed when it was tried."};
    set->m_checkpoint_failures = (struct metric){.name = "millrace_log_checkpoint_failures_total",
                                                 .help = "Checkpoints that could not be written."};
    set->m_resumed = (struct metric){.name = "millrace_log_resumed_total",
                                     .help = "Logs made from the manifest, without opening their files."};
    set->m_lent_bytes = (struct metric){.name = "millrace_log_lent_bytes",
                                        .help = "Memory of cold reads that answers hold.",
                                        .kind = METRIC_GAUGE};
    log_set_each_metric(set, metric_add);
}

void log_set_each_metric(struct log_set *set,
                         void (*act)(struct metric_registry *registry, struct metric *metric))
{
    struct metric *all[] = {&set->m_rounds,           &set->m_syncs,         &set->m_flush_us,
                            &set->m_tail_bytes,       &set->m_written_bytes, &set->m_journal_bytes,
                            &set->m_journal_blocks,   &set->m_backlog_bytes, &set->m_write_backs,
                            &set->m_segments_removed, &set->m_removed_bytes, &set->m_doomed_bytes,
                            &set->m_resting,          &set->m_lent_bytes,    &set->m_offline,
                            &set->m_healed,           &set->m_heal_failures, &set->m_checkpoint_failures,
                            &set->m_resumed};
    for (size_t i = 0; set->env->metrics != NULL && i < sizeof all / sizeof all[0]; i++) {
        all[i]->labels = set->config.labels;
        act(set->env->metrics, all[i]);
    }
    log_verified_each_metric(set->verified, set->config.labels, act);
}

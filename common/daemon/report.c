// SPDX-License-Identifier: Apache-2.0
// What a daemon says of itself: the line at start, the ready file for whoever started it, the survey's dump.
#include "daemon/internal.h"

#include "base/mem.h"
#include "http/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *kafka_address(struct daemon *daemon)
{
    const struct daemon_spec *spec = daemon->spec;
    const char *address = spec->kafka_address != NULL ? spec->kafka_address(daemon->service) : NULL;
    return address != NULL ? address : "";
}

static const char *rest_address(struct daemon *daemon)
{
    const struct daemon_spec *spec = daemon->spec;
    return spec->rest_address != NULL ? spec->rest_address(daemon->service) : NULL;
}

void report_started(struct daemon *daemon)
{
    DIAG_INFO(&daemon->env->diag, "started version=%s role=%s id=%lld pid=%d kafka=%s rpc=%s http=%s data=%s",
              MILLRACE_VERSION, daemon->spec->name, (long long)config_int(daemon->config, "node.id"),
              (int)getpid(), kafka_address(daemon), daemon->rpc_bound, daemon->http_bound, daemon->data_dir);
}

static void member_put(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, ",\"%s\":", name);
    json_put_string(out, slice_str(value));
}

void report_text(struct daemon *daemon, bool ready, struct buf *out)
{
    buf_printf(out, "{\"id\":%lld,\"pid\":%d,\"ready\":%s", (long long)config_int(daemon->config, "node.id"),
               (int)getpid(), ready ? "true" : "false");
    member_put(out, "role", daemon->spec->name);
    member_put(out, "kafka", kafka_address(daemon));
    if (rest_address(daemon) != NULL)
        member_put(out, "rest", rest_address(daemon));
    member_put(out, "rpc", daemon->rpc_bound);
    member_put(out, "http", daemon->http_bound);
    member_put(out, "data", daemon->data_dir);
    buf_printf(out, "}\n");
}

static enum status file_replace(const char *path, struct slice text)
{
    char *draft = mem_printf("%s.new", path);
    enum status status = ST_OK;
    int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text.data, text.len) != (ssize_t)text.len)
        status = status_from_errno(errno);
    if (fd >= 0)
        close(fd);
    if (status == ST_OK && rename(draft, path) != 0)
        status = status_from_errno(errno);
    mem_free(draft);
    return status;
}

void report_ready_file(struct daemon *daemon, bool ready)
{
    if (daemon->ready_file == NULL)
        return;
    struct buf text;
    buf_init(&text, 16 << 10);
    report_text(daemon, ready, &text);
    enum status status = file_replace(daemon->ready_file, buf_slice(&text));
    if (status != ST_OK)
        DIAG_WARN(&daemon->env->diag, "ready file not written path=%s status=%s", daemon->ready_file,
                  status_name(status));
    buf_fini(&text);
}

static void dump_write(struct buf *out, void *context)
{
    struct daemon *daemon = context;
    struct buf reason;
    buf_init(&reason, 1000);
    bool ready = admin_ready(daemon, &reason);
    buf_printf(out, "role=%s\nid=%lld\nversion=%s\nkafka=%s\nrpc=%s\nhttp=%s\ndata=%s\n", daemon->spec->name,
               (long long)config_int(daemon->config, "node.id"), MILLRACE_VERSION, kafka_address(daemon),
               daemon->rpc_bound, daemon->http_bound, daemon->data_dir);
    buf_printf(out, "ready=%s\nreason=%.*s\nup_ms=%lld\n", ready ? "true" : "false", (int)reason.len,
               reason.data != NULL ? (const char *)reason.data : "",
               (long long)(env_now_us(daemon->env) - daemon->began_us) / 1000);
    buf_fini(&reason);
    if (daemon->spec->dump != NULL && daemon->started)
        daemon->spec->dump(daemon->service, out);
}

enum status report_survey_start(struct daemon *daemon)
{
    const char *dir = config_string(daemon->config, "run.dir");
    if (*dir == '\0')
        return ST_OK;
    enum status status = survey_new(daemon->env, dir, daemon->who, dump_write, daemon, &daemon->survey);
    if (status != ST_OK)
        DIAG_ERROR(&daemon->env->diag, "survey socket cannot be opened run.dir=%s status=%s", dir,
                   status_name(status));
    return status;
}

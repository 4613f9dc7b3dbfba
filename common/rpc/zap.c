// SPDX-License-Identifier: Apache-2.0
// Who may connect: the ZAP handler (ZeroMQ RFC 27), one per context, on a thread of its own because it reads
// the key directory. libzmq 4.3.4 lets any client into a CURVE server that has no handler; ours exists before
// any socket does, and the bound end drops messages without the User-Id that only the handler gives. It is
// "storage/1" ("storage/-1" for a role's key) and travels with every message of the connection.
#include "rpc/zmq_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { ZAP_FRAMES = 7 }; // version, request id, domain, address, identity, mechanism, client key

struct zap {
    void *socket;
    struct curve_keys *keys;
    pthread_t thread;
};

struct zap_request {
    zmq_msg_t frames[ZAP_FRAMES];
    int count;
};

static bool frame_is(zmq_msg_t *frame, const char *text)
{
    return slice_is(slice_of(zmq_msg_data(frame), zmq_msg_size(frame)), text);
}

// The User-Id of an allowed client; false: refused.
static bool zap_allows(struct zap *zap, struct zap_request *request, char *user, size_t size)
{
    struct rpc_node node;
    if (request->count != ZAP_FRAMES || !frame_is(&request->frames[0], "1.0") ||
        !frame_is(&request->frames[5], "CURVE") || zmq_msg_size(&request->frames[6]) != 32)
        return false;
    curve_refresh(zap->keys);
    if (!curve_find_key(zap->keys, zmq_msg_data(&request->frames[6]), &node))
        return false;
    snprintf(user, size, "%s/%d", curve_role_text(node.role), node.node);
    return true;
}

static void send_text(void *socket, const char *text, bool more)
{
    zmq_send(socket, text, strlen(text), more ? ZMQ_SNDMORE : 0);
}

static void zap_answer(struct zap *zap, struct zap_request *request)
{
    char user[64] = "";
    bool allowed = zap_allows(zap, request, user, sizeof user);
    send_text(zap->socket, "1.0", true);
    if (request->count > 1)
        zmq_msg_send(&request->frames[1], zap->socket, ZMQ_SNDMORE);
    else
        send_text(zap->socket, "", true);
    send_text(zap->socket, allowed ? "200" : "400", true);
    send_text(zap->socket, allowed ? "" : "key not known here", true);
    send_text(zap->socket, user, true);
    send_text(zap->socket, "", false);
}

static bool zap_receive(struct zap *zap, struct zap_request *request)
{
    zmq_msg_t extra;
    bool more = true;
    request->count = 0;
    while (more) {
        zmq_msg_t *frame = request->count < ZAP_FRAMES ? &request->frames[request->count++] : &extra;
        zmq_msg_init(frame);
        if (zmq_msg_recv(frame, zap->socket, 0) < 0)
            return false;
        more = zmq_msg_more(frame);
        if (frame == &extra)
            zmq_msg_close(&extra);
    }
    return true;
}

static void *zap_thread(void *argument)
{
    struct zap *zap = argument;
    for (bool more = true; more;) {
        struct zap_request request;
        more = zap_receive(zap, &request);
        if (more)
            zap_answer(zap, &request);
        for (int i = 0; i < request.count; i++)
            zmq_msg_close(&request.frames[i]);
    }
    zmq_close(zap->socket); // the context was shut down
    return NULL;
}

struct zap *zap_new(void *context, struct curve_keys *keys)
{
    struct zap *zap = mem_calloc(1, sizeof *zap);
    zap->keys = keys;
    zap->socket = zmq_socket(context, ZMQ_REP);
    ASSERT(zap->socket != NULL);
    zsock_option(zap->socket, ZMQ_LINGER, 0);
    int rc = zmq_bind(zap->socket, "inproc://zeromq.zap.01");
    ASSERT(rc == 0);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&zap->thread, NULL, zap_thread, zap); // from here on the socket is the thread's
    ASSERT(rc == 0);
    pthread_setname_np(zap->thread, "zap");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return zap;
}

void zap_join(struct zap **pointer)
{
    struct zap *zap = *pointer;
    *pointer = NULL;
    if (zap == NULL)
        return;
    pthread_join(zap->thread, NULL);
    mem_free(zap);
}

struct rpc_node zap_node(zmq_msg_t *message)
{
    struct rpc_node node = {.node = -1};
    const char *user = zmq_msg_gets(message, "User-Id");
    const char *slash = user ? strchr(user, '/') : NULL;
    char role[32];
    if (slash == NULL || (size_t)(slash - user) >= sizeof role)
        return node;
    snprintf(role, sizeof role, "%.*s", (int)(slash - user), user);
    node.role = curve_role_parse(role);
    node.node = atoi(slash + 1);
    return node;
}

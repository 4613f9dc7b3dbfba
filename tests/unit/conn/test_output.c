// SPDX-License-Identifier: Apache-2.0
// Answers larger than a socket buffer: memory and file pieces in one answer, partial writes, slow readers.
#include "server.h"

#include "base/bytes.h"
#include "conn/output.h"
#include "kafka/api.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FILE_BYTES = 3 << 20, MEMORY_BYTES = 2 << 20 };

static struct server server;

static uint8_t byte_at(size_t i)
{
    return (uint8_t)((uint32_t)i * 2654435761u >> 24); // no short period: a shifted range is seen
}

// An answer of memory, a file range and memory again.
static void answer_large(struct conn_request *request, struct file *file)
{
    struct kafka_out out;
    kafka_out_init(&out, MEMORY_BYTES * 2);
    for (size_t i = 0; i < MEMORY_BYTES; i++)
        buf_put_u8(&out.bytes, byte_at(i));
    out.splices = calloc(1, sizeof *out.splices);
    out.splice_cap = out.splice_count = 1;
    out.splices[0].at = MEMORY_BYTES / 2;
    out.splices[0].piece = (struct piece){.file = file, .position = 100, .len = FILE_BYTES - 100};
    out.spliced = FILE_BYTES - 100;
    conn_reply(request, &out);
}

Test(conn_output, large_answer_of_memory_and_file_arrives_whole_at_a_slow_reader, .timeout = 60)
{
    server_init(&server);
    char path[] = "/tmp/conn-output-XXXXXX";
    int raw = mkstemp(path);
    uint8_t *content = malloc(FILE_BYTES);
    for (size_t i = 0; i < FILE_BYTES; i++)
        content[i] = byte_at(i * 7);
    cr_assert_eq(write(raw, content, FILE_BYTES), FILE_BYTES);
    struct file *file;
    cr_assert_eq(file_open(server.env, path, FILE_READ, &file), ST_OK);
    server_open(&server);
    int fd = dial(&server);
    send_request(fd, KAFKA_API_HEARTBEAT, 0, 42, 0);
    turn(&server, 5);
    struct conn_request *request = server.held[0];
    server.held_count = 0;
    answer_large(request, file);
    turn(&server, 20); // the socket is full now
    size_t len = 4 + MEMORY_BYTES + FILE_BYTES - 100;
    uint8_t *data = malloc(len);
    cr_assert_eq(receive(&server, fd, data, len), (int)len);
    cr_expect_eq(load_be32(data), 42);
    size_t wrong = 0;
    for (size_t i = 0; i < MEMORY_BYTES / 2; i++)
        wrong += data[4 + i] != byte_at(i);
    for (size_t i = 0; i < FILE_BYTES - 100; i++)
        wrong += data[4 + MEMORY_BYTES / 2 + i] != content[100 + i];
    for (size_t i = MEMORY_BYTES / 2; i < MEMORY_BYTES; i++)
        wrong += data[4 + FILE_BYTES - 100 + i] != byte_at(i);
    cr_expect_eq(wrong, 0);
    free(data);
    free(content);
    close(fd);
    turn(&server, 10);
    file_close(server.env, &file);
    close(raw);
    unlink(path);
    server_fini(&server);
}

Test(conn_output, file_shorter_than_its_answer_closes_the_connection, .timeout = 60)
{
    server_init(&server);
    char path[] = "/tmp/conn-output-XXXXXX";
    int raw = mkstemp(path);
    struct file *file;
    cr_assert_eq(file_open(server.env, path, FILE_READ, &file), ST_OK);
    server_open(&server);
    int fd = dial(&server);
    send_request(fd, KAFKA_API_HEARTBEAT, 0, 42, 0);
    turn(&server, 5);
    struct conn_request *request = server.held[0];
    server.held_count = 0;
    answer_large(request, file);
    cr_expect(gone(&server, fd));
    close(fd);
    turn(&server, 10);
    file_close(server.env, &file);
    close(raw);
    unlink(path);
    server_fini(&server);
}

static void count_release(void *owner)
{
    ++*(int *)owner;
}

Test(conn_output, pieces_of_a_client_that_left_are_released, .timeout = 60)
{
    server_init(&server);
    server_open(&server);
    int fd = dial(&server), released = 0;
    send_request(fd, KAFKA_API_HEARTBEAT, 0, 42, 0);
    turn(&server, 5);
    struct conn_request *request = server.held[0];
    server.held_count = 0;
    static uint8_t bytes[8 << 20];
    struct kafka_out out;
    kafka_out_init(&out, 100);
    out.splices = calloc(1, sizeof *out.splices);
    out.splice_cap = out.splice_count = 1;
    out.splices[0].piece =
        (struct piece){.data = bytes, .len = sizeof bytes, .owner = &released, .release = count_release};
    out.spliced = sizeof bytes;
    conn_reply(request, &out);
    turn(&server, 10);
    cr_expect_eq(released, 0, "most of it cannot be sent yet");
    close(fd);
    turn(&server, 20);
    cr_expect_eq(released, 1);
    server_fini(&server);
}

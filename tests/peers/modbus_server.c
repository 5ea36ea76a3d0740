/*
 * Modbus server on libmodbus for tests: unit any, 1,000 entries in each table, all zero unless written.
 *
 * Build: gcc modbus_server.c -o modbus_server $(pkg-config --cflags --libs libmodbus)
 * Run:   modbus_server tcp PORT          (PORT 0: the kernel chooses; one client at a time, until killed)
 *        modbus_server rtu DEVICE        (9600-8N1, unit 1)
 *        modbus_server encode f32 ORDER VALUE | u32 VALUE | u64 VALUE     prints registers as hex words, then ends
 * First output line: "listening PORT" or "ready".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <modbus.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ENTRIES = 1000 };

static int fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, modbus_strerror(errno));
    return 1;
}

static void serve(modbus_t *bus, modbus_mapping_t *memory)
{
    uint8_t request[MODBUS_TCP_MAX_ADU_LENGTH];
    for (;;) {
        int size = modbus_receive(bus, request);
        if (size < 0) return;
        if (size > 0 && modbus_reply(bus, request, size, memory) < 0) return;
    }
}

static int serve_tcp(int port, modbus_mapping_t *memory)
{
    modbus_t *bus = modbus_new_tcp("127.0.0.1", port);
    if (!bus) return fail("modbus_new_tcp");
    int listener = modbus_tcp_listen(bus, 1);
    if (listener < 0) return fail("listen");
    struct sockaddr_in place;
    socklen_t size = sizeof place;
    getsockname(listener, (struct sockaddr *)&place, &size);
    printf("listening %d\n", ntohs(place.sin_port));
    fflush(stdout);
    for (;;) {
        if (modbus_tcp_accept(bus, &listener) < 0) return fail("accept");
        serve(bus, memory);
        modbus_close(bus);
    }
}

static int serve_rtu(const char *device, modbus_mapping_t *memory)
{
    modbus_t *bus = modbus_new_rtu(device, 9600, 'N', 8, 1);
    if (!bus) return fail("modbus_new_rtu");
    modbus_set_slave(bus, 1);
    if (modbus_connect(bus)) return fail("open");
    puts("ready");
    fflush(stdout);
    for (;;) serve(bus, memory);
}

static int encode(int argc, char **argv)
{
    uint16_t words[4] = {0};
    int count = 2;
    if (argc == 5 && !strcmp(argv[2], "f32")) {
        float value = strtof(argv[4], NULL);
        if (!strcmp(argv[3], "ABCD")) modbus_set_float_abcd(value, words);
        else if (!strcmp(argv[3], "BADC")) modbus_set_float_badc(value, words);
        else if (!strcmp(argv[3], "CDAB")) modbus_set_float_cdab(value, words);
        else if (!strcmp(argv[3], "DCBA")) modbus_set_float_dcba(value, words);
        else return 2;
    } else if (argc == 4 && !strcmp(argv[2], "u32")) {
        MODBUS_SET_INT32_TO_INT16(words, 0, (uint32_t)strtoul(argv[3], NULL, 10));
    } else if (argc == 4 && !strcmp(argv[2], "u64")) {
        MODBUS_SET_INT64_TO_INT16(words, 0, (uint64_t)strtoull(argv[3], NULL, 10));
        count = 4;
    } else {
        return 2;
    }
    for (int i = 0; i < count; i++) printf("%04x", words[i]);
    puts("");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 4 && !strcmp(argv[1], "encode")) return encode(argc, argv);
    modbus_mapping_t *memory = modbus_mapping_new(ENTRIES, ENTRIES, ENTRIES, ENTRIES);
    if (argc == 3 && memory && !strcmp(argv[1], "tcp")) return serve_tcp(atoi(argv[2]), memory);
    if (argc == 3 && memory && !strcmp(argv[1], "rtu")) return serve_rtu(argv[2], memory);
    fprintf(stderr, "usage: modbus_server tcp PORT | rtu DEVICE | encode KIND ...\n");
    return 2;
}

/*
 * Modbus server on libmodbus for tests: unit any, 1,000 entries in each table, all zero unless written.
 *
 * Build: gcc modbus_server.c -o modbus_server $(pkg-config --cflags --libs libmodbus)
 * Run:   modbus_server tcp PORT          (PORT 0: the kernel chooses; one client at a time, until killed)
 *        modbus_server rtu DEVICE        (9600-8N1, unit 1)
 *        modbus_server encode f32|f64|u32|u64 VALUE      (prints the registers as hex words, then ends)
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

static int encode(char **argv)
{
    uint16_t words[4] = {0};
    int count = 2;
    const char *kind = argv[2], *text = argv[3];
    if (!strcmp(kind, "f32")) {
        /* not modbus_set_float_*: their letters changed meaning between libmodbus 3.1.6 and 3.1.8 */
        float value = strtof(text, NULL);
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        MODBUS_SET_INT32_TO_INT16(words, 0, bits);
    } else if (!strcmp(kind, "f64")) {
        double value = strtod(text, NULL);
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        MODBUS_SET_INT64_TO_INT16(words, 0, bits);
        count = 4;
    } else if (!strcmp(kind, "u32")) {
        MODBUS_SET_INT32_TO_INT16(words, 0, (uint32_t)strtoul(text, NULL, 10));
    } else if (!strcmp(kind, "u64")) {
        MODBUS_SET_INT64_TO_INT16(words, 0, (uint64_t)strtoull(text, NULL, 10));
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
    if (argc == 4 && !strcmp(argv[1], "encode")) return encode(argv);
    modbus_mapping_t *memory = modbus_mapping_new(ENTRIES, ENTRIES, ENTRIES, ENTRIES);
    if (argc == 3 && memory && !strcmp(argv[1], "tcp")) return serve_tcp(atoi(argv[2]), memory);
    if (argc == 3 && memory && !strcmp(argv[1], "rtu")) return serve_rtu(argv[2], memory);
    fprintf(stderr, "usage: modbus_server tcp PORT | rtu DEVICE | encode KIND ...\n");
    return 2;
}

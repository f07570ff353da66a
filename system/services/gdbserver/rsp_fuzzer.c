// Any bytes as they may come over the line; what comes out as a packet is taken apart in all ways,
// and sent back.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <gdbserver/rsp.h>

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

static void take_apart(const struct rsp_parser* p) {
    static char bytes[rsp_packet_max];
    struct rsp_text t = {p->data, p->data + p->len};
    uint64_t n;
    while (!rsp_at_end(&t)) {
        const char* before = t.at;
        (void)rsp_take_thread(&t, &n);
        (void)rsp_take_number(&t, &n);
        (void)rsp_take(&t, "vCont");
        (void)rsp_take_bytes(&t, bytes, (size_t)(n % sizeof(bytes)));
        if (t.at > t.end) {
            abort();
        }
        t.at += t.at == before;
    }
}

static void send_back(const struct rsp_parser* p) {
    static struct rsp_reply r;
    static char wire[rsp_wire_max];
    static struct rsp_parser again;
    rsp_clear(&r);
    rsp_raw(&r, p->data, p->len);
    const size_t len = rsp_encode(&r, wire);
    enum rsp_event last = RSP_NOTHING;
    for (size_t i = 0; i < len; i++) {
        last = rsp_feed(&again, (uint8_t)wire[i]);
    }
    if (last != RSP_PACKET || again.len != p->len || memcmp(again.data, p->data, p->len) != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static struct rsp_parser p;
    memset(&p, 0, sizeof(p));
    for (size_t i = 0; i < size; i++) {
        if (rsp_feed(&p, data[i]) == RSP_PACKET) {
            take_apart(&p);
            send_back(&p);
        }
    }
    return 0;
}

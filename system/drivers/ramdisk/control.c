// jacinth.ramdisk/Control: a connection, and its calls.
#include <stdlib.h>
#include <string.h>

#include <async/channel.h>
#include <lib/compiler.h>
#include <zircon/syscalls.h>

#include "ramdisk_priv.h"

struct connection {
    struct async_channel channel;
    struct ramdisk* disk;
};

static zx_status_t fail_nth(void* ctx, struct jacinth_ramdisk_control_fail_nth_request* r,
                            struct fidl_txn* txn) {
    struct ramdisk* d = ctx;
    d->nth = (struct ramdisk_fault){
        .kinds = r->kinds, .skip = r->skip, .count = r->count, .status = r->status};
    return jacinth_ramdisk_control_fail_nth_reply(txn);
}

static zx_status_t fail_range(void* ctx, struct jacinth_ramdisk_control_fail_range_request* r,
                              struct fidl_txn* txn) {
    struct ramdisk* d = ctx;
    if (r->count > UINT64_MAX - r->first) {
        return ZX_ERR_OUT_OF_RANGE;
    }
    d->range = (struct ramdisk_fault){
        .kinds = r->kinds, .first = r->first, .count = r->count, .status = r->status};
    return jacinth_ramdisk_control_fail_range_reply(txn);
}

static zx_status_t delay(void* ctx, struct jacinth_ramdisk_control_delay_request* r,
                         struct fidl_txn* txn) {
    struct ramdisk* d = ctx;
    d->delay = r->duration;
    return jacinth_ramdisk_control_delay_reply(txn);
}

static zx_status_t hold(void* ctx, struct jacinth_ramdisk_control_hold_request* r,
                        struct fidl_txn* txn) {
    ramdisk_hold(ctx, r->hold);
    return jacinth_ramdisk_control_hold_reply(txn);
}

static zx_status_t hold_reads(void* ctx, struct jacinth_ramdisk_control_hold_reads_request* r,
                              struct fidl_txn* txn) {
    if (r->count > UINT64_MAX - r->first) {
        return ZX_ERR_OUT_OF_RANGE;
    }
    ramdisk_hold_reads(ctx, r->first, r->count, r->carry_out);
    return jacinth_ramdisk_control_hold_reads_reply(txn);
}

static zx_status_t ignore_flushes(void* ctx,
                                  struct jacinth_ramdisk_control_ignore_flushes_request* r,
                                  struct fidl_txn* txn) {
    struct ramdisk* d = ctx;
    d->ignores_flushes = r->ignore;
    return jacinth_ramdisk_control_ignore_flushes_reply(txn);
}

static zx_status_t cut_power(void* ctx, struct jacinth_ramdisk_control_cut_power_request* r,
                             struct fidl_txn* txn) {
    ramdisk_cut(ctx, r->writes, r->seed);
    return jacinth_ramdisk_control_cut_power_reply(txn);
}

static zx_status_t restore(void* ctx, struct fidl_txn* txn) {
    ramdisk_restore(ctx);
    return jacinth_ramdisk_control_restore_reply(txn);
}

static zx_status_t get_counts(void* ctx, struct fidl_txn* txn) {
    const struct ramdisk* d = ctx;
    struct jacinth_ramdisk_control_get_counts_response response;
    memcpy(response.counts, d->counts, sizeof(response.counts));
    response.held = 0;
    list_for_each(n, &d->held) {
        response.held++;
    }
    return jacinth_ramdisk_control_get_counts_reply(txn, &response);
}

static const struct jacinth_ramdisk_control_ops ops = {.fail_nth = fail_nth,
                                                       .fail_range = fail_range,
                                                       .delay = delay,
                                                       .hold = hold,
                                                       .hold_reads = hold_reads,
                                                       .ignore_flushes = ignore_flushes,
                                                       .cut_power = cut_power,
                                                       .restore = restore,
                                                       .get_counts = get_counts};

static zx_status_t on_message(struct async_channel* channel, struct fidl_message* message) {
    struct connection* c = container_of(channel, struct connection, channel);
    return jacinth_ramdisk_control_dispatch(&ops, c->disk, channel->handle, message,
                                            async_loop_storage(channel->loop));
}

static void on_closed(struct async_channel* channel, zx_status_t) {
    free(container_of(channel, struct connection, channel));
}

zx_status_t ramdisk_control(struct ramdisk* disk, zx_handle_t channel) {
    struct connection* c = calloc(1, sizeof(*c));
    if (c == nullptr) {
        (void)zx_handle_close(channel);
        return ZX_ERR_NO_MEMORY;
    }
    *c = (struct connection){
        .channel = {.handle = channel, .message = on_message, .closed = on_closed}, .disk = disk};
    zx_status_t status = async_channel_begin(disk->device.loop, &c->channel);
    if (status != ZX_OK) {
        free(c);
    }
    return status;
}

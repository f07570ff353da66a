#include <async/guests.h>

#include <lib/compiler.h>

void async_guests_init(struct async_guests* guests, uint32_t max) {
    guests->max = max;
    guests->count = 0;
    list_init(&guests->order);
}

static void make_room(struct async_guests* guests) {
    struct async_guest* silent = container_of(list_first(&guests->order), struct async_guest, node);
    async_channel_end(&silent->channel);
    silent->channel.closed(&silent->channel, ZX_ERR_NO_RESOURCES);
}

zx_status_t async_guest_begin(struct async_loop* loop, struct async_guests* guests,
                              struct async_guest* guest) {
    if (guests->count >= guests->max) {
        make_room(guests);
    }
    zx_status_t status = async_channel_begin(loop, &guest->channel);
    if (status == ZX_OK) {
        list_push_back(&guests->order, &guest->node);
        guests->count++;
    }
    return status;
}

void async_guest_spoke(struct async_guests* guests, struct async_guest* guest) {
    list_remove(&guest->node);
    list_push_back(&guests->order, &guest->node);
}

void async_guest_gone(struct async_guests* guests, struct async_guest* guest) {
    list_remove(&guest->node);
    guests->count--;
}

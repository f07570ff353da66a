#include <fidl/channel.h>

#include <string.h>

#include <zircon/syscalls.h>

#include "fidl_priv.h"

#define UNINITIALIZED __attribute__((uninitialized))

constexpr uint64_t RESULT_RESPONSE = 1, RESULT_ERR = 2, RESULT_FRAMEWORK_ERR = 3;

static zx_status_t status_of(fidl_error_t error) {
    return error == FIDL_OK            ? ZX_OK
           : error == FIDL_BUFFER_FULL ? ZX_ERR_BUFFER_TOO_SMALL
                                       : ZX_ERR_INVALID_ARGS;
}

static struct fidl_encoder encoder_in(struct fidl_storage storage,
                                      zx_handle_disposition_t* handles) {
    uint32_t most = ZX_CHANNEL_MAX_MSG_BYTES;
    return (struct fidl_encoder){.bytes = storage.bytes,
                                 .capacity = storage.capacity < most ? storage.capacity : most,
                                 .handles = handles,
                                 .handle_capacity = ZX_CHANNEL_MAX_MSG_HANDLES};
}

static zx_status_t send_message(zx_handle_t channel, struct fidl_storage storage, uint32_t txid,
                                uint64_t ordinal, uint8_t flags, const struct fidl_type* type,
                                void* body) {
    UNINITIALIZED zx_handle_disposition_t handles[ZX_CHANNEL_MAX_MSG_HANDLES];
    struct fidl_encoder e = encoder_in(storage, handles);
    zx_status_t status = status_of(fidl_encode_message(&e, txid, ordinal, flags, type, body));
    if (status != ZX_OK) {
        return status;
    }
    return zx_channel_write_etc(channel, ZX_CHANNEL_WRITE_MAY_REFUSE, e.bytes, (uint32_t)e.len,
                                handles, e.handle_count);
}

zx_status_t fidl_request(zx_handle_t channel, uint32_t txid, const struct fidl_method* method,
                         struct fidl_storage storage, void* body) {
    return send_message(channel, storage, txid, method->ordinal, method->flags, method->request,
                        body);
}

zx_status_t fidl_send(zx_handle_t channel, const struct fidl_method* method,
                      struct fidl_storage storage, void* body) {
    return fidl_request(channel, 0, method, storage, body);
}

zx_status_t fidl_call(zx_handle_t channel, zx_time_t deadline, const struct fidl_method* method,
                      void* request, struct fidl_storage storage, void** response) {
    UNINITIALIZED zx_handle_disposition_t sent[ZX_CHANNEL_MAX_MSG_HANDLES];
    UNINITIALIZED zx_handle_info_t got[ZX_CHANNEL_MAX_MSG_HANDLES];
    struct fidl_encoder e = encoder_in(storage, sent);
    // The kernel replaces the transaction id.
    zx_status_t status = status_of(
        fidl_encode_message(&e, 1, method->ordinal, method->flags, method->request, request));
    if (status != ZX_OK) {
        return status;
    }
    zx_channel_call_etc_args_t args = {.wr_bytes = e.bytes,
                                       .wr_handles = sent,
                                       .rd_bytes = storage.bytes,
                                       .rd_handles = got,
                                       .wr_num_bytes = (uint32_t)e.len,
                                       .wr_num_handles = e.handle_count,
                                       .rd_num_bytes = storage.capacity,
                                       .rd_num_handles = ZX_CHANNEL_MAX_MSG_HANDLES};
    struct fidl_message m = {.bytes = storage.bytes, .handles = got};
    uint32_t len = 0;
    status = zx_channel_call_etc(channel, 0, deadline, &args, &len, &m.handle_count);
    m.len = len;
    if (status != ZX_OK) {
        return status;
    }
    if (fidl_decode_message(&m, method->ordinal, method->response) != FIDL_OK) {
        return ZX_ERR_IO_INVALID;
    }
    if (response != nullptr) {
        *response = m.body;
    }
    return ZX_OK;
}

zx_status_t fidl_call_result(zx_handle_t channel, zx_time_t deadline,
                             const struct fidl_method* method, void* request,
                             struct fidl_storage storage, void** response) {
    void* result;
    zx_status_t status = fidl_call(channel, deadline, method, request, storage, &result);
    return status == ZX_OK ? fidl_result(result, response) : status;
}

zx_status_t fidl_result(void* result, void** response) {
    struct fidl_union* u = result;
    if (u->ordinal == RESULT_RESPONSE) {
        // A response is a struct: of at most four bytes it lies in the envelope.
        *response = (u->envelope.flags & FIDL_ENVELOPE_INLINE) != 0 ? u->envelope.inline_value
                                                                    : u->envelope.data;
        return ZX_OK;
    }
    if (u->ordinal != RESULT_ERR) {
        return ZX_ERR_NOT_SUPPORTED;
    }
    zx_status_t error;
    memcpy(&error, u->envelope.inline_value, sizeof(error));
    return error != ZX_OK ? error : ZX_ERR_IO_INVALID; // an error that is none
}

// ---- serving ----

static zx_status_t reply(struct fidl_txn* txn, uint8_t flags, const struct fidl_type* type,
                         void* body) {
    uint32_t txid = txn->txid;
    txn->txid = 0;
    zx_status_t status =
        send_message(txn->channel, txn->storage, txid, txn->method->ordinal, flags, type, body);
    return status == ZX_ERR_SHOULD_WAIT ? ZX_ERR_NO_RESOURCES : status;
}

zx_status_t fidl_reply(struct fidl_txn* txn, void* response) {
    return reply(txn, txn->method->flags, txn->method->response, response);
}

zx_status_t fidl_reply_response(struct fidl_txn* txn, void* response) {
    struct fidl_union result = {};
    uint32_t size = fidl_member_type(txn->method->response, RESULT_RESPONSE)->size;
    fidl_union_set(&result, RESULT_RESPONSE, response, size);
    if (size <= FIDL_INLINE_MAX) {
        memset(response, 0, size); // a handle moves with the copy
    }
    return fidl_reply(txn, &result);
}

zx_status_t fidl_reply_error(struct fidl_txn* txn, uint32_t error) {
    struct fidl_union result = {};
    fidl_union_set(&result, RESULT_ERR, &error, sizeof(error));
    return fidl_reply(txn, &result);
}

static const struct fidl_method* find_method(const struct fidl_protocol* protocol, uint64_t ordinal,
                                             uint32_t* index) {
    for (uint32_t i = 0; i < protocol->count; i++) {
        const struct fidl_method* method = protocol->methods[i];
        if (method->ordinal == ordinal && method->kind != FIDL_EVENT) {
            *index = i;
            return method;
        }
    }
    return nullptr;
}

// What the protocol says of a method that it does not have.
static zx_status_t handle_unknown(const struct fidl_protocol* protocol, struct fidl_txn* txn,
                                  const struct fidl_header* header) {
    static const struct fidl_member members[] = {{RESULT_FRAMEWORK_ERR, &fidl_framework_err_type}};
    static const struct fidl_type result_type = {
        .kind = FIDL_UNION, .strict = true, .size = 16, .count = 1, .members = members};
    bool two_way = header->txid != 0;
    if ((header->dynamic_flags & FIDL_FLEXIBLE) == 0 || protocol->openness == FIDL_CLOSED ||
        (two_way && protocol->openness == FIDL_AJAR)) {
        return ZX_ERR_NOT_SUPPORTED;
    }
    if (!two_way) {
        return ZX_ERR_SHOULD_WAIT;
    }
    struct fidl_union result = {};
    int32_t error = FIDL_FRAMEWORK_ERR_UNKNOWN_METHOD;
    fidl_union_set(&result, RESULT_FRAMEWORK_ERR, &error, sizeof(error));
    zx_status_t status = send_message(txn->channel, txn->storage, header->txid, header->ordinal,
                                      FIDL_FLEXIBLE, &result_type, &result);
    return status == ZX_OK ? ZX_ERR_SHOULD_WAIT : ZX_ERR_NO_RESOURCES;
}

zx_status_t fidl_dispatch_begin(const struct fidl_protocol* protocol, struct fidl_message* message,
                                struct fidl_txn* txn, uint32_t* index) {
    struct fidl_header header;
    zx_status_t status = ZX_OK;
    if (fidl_message_header(message, &header) != FIDL_OK) {
        status = ZX_ERR_IO_INVALID;
    } else {
        txn->method = find_method(protocol, header.ordinal, index);
        if (txn->method == nullptr) {
            status = handle_unknown(protocol, txn, &header);
        } else if ((txn->method->kind == FIDL_TWO_WAY) != (header.txid != 0)) {
            status = ZX_ERR_IO_INVALID;
        }
    }
    if (status != ZX_OK) {
        fidl_message_discard(message);
        return status;
    }
    txn->txid = header.txid;
    fidl_error_t error = fidl_decode_message(message, header.ordinal, txn->method->request);
    return error == FIDL_OK ? ZX_OK : ZX_ERR_IO_INVALID;
}

zx_status_t fidl_dispatch_end(struct fidl_message* message, const struct fidl_method* method,
                              zx_status_t status) {
    if (method->request != nullptr) {
        fidl_close_handles(method->request, message->body);
    }
    return status;
}

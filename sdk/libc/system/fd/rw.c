// read, write and their relatives.

#include <stdckdint.h>

#include "ops_priv.h"

static_assert(sizeof(struct abi_iovec) == sizeof(zx_iovec_t));
static_assert(offsetof(struct abi_iovec, len) == offsetof(zx_iovec_t, capacity));

typedef long (*move_fn)(struct fd_object* o, struct fd_io* io, uint64_t offset);

long fd_io_of(const struct abi_iovec* parts, int count, struct fd_io* out) {
    if (count < 0 || count > ABI_IOV_MAX) {
        return -ABI_EINVAL;
    }
    *out = (struct fd_io){.vectors = (const zx_iovec_t*)parts, .count = (size_t)count};
    for (int i = 0; i < count; i++) {
        if (ckd_add(&out->len, out->len, parts[i].len)) {
            return -ABI_EINVAL;
        }
    }
    return out->len > INT64_MAX ? -ABI_EINVAL : 0;
}

static long move_vectors(int fd, const struct abi_iovec* parts, int count, uint64_t offset,
                         move_fn move) {
    struct fd_io io;
    FD_REF o = nullptr;
    long error = fd_io_of(parts, count, &io);
    if (error == 0) {
        error = fd_lookup_ref(fd, &o);
    }
    return error != 0 ? error : move(o, &io, offset);
}

static long move_one(int fd, void* buffer, size_t len, uint64_t offset, move_fn move) {
    constexpr size_t most = 0x7ffff000; // as elsewhere: longer transfers are short
    struct abi_iovec part = {buffer, len < most ? len : most};
    return move_vectors(fd, &part, 1, offset, move);
}

static long move_at(int fd, const struct abi_iovec* parts, int count, int64_t offset,
                    move_fn move) {
    return offset < 0 ? -ABI_EINVAL : move_vectors(fd, parts, count, (uint64_t)offset, move);
}

long sys_read(int fd, void* buffer, size_t len) {
    return move_one(fd, buffer, len, FD_OFFSET_CURRENT, fd_read);
}

long sys_write(int fd, const void* data, size_t len) {
    return move_one(fd, (void*)data, len, FD_OFFSET_CURRENT, fd_write);
}

long sys_readv(int fd, const struct abi_iovec* parts, int count) {
    return move_vectors(fd, parts, count, FD_OFFSET_CURRENT, fd_read);
}

long sys_writev(int fd, const struct abi_iovec* parts, int count) {
    return move_vectors(fd, parts, count, FD_OFFSET_CURRENT, fd_write);
}

long sys_pread64(int fd, void* buffer, size_t len, int64_t offset) {
    struct abi_iovec part = {buffer, len};
    return move_at(fd, &part, 1, offset, fd_read);
}

long sys_pwrite64(int fd, const void* data, size_t len, int64_t offset) {
    struct abi_iovec part = {(void*)data, len};
    return move_at(fd, &part, 1, offset, fd_write);
}

// `high` is the upper half for those whose words have 32 bits.
long sys_preadv(int fd, const struct abi_iovec* parts, int count, uint64_t offset, uint64_t) {
    return move_at(fd, parts, count, (int64_t)offset, fd_read);
}

long sys_pwritev(int fd, const struct abi_iovec* parts, int count, uint64_t offset, uint64_t) {
    return move_at(fd, parts, count, (int64_t)offset, fd_write);
}

long sys_lseek(int fd, int64_t offset, int whence) {
    FD_REF o = nullptr;
    long error = fd_lookup_ref(fd, &o);
    if (error != 0) {
        return error;
    }
    return (fd_object_flags(o) & ABI_O_PATH) != 0 ? -ABI_EBADF : o->ops->seek(o, offset, whence);
}

// ---- from one descriptor to another ----

// By a buffer here: there is no kernel that could do it without.
static long copy_piece(struct fd_object* in, uint64_t in_offset, struct fd_object* out,
                       uint64_t out_offset, size_t len) {
    char buffer[8192];
    zx_iovec_t piece = {buffer, len < sizeof(buffer) ? len : sizeof(buffer)};
    struct fd_io io = {.vectors = &piece, .count = 1, .len = piece.capacity};
    long got = fd_read(in, &io, in_offset);
    if (got <= 0) {
        return got;
    }
    piece.capacity = (size_t)got;
    io = (struct fd_io){.vectors = &piece, .count = 1, .len = piece.capacity};
    long put = fd_write(out, &io, out_offset);
    if (put < got && in_offset == FD_OFFSET_CURRENT) {
        // What was not taken is read again, where that is possible.
        (void)in->ops->seek(in, (put > 0 ? put : 0) - got, ABI_SEEK_CUR);
    }
    return put;
}

static long copy(int in_fd, int64_t* in_offset, int out_fd, int64_t* out_offset, size_t len) {
    FD_REF in = nullptr;
    FD_REF out = nullptr;
    long error = fd_lookup_ref(in_fd, &in);
    if (error == 0) {
        error = fd_lookup_ref(out_fd, &out);
    }
    if (error != 0) {
        return error;
    }
    if ((in_offset != nullptr && *in_offset < 0) || (out_offset != nullptr && *out_offset < 0)) {
        return -ABI_EINVAL;
    }
    size_t done = 0;
    while (done < len) {
        long n = copy_piece(in, in_offset != nullptr ? (uint64_t)*in_offset : FD_OFFSET_CURRENT,
                            out, out_offset != nullptr ? (uint64_t)*out_offset : FD_OFFSET_CURRENT,
                            len - done);
        if (n <= 0) {
            return done != 0 ? (long)done : n;
        }
        done += (size_t)n;
        if (in_offset != nullptr) {
            *in_offset += n;
        }
        if (out_offset != nullptr) {
            *out_offset += n;
        }
    }
    return (long)done;
}

long sys_sendfile(int out, int in, int64_t* offset, size_t len) {
    return copy(in, offset, out, nullptr, len);
}

long sys_copy_file_range(int in, int64_t* in_offset, int out, int64_t* out_offset, size_t len,
                         unsigned flags) {
    return flags != 0 ? -ABI_EINVAL : copy(in, in_offset, out, out_offset, len);
}

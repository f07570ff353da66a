/*
 * Entropy at boot, for the kernel's generator and for placing the kernel.
 *
 * The boot stages only collect: the kernel hashes the 64 bytes into its own generator and adds
 * more. Collected words go through a small sponge, so that placing the kernel (which an attacker
 * may learn) tells nothing about the bytes that are handed over. The permutation runs after every
 * word and several times between outputs; one absorbed word can never cancel another.
 *
 * RDRAND and RDSEED may fail and are then simply not counted as a source.
 */

#include <early/entropy.h>

#include <boot/handoff.h>
#include <early/cpu.h>

static uint64_t rotate(uint64_t x, uint32_t by) {
    return x << by | x >> (64 - by);
}

static void permute(uint64_t v[4]) {
    for (uint32_t i = 0; i < 2; i++) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
    }
}

void entropy_init(struct entropy* e) {
    *e = (struct entropy){.state = {0x6a6163696e746821u, 0x626f6f7473746167u, 0x656e74726f707921u,
                                    0x73706f6e67652121u}};
}

void entropy_absorb(struct entropy* e, uint64_t word) {
    e->state[3] ^= word;
    permute(e->state);
    e->state[0] ^= word;
}

void entropy_absorb_bytes(struct entropy* e, const void* bytes, uint64_t length) {
    const uint8_t* at = bytes;
    for (uint64_t i = 0; i < length;) {
        uint64_t word = 0;
        for (uint32_t k = 0; k < 8 && i < length; k++, i++) {
            word |= (uint64_t)at[i] << (8 * k);
        }
        entropy_absorb(e, word);
    }
    entropy_absorb(e, length);
}

uint64_t entropy_squeeze(struct entropy* e) {
    e->state[2] ^= 0xff;
    permute(e->state);
    permute(e->state);
    return e->state[0] ^ e->state[1] ^ e->state[2] ^ e->state[3];
}

void entropy_gather_cpu(struct entropy* e) {
    constexpr uint32_t words = 8;
    constexpr uint32_t tries = 10;
    for (uint32_t i = 0; i < words * tries && cpu_has_rdseed(); i++) {
        uint64_t word;
        if (cpu_rdseed(&word)) {
            entropy_absorb(e, word);
            e->sources |= HANDOFF_ENTROPY_RDSEED;
            i += tries - 1;
        }
    }
    for (uint32_t i = 0; i < words * tries && cpu_has_rdrand(); i++) {
        uint64_t word;
        if (cpu_rdrand(&word)) {
            entropy_absorb(e, word);
            e->sources |= HANDOFF_ENTROPY_RDRAND;
            i += tries - 1;
        }
    }
    for (uint32_t i = 0; i < 32; i++) {
        entropy_absorb(e, cpu_tsc());
    }
    e->sources |= HANDOFF_ENTROPY_TSC;
}

// Writes the constants into the image that the kernel carries.
#include <syscall/vdso_image.h>

#include <vdso/constants.h>

void vdso_fill(const struct vdso_machine* machine) {
    void* constants = vdso_image + vdso_layout.constants_offset;
    vdso_constants_make(constants, machine);
}

/* malloc with guard pages, to preload: whoever reads or writes beyond a buffer, or after its release, dies at once.
 *
 * Only what is allocated between guard_begin() and guard_end(), on that thread, is guarded: the runs of a model, not the
 * interpreter around them. GUARD_SIDE=after puts the end of each buffer against an unreadable page, GUARD_SIDE=before its
 * beginning. Addresses are never used twice, so what was released stays unreadable. A death is told on standard error. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

enum { PAGE = 4096 };
static const size_t REGION = (size_t)64 << 30;
static char *region;       /* reserved addresses, unreadable but for the buffers in it */
static uint32_t *sizes;    /* by page: 1 + size of the buffer that begins there; 0 where none does */
static size_t next_page;   /* the first one that was never used */
static __thread int guarding;
static int before;

static int ours(const void *p) { return region && (char *)p >= region && (char *)p < region + REGION; }
static size_t page_of(const void *p) { return (size_t)((char *)p - region) / PAGE; }

static void on_fault(int number, siginfo_t *info, void *context) {
    if (ours(info->si_addr)) {
        int writes = (((ucontext_t *)context)->uc_mcontext.gregs[REG_ERR] & 2) != 0;
        const char *text = writes ? "\nInvalid write beyond a buffer\n" : "\nInvalid read beyond a buffer\n";
        if (write(2, text, strlen(text)) < 0) _exit(1);
    }
    signal(number, SIG_DFL); /* and the instruction again, which now ends the process */
}

int guard_available(void) {
    before = getenv("GUARD_SIDE") && !strcmp(getenv("GUARD_SIDE"), "before");
    if (!region) {
        void *addresses = mmap(NULL, REGION, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        void *table = mmap(NULL, REGION / PAGE * sizeof *sizes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (addresses == MAP_FAILED || table == MAP_FAILED) return 0;
        region = addresses, sizes = table, next_page = 1; /* an unreadable page in front of the first buffer */
    }
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    return sigaction(SIGSEGV, &action, NULL) == 0 && sigaction(SIGBUS, &action, NULL) == 0;
}

void guard_begin(void) { guarding = 1; }
void guard_end(void) { guarding = 0; }

/* of a tensor: the largest power of two that divides the size, and so at least the alignment of what is in it */
static size_t natural(size_t size, size_t most) {
    size_t align = size ? size & -size : 1;
    return align < most ? align : most;
}

static void *guarded(size_t size, size_t align) {
    if (size > (size_t)64 << 20) return NULL; /* larger ones would only take time: the sweep without guards has them */
    size_t pages = (size + PAGE - 1) / PAGE + (size == 0), first = next_page;
    if ((first + pages + 1) * PAGE >= REGION) return NULL;
    char *start = region + first * PAGE;
    if (mprotect(start, pages * PAGE, PROT_READ | PROT_WRITE)) return NULL;
    next_page += pages + 1;
    size_t padded = (size + align - 1) / align * align;
    char *p = before ? start : start + pages * PAGE - padded;
    if (size == 0) p = start; /* of nothing, not one byte may be read */
    memset(start, 0xA5, pages * PAGE < 1 << 16 ? pages * PAGE : 1 << 16);
    if (size == 0) mprotect(start, PAGE, PROT_NONE);
    sizes[first] = (uint32_t)size + 1;
    return p;
}

static void release(void *p) {
    size_t first = page_of(p), size = sizes[first] ? sizes[first] - 1 : 0;
    if (!sizes[first]) { /* released twice, or never allocated */
        static const char text[] = "\nInvalid free\n";
        if (write(2, text, sizeof text - 1) < 0) _exit(1);
        abort();
    }
    size_t pages = (size + PAGE - 1) / PAGE + (size == 0);
    sizes[first] = 0;
    madvise(region + first * PAGE, pages * PAGE, MADV_DONTNEED);
    mprotect(region + first * PAGE, pages * PAGE, PROT_NONE);
}

/* for the inputs of a call: as exact as for the model's own buffers */
void *guard_allocate(size_t size) { return guarded(size, natural(size, 64)); }
void guard_release(void *p) { release(p); }

/* 16: Eigen relies on it whatever the size is, so up to 15 bytes behind such a buffer are not guarded */
void *malloc(size_t size) { return guarding ? guarded(size, 16) : __libc_malloc(size); }

void free(void *p) {
    int saved = errno;
    if (ours(p)) release(p);
    else __libc_free(p);
    errno = saved;
}

void *calloc(size_t count, size_t size) {
    size_t all;
    if (!guarding) return __libc_calloc(count, size);
    if (__builtin_mul_overflow(count, size, &all)) return NULL;
    void *p = guarded(all, 16);
    return p && all ? memset(p, 0, all) : p;
}

void *realloc(void *p, size_t size) {
    if (!ours(p) && (!guarding || p)) return __libc_realloc(p, size);
    void *other = malloc(size);
    if (p && other) {
        size_t old = sizes[page_of(p)] - 1;
        memcpy(other, p, old < size ? old : size);
        release(p);
    }
    return other;
}

/* what ONNX Runtime allocates tensors with */
void *memalign(size_t align, size_t size) {
    return guarding ? guarded(size, natural(size, align)) : __libc_memalign(align, size);
}
void *aligned_alloc(size_t align, size_t size) { return memalign(align, size); }

int posix_memalign(void **result, size_t align, size_t size) {
    void *p = memalign(align, size);
    if (!p) return ENOMEM;
    *result = p;
    return 0;
}

size_t malloc_usable_size(void *p) {
    static size_t (*original)(void *);
    if (ours(p)) return sizes[page_of(p)] - 1;
    if (!original) original = dlsym(RTLD_NEXT, "malloc_usable_size");
    return original ? original(p) : 0;
}

// A library that plays NVIDIA's driver, as far as opening GPUs goes: what a machine has, and what its driver answers, is in
// environment variables. It runs no kernel, and has no memory to give.
//
//     PLAY_DRIVER   version of CUDA as the driver counts: 12020
//     PLAY_GPUS     compute capabilities of the GPUs with commas between: 61,86
//     PLAY_INIT     what cuInit returns            PLAY_CONTEXT  what retaining a context returns
//     PLAY_MODULE   what loading a module returns
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int number(const char *name, int otherwise) {
    const char *value = getenv(name);
    return value ? atoi(value) : otherwise;
}

// The capability of a GPU; -1 behind the last one.
static int capability(int device) {
    const char *at = getenv("PLAY_GPUS");
    for (at = at ? at : "86"; at && device > 0; device--) {
        at = strchr(at, ',');
        if (at) at++;
    }
    return at && *at ? atoi(at) : -1;
}

int cuInit(unsigned flags) { return (void)flags, number("PLAY_INIT", 0); }
int cuDriverGetVersion(int *version) { return *version = number("PLAY_DRIVER", 13000), 0; }
int cuDeviceGetCount(int *count) {
    for (*count = 0; capability(*count) >= 0;) ++*count;
    return 0;
}
int cuDeviceGet(int *device, int place) { return *device = place, 0; }
int cuDeviceGetName(char *name, int size, int device) { return snprintf(name, size, "GPU %c", 'A' + device), 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { return (void)device, *bytes = (size_t)8 << 30, 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    // Major, minor; memory clock in kHz, bus width in bits.
    *value = attribute == 75   ? capability(device) / 10
             : attribute == 76 ? capability(device) % 10
             : attribute == 36 ? 1000000
             : attribute == 37 ? 256
                               : 0;
    return 0;
}

static int some;
int cuDevicePrimaryCtxRetain(void **context, int device) { return (void)device, *context = &some, number("PLAY_CONTEXT", 0); }
int cuDevicePrimaryCtxRelease_v2(int device) { return (void)device, 0; }
int cuCtxSetCurrent(void *context) { return (void)context, 0; }
int cuModuleLoadData(void **module, const void *image) { return (void)image, *module = &some, number("PLAY_MODULE", 0); }
int cuModuleUnload(void *module) { return (void)module, 0; }
int cuModuleGetFunction(void **function, void *module, const char *name) {
    return (void)module, (void)name, *function = &some, 0;
}
int cuFuncSetAttribute(void *function, int attribute, int value) { return (void)function, (void)attribute, (void)value, 0; }
int cuStreamCreate(void **stream, unsigned flags) { return (void)flags, *stream = &some, 0; }
int cuStreamDestroy_v2(void *stream) { return (void)stream, 0; }
int cuStreamSynchronize(void *stream) { return (void)stream, 0; }
int cuEventCreate(void **event, unsigned flags) { return (void)flags, *event = &some, 0; }
int cuEventDestroy_v2(void *event) { return (void)event, 0; }
int cuMemHostAlloc(void **memory, size_t size, unsigned flags) { return (void)flags, (*memory = malloc(size)) ? 0 : 2; }
int cuMemFreeHost(void *memory) { return free(memory), 0; }
int cuMemGetInfo_v2(size_t *unused, size_t *total) { return *unused = *total = (size_t)8 << 30, 0; }
// CUDA_ERROR_NOT_PERMITTED.
int cuMemAlloc_v2(unsigned long long *memory, size_t size) { return (void)size, *memory = 0, 800; }
int cuMemFree_v2(unsigned long long memory) { return (void)memory, 0; }
// NVRTC 13 asks for tables that nobody promises.
int cuGetExportTable(const void **table, const void *id) { return (void)id, *table = 0, 1; }

static const struct {
    int code;
    const char *name, *text;
} ERRORS[] = {
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {34, "CUDA_ERROR_STUB_LIBRARY", "CUDA driver is a stub library"},
    {46, "CUDA_ERROR_DEVICE_UNAVAILABLE", "CUDA-capable device(s) is/are busy or unavailable"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {800, "CUDA_ERROR_NOT_PERMITTED", "operation not permitted"},
    {802, "CUDA_ERROR_SYSTEM_NOT_READY", "system not yet initialized"},
    {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination"},
    {999, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

static int say(int code, const char **text, int name) {
    for (unsigned i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++) {
        if (ERRORS[i].code == code) return *text = name ? ERRORS[i].name : ERRORS[i].text, 0;
    }
    return *text = 0, 1;
}
int cuGetErrorName(int code, const char **text) { return say(code, text, 1); }
int cuGetErrorString(int code, const char **text) { return say(code, text, 0); }

// A layer of Vulkan in which every driver says that it does not conform to Vulkan, as that of WSL2 does: for tests of how such
// adapters are listed. Built from its types alone, as the specification and its loader lay them out:
// https://vulkan.lunarg.com/doc/view/latest/linux/LoaderLayerInterface.html

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef void (*Function)(void);
typedef Function (*GetProcAddr)(void *instance, const char *name);
typedef int32_t (*CreateInstance)(const void *info, const void *allocator, void **instance);
typedef void (*GetProperties)(void *device, void *properties);

// The head of every extensible structure.
typedef struct Structure {
    int32_t type;
    struct Structure *next;
} Structure;

typedef struct Link {
    struct Link *next;
    GetProcAddr get;
} Link;

// VkLayerInstanceCreateInfo.
typedef struct {
    Structure head;
    int32_t function;
    Link *link;
} LinkInfo;

// VkPhysicalDeviceDriverProperties.
typedef struct {
    Structure head;
    int32_t driver;
    char name[256], info[256];
    uint8_t conformance[4];
} DriverProperties;

// VkNegotiateLayerInterface.
typedef struct {
    int32_t type;
    void *next;
    uint32_t version;
    GetProcAddr instance, device, physical;
} Interface;

enum { LINK_INFO = 47, DRIVER_PROPERTIES = 1000196000 };

static GetProcAddr next;
static GetProperties next_properties;

static void properties(void *device, void *all) {
    next_properties(device, all);
    for (Structure *part = all; part; part = part->next) {
        if (part->type == DRIVER_PROPERTIES) {
            memset(((DriverProperties *)part)->conformance, 0, 4);
        }
    }
}

static int32_t create(const void *info, const void *allocator, void **instance) {
    Structure *part = ((const Structure *)info)->next;
    while (part && (part->type != LINK_INFO || ((LinkInfo *)part)->function != 0)) {
        part = part->next;
    }
    LinkInfo *link = (LinkInfo *)part;
    next = link->link->get;
    link->link = link->link->next;
    int32_t result = ((CreateInstance)next(NULL, "vkCreateInstance"))(info, allocator, instance);
    if (result == 0) {
        next_properties = (GetProperties)next(*instance, "vkGetPhysicalDeviceProperties2");
    }
    return result;
}

static Function get(void *instance, const char *name) {
    if (!strcmp(name, "vkGetInstanceProcAddr")) {
        return (Function)get;
    }
    if (!strcmp(name, "vkCreateInstance")) {
        return (Function)create;
    }
    if (!strncmp(name, "vkGetPhysicalDeviceProperties2", 30)) {
        return (Function)properties;
    }
    return next ? next(instance, name) : NULL;
}

int32_t vkNegotiateLoaderLayerInterfaceVersion(Interface *interface) {
    interface->version = 2;
    interface->instance = get;
    interface->device = NULL;
    interface->physical = NULL;
    return 0;
}

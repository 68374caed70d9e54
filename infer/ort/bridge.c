//go:build cgo && linux

#define _GNU_SOURCE  // RTLD_DEEPBIND
#include "bridge.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

// OrtApi is an append-only table of function pointers. Only the entries named
// here are called from this file; the rest is handed on untouched. The size is
// that of the wrapper's API level, see levels.go.
enum { CREATE_STATUS = 0, CREATE_ENV = 3, CREATE_ENV_WITH_LOGGER = 4, ENTRIES = 415 };
enum { ORT_NOT_IMPLEMENTED = 9, ORT_LOG_WARNING = 2 };

typedef struct {
  const void *const *(*get_api)(uint32_t level);
  const char *(*get_version)(void);
} api_base;

typedef void *(*create_status_fn)(int code, const char *msg);
typedef void (*log_fn)(void *param, int severity, const char *category, const char *id,
                       const char *where, const char *message);
typedef void *(*create_env_fn)(log_fn log, void *param, int severity, const char *id, void **env);

static const api_base *library;
static const void *table[ENTRIES];
static int ready;

static struct {
  pthread_mutex_t lock;
  size_t used;
  char text[16 << 10];
} logged = {.lock = PTHREAD_MUTEX_INITIALIZER};

// missing stands for every function that the library does not have yet. Those
// the wrapper calls all return an OrtStatus.
static void *missing(void) {
  return ((create_status_fn)table[CREATE_STATUS])(
      ORT_NOT_IMPLEMENTED, "this ONNX Runtime is too old: it does not have the function called");
}

static void keep_log(void *param, int severity, const char *category, const char *id,
                     const char *where, const char *message) {
  (void)param, (void)category, (void)id;
  char line[2048];
  int n = snprintf(line, sizeof line, "%c %s [%s]\n", "VIWEF"[severity < 0 || severity > 4 ? 4 : severity], message, where);
  if (n < 0) return;
  size_t size = (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
  pthread_mutex_lock(&logged.lock);
  if (size > sizeof logged.text - logged.used) logged.used = 0;  // nobody asked for the old lines
  memcpy(logged.text + logged.used, line, size);
  logged.used += size;
  pthread_mutex_unlock(&logged.lock);
}

static void *create_env(int severity, const char *id, void **env) {
  (void)severity;
  return ((create_env_fn)table[CREATE_ENV_WITH_LOGGER])(keep_log, NULL, ORT_LOG_WARNING, id, env);
}

// get_api answers the wrapper. A later level than the table's, which only
// another user of the symbol could want, goes to the library.
static const void *const *get_api(uint32_t level) {
  if (level == BRIDGE_LEVEL) return table;
  return library->get_api(level);
}

static const char *get_version(void) { return library->get_version(); }

static const api_base bridged = {get_api, get_version};

const char *bridge_open(const char *path, char *msg, size_t size) {
  // The library stays mapped for the life of the process: its thread-local
  // destructors and those of its providers do not survive dlclose. It must bind
  // to itself: up to 1.16 its constructors call OrtGetApiBase, and would find
  // the one that this program exports.
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  const api_base *(*get_base)(void) = handle ? (const api_base *(*)(void))dlsym(handle, "OrtGetApiBase") : NULL;
  if (!get_base) {
    const char *why = dlerror();
    snprintf(msg, size, "%s", why ? why : "no symbol OrtGetApiBase");
    if (handle) dlclose(handle);
    return NULL;
  }
  library = get_base();
  return library->get_version();
}

int bridge_build(uint32_t level, size_t count) {
  const void *const *api = library->get_api(level);
  if (!api || count > ENTRIES) return 0;
  for (size_t i = 0; i < ENTRIES; i++) table[i] = i < count ? api[i] : (const void *)missing;
  table[CREATE_ENV] = (const void *)create_env;
  return ready = 1;
}

void *bridge_base(void) { return ready ? (void *)&bridged : NULL; }

size_t bridge_log(char *dst, size_t size) {
  pthread_mutex_lock(&logged.lock);
  size_t n = logged.used < size ? logged.used : size;
  memcpy(dst, logged.text, n);
  logged.used = 0;
  pthread_mutex_unlock(&logged.lock);
  return n;
}

int bridge_can_load(const char *name) {
  void *handle = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
  if (handle) dlclose(handle);
  return handle != NULL;
}

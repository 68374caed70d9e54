#ifndef EMBERWING_ORT_BRIDGE_H
#define EMBERWING_ORT_BRIDGE_H

// BRIDGE_LEVEL is ORT_API_VERSION of the wrapper's header.
#define BRIDGE_LEVEL 24

#include <stddef.h>
#include <stdint.h>

// bridge_open loads the library at path. It returns its version, which stays
// valid for ever, or NULL after copying the reason to msg.
const char *bridge_open(const char *path, char *msg, size_t size);

// bridge_build prepares the table for the wrapper: the first count entries of
// the library's table of the given level, stubs after them. Returns 0 if the
// library has no such level.
int bridge_build(uint32_t level, size_t count);

// bridge_base returns the OrtApiBase that answers with the prepared table, or
// NULL before bridge_build.
void *bridge_base(void);

// bridge_log moves the log lines collected so far to dst and returns the
// number of bytes.
size_t bridge_log(char *dst, size_t size);

// bridge_can_load reports whether the system loader finds a library by name.
int bridge_can_load(const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Statuses, errors and the version.
 *
 * Every function that can fail returns a vgg_status and takes the caller's vgg_error last. The
 * library never prints, exits or aborts on input: what went wrong is in the error, as one line that
 * names the file, the thing, what was found and what was wanted.
 */
#ifndef VGG_STATUS_H
#define VGG_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define VGG_API __attribute__((visibility("default")))
#else
#define VGG_API
#endif

/* X(name, value, meaning). The values are the exit codes of the program (BSD's sysexits.h). */
#define VGG_STATUS_LIST(X)                                                  \
  X(VGG_OK, 0, "success")                                                   \
  X(VGG_STOPPED, 1, "stopped because the caller asked for it")              \
  X(VGG_BAD_VALUE, 64, "an option or argument has a value it may not have") \
  X(VGG_BAD_CONTENT, 65, "an input was read, but its content is wrong")     \
  X(VGG_NO_INPUT, 66, "an input is missing or cannot be read")              \
  X(VGG_ABSENT, 69, "the device, backend or precision is not here")         \
  X(VGG_BUG, 70, "an internal fault: please report it")                     \
  X(VGG_NO_OUTPUT, 73, "an output cannot be created")                       \
  X(VGG_IO, 74, "reading or writing failed half-way")                       \
  X(VGG_NO_MEMORY, 75, "not enough memory now: retry with less")

typedef enum vgg_status {
#define VGG_STATUS_ENUM(name, value, meaning) name = value,
  VGG_STATUS_LIST(VGG_STATUS_ENUM)
#undef VGG_STATUS_ENUM
} vgg_status;

/* What went wrong, in the caller's memory. Functions write it only when they fail. */
typedef struct vgg_error {
  vgg_status status;
  char message[512]; /* one line, no newline at its end */
} vgg_error;

/* The meaning of `status` as a short sentence, for instance "success"; never NULL. */
VGG_API const char *vgg_status_meaning(vgg_status status);

/* The library's version, for instance "0.1.0"; never NULL. */
VGG_API const char *vgg_version(void);

#ifdef __cplusplus
}
#endif
#endif

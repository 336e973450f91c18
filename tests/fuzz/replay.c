/* SPDX-License-Identifier: Apache-2.0
 *
 * Feeds a fuzz target without a fuzzer: every file of a folder whole, cut short, and with bytes
 * changed, always in the same way. Each input lies at the end of an allocation of just its size, so
 * that the address sanitizer sees the first byte read behind it.
 *
 *   fuzz_NAME FOLDER
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "fuzz/target.h"

enum {
  MAX_CUTS = 512,      /* of one file; longer files are cut in larger steps */
  MAX_MUTATIONS = 512, /* of one file */
};

static size_t runs;

static void run(const uint8_t *bytes, size_t size) {
  uint8_t *copy = malloc(size ? size : 1);
  if (!copy) {
    fprintf(stderr, "no memory for %zu bytes\n", size);
    exit(EXIT_FAILURE);
  }
  memcpy(copy, bytes, size);
  LLVMFuzzerTestOneInput(copy, size);
  free(copy);
  runs++;
}

/* xorshift: the same sequence on every machine. */
static uint32_t next(uint32_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 17;
  *state ^= *state << 5;
  return *state;
}

/* One to four bytes become 0, 255, one more, or another value. */
static void mutate(uint8_t *bytes, size_t size, uint32_t *state) {
  for (uint32_t n = 1 + next(state) % 4; n > 0; n--) {
    uint8_t *b = bytes + next(state) % size;
    switch (next(state) % 4) {
      case 0:
        *b = 0;
        break;
      case 1:
        *b = 255;
        break;
      case 2:
        ++*b;
        break;
      default:
        *b = (uint8_t)next(state);
        break;
    }
  }
}

static void replay(const uint8_t *bytes, size_t size) {
  run(bytes, size);
  const size_t step = size / MAX_CUTS + 1;
  for (size_t cut = 0; cut < size; cut += step) run(bytes, cut);
  uint8_t *copy = malloc(size ? size : 1);
  if (!copy || size == 0) {
    free(copy);
    return;
  }
  uint32_t state = 2463534242u;
  for (int i = 0; i < MAX_MUTATIONS; i++) {
    memcpy(copy, bytes, size);
    mutate(copy, size, &state);
    run(copy, size);
  }
  free(copy);
}

int main(int argc, char **argv) {
  struct dirent **entries = NULL;
  const int count = argc == 2 ? scandir(argv[1], &entries, NULL, alphasort) : -1;
  if (count < 0) {
    fprintf(stderr, "usage: %s FOLDER, a folder of inputs\n", argv[0]);
    return EXIT_FAILURE;
  }
  int files = 0;
  for (int i = 0; i < count; i++) {
    char *path = path_join(argv[1], entries[i]->d_name);
    uint8_t *bytes = NULL;
    size_t size;
    vgg_error err;
    if (path && !path_is_dir(path)) {
      if (file_read(path, 1 << 24, &bytes, &size, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return EXIT_FAILURE;
      }
      replay(bytes, size);
      files++;
    }
    free(bytes);
    free(path);
    free(entries[i]);
  }
  free(entries);
  printf("%d files, %zu inputs\n", files, runs);
  return files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/md5.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void digest_of(const char *text, size_t piece, char hex[33]) {
  md5 m;
  uint8_t digest[16];
  md5_begin(&m);
  for (size_t left = strlen(text); left > 0;) {
    const size_t n = left < piece ? left : piece;
    md5_add(&m, text, n);
    text += n;
    left -= n;
  }
  md5_end(&m, digest);
  md5_hex(digest, hex);
}

/* RFC 1321, appendix A.5. */
static void known_answers(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"", "d41d8cd98f00b204e9800998ecf8427e"},
      {"a", "0cc175b9c0f1b6a831c399e269772661"},
      {"abc", "900150983cd24fb0d6963f7d28e17f72"},
      {"message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
      {"abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"},
      {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
       "d174ab98d277d9f5a5611c2c9f419d9f"},
      {"1234567890123456789012345678901234567890123456789012345678901234567890"
       "1234567890",
       "57edf4a22be3c955ac49da2e2107b67a"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    for (size_t piece = 1; piece <= 80; piece++) {
      char hex[33];
      digest_of(cases[i][0], piece, hex);
      assert_string_equal(hex, cases[i][1]);
    }
  }
}

/* Where the padding begins a block of its own: `python3 -c "hashlib.md5(b'x' * n).hexdigest()"`. */
static void around_a_block(void **state) {
  (void)state;
  static const struct {
    size_t length;
    const char *hex;
  } cases[] = {
      {55, "04364420e25c512fd958a70738aa8f72"},  {56, "668a72d5ba17f08e62dabcafad6db14b"},
      {57, "693037871c4a9d3d8685018905cb530a"},  {63, "7dc2ca208106a2f703567bdff99d8981"},
      {64, "c1bb4f81d892b2d57947682aeb252456"},  {65, "1bc932052302d074bdec39795fe00cf6"},
      {119, "ab347a5f68c8a443cfcddc633f12c24f"}, {120, "fb98667f98096de92620b64f46e1c5b5"},
      {128, "d69cb61a6ee87200676eb0d4b90edbcb"},
  };
  char text[200];
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char hex[33];
    memset(text, 'x', cases[i].length);
    text[cases[i].length] = 0;
    digest_of(text, sizeof text, hex);
    assert_string_equal(hex, cases[i].hex);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(known_answers),
                                     cmocka_unit_test(around_a_block)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

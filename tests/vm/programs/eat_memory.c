/* Is killed on purpose: takes memory until the kernel's out-of-memory killer ends it, a gigabyte at most. */
#include <stdlib.h>
#include <string.h>

#include "fixtures/fixture.h"

FRAME static void take_a_megabyte(void) {
  memset(malloc(1 << 20), 1, 1 << 20);
  RETURN_HERE();
}

FRAME static void fill_cache(void) {
  for (int i = 0; i < 1024; ++i) {
    take_a_megabyte();
  }
  RETURN_HERE();
}

FRAME static void load_everything(void) {
  fill_cache();
  RETURN_HERE();
}

int main(void) {
  load_everything();
  return 0;
}
